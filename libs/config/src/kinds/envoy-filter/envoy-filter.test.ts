import { table } from '../../testing/verdict.ts';
import { envoyFilter } from './kind.ts';

const patches = (...list: string[]): string => `{configPatches: [${list.join(', ')}]}`;
const cluster = (patch: string, match = ''): string => patches(`{applyTo: CLUSTER, ${match} patch: ${patch}}`);
const filter = (typedConfig: string): string => patches(`{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: x, typed_config: ${typedConfig}}}}`);
const value = 'spec.configPatches[0].patch.value';
const match = 'spec.configPatches[0].match';

table(envoyFilter, {
  good: [
    ['a cluster patch', cluster('{operation: MERGE, value: {connect_timeout: 1s}}', 'match: {context: ANY, cluster: {service: a}},')],
    ['camel case', cluster('{operation: MERGE, value: {connectTimeout: 1s}}')],
    ['durations in the manner of Go', cluster('{operation: MERGE, value: {connect_timeout: 500ms, dns_refresh_rate: 1m30s}}')],
    ['a removal without value', cluster('{operation: REMOVE}')],
    ['a filter in an untyped struct', filter('{"@type": type.googleapis.com/udpa.type.v1.TypedStruct, type_url: type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, value: {max_request_bytes: 9}}')],
  ],
  bad: [
    ['two matches', cluster('{operation: REMOVE}', 'match: {cluster: {}, listener: {}},'), match, /only one of/],
    ['a match of another object', cluster('{operation: REMOVE}', 'match: {listener: {}},'), `${match}.listener`, /match by cluster/],
    ['no value', cluster('{operation: MERGE}'), value, /required/],
    ['a value of the wrong type', cluster('{operation: MERGE, value: {connect_timeout: soon}}'), value, /Duration/],
    ['a message of the second API', filter('{"@type": type.googleapis.com/envoy.config.filter.http.buffer.v2.Buffer, max_request_bytes: 9}'), value, /buffer\.v2\.Buffer .*v3/],
    ['a proxy version that is no RE2', cluster('{operation: REMOVE}', 'match: {proxy: {proxyVersion: "(?=a)"}},'), `${match}.proxy.proxyVersion`, /RE2/],
    ['a selector and targetRefs', '{workloadSelector: {labels: {a: b}}, targetRefs: [{kind: Gateway, name: a}]}', 'spec', /only one of/],
    ['a sub-filter of a cluster', patches('{applyTo: NETWORK_FILTER, match: {listener: {filterChain: {filter: {name: a, subFilter: {name: b}}}}}, patch: {operation: REMOVE}}'), `${match}.listener.filterChain.filter.subFilter`, /HTTP_FILTER/],
  ],
  warns: [
    ['a field that is not known', cluster('{operation: MERGE, value: {conect_timeout: 1s}}'), value, /conect_timeout/],
    ['a filter only Envoy runs', filter('{"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, inlineCode: ""}'), value, /unsupported: .*Lua/],
    ['an untyped struct that its message does not take', filter('{"@type": type.googleapis.com/udpa.type.v1.TypedStruct, type_url: type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, value: {max_request_bytes: many}}'), value, /unsupported: in its TypedStruct, .*set aside/],
    ['a filter nobody here knows', filter('{"@type": type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2}'), value, /unsupported: .*OAuth2/],
    ['a bootstrap patch', patches('{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {}}}'), 'spec.configPatches[0].applyTo', /unsupported: a bootstrap/],
    ['filters that are discovered', patches('{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: {name: a}}}'), 'spec.configPatches[0].applyTo', /unsupported: .*ECDS/],
    ['an old filter name', patches('{applyTo: NETWORK_FILTER, match: {listener: {filterChain: {filter: {name: envoy.tcp_proxy}}}}, patch: {operation: REMOVE}}'), `${match}.listener.filterChain.filter.name`, /envoy\.filters\.network\.tcp_proxy/],
  ],
});
