import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import type { MeshConfigSpec } from '@meltemi/config';
import { bookinfo, configsOf, ingressGateway, jsonOf, meshOf, productpage } from '../../testing/mesh.test-support.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { translate } from '../translate.ts';
import { patchesSetAside } from './admission.ts';

const bufferType = 'type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer';
const managerName = 'envoy.filters.network.http_connection_manager';
const meltemi = { MELTEMI_VERSION: '0.1.0', MELTEMI_HTTP2: 'true' };

interface Options {
  readonly name?: string;
  readonly namespace?: string;
  readonly spec?: string;
  readonly created?: string;
}

function filter(patches: readonly string[], { name = 'it', namespace = 'default', spec = '', created = '2026-01-01T00:00:00Z' }: Options = {}): string {
  return `{apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, metadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${created}"}, spec: {${spec} configPatches: [${patches.join(', ')}]}}\n---\n`;
}

const buffer = (name: string, bytes = 9) => `{name: ${name}, typed_config: {"@type": ${bufferType}, max_request_bytes: ${bytes}}}`;
const httpFilter = (operation: string, value: string, options: { readonly context?: string; readonly sub?: string; readonly listener?: string } = {}) => {
  const sub = options.sub === undefined ? '' : `, subFilter: {name: ${options.sub}}`;
  return `{applyTo: HTTP_FILTER, match: {context: ${options.context ?? 'SIDECAR_OUTBOUND'}, listener: {${options.listener ?? ''} filterChain: {filter: {name: ${managerName}${sub}}}}}, patch: {operation: ${operation}, value: ${value}}}`;
};

type Json = Record<string, unknown>;

function resources(yaml: string, typeUrl: string, proxy: Proxy = productpage(), mesh: Partial<MeshConfigSpec> = {}): { json: Record<string, Json>; aside: string[] } {
  const push = meshOf([...bookinfo(), ...configsOf(yaml)], mesh);
  const json = jsonOf(translate(push, proxy, { typeUrl })) as Record<string, Json>;
  return { json, aside: patchesSetAside(push).flatMap(({ key, errors }) => errors.map(({ path, message }) => `${key.name} ${path}: ${message}`)) };
}

function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((inner, step) => (inner as Record<string | number, unknown> | undefined)?.[step], value);
}

/** HTTP filter names of a listener's first chain. */
function names(listener: Json | undefined): unknown[] {
  const filters = at(listener, 'filter_chains', 0, 'filters') as Json[];
  const manager = filters.find(({ name }) => name === managerName);
  return (at(manager, 'typed_config', 'http_filters') as Json[]).map(({ name }) => name);
}

const reviews = 'outbound|9080||reviews.default.svc.cluster.local';

test('a cluster patch merges into the clusters it names and into no other', () => {
  const yaml = filter(['{applyTo: CLUSTER, match: {context: SIDECAR_OUTBOUND, cluster: {service: reviews.default.svc.cluster.local, portNumber: 9080}}, patch: {operation: MERGE, value: {connect_timeout: 0.25s}}}']);
  const { json } = resources(yaml, xdsType.cluster);
  assert.equal(json[reviews]?.['connect_timeout'], '0.250s');
  assert.equal(json['outbound|9080||ratings.default.svc.cluster.local']?.['connect_timeout'], '10s');
});

test('clusters are removed and added; one without context is added outbound, once', () => {
  const { json, aside } = resources(
    filter([
      `{applyTo: CLUSTER, match: {cluster: {name: "${reviews}"}}, patch: {operation: REMOVE}}`,
      '{applyTo: CLUSTER, patch: {operation: ADD, value: {name: mine, type: STATIC, connect_timeout: 1s}}}',
    ]),
    xdsType.cluster,
    productpage(meltemi),
  );
  assert.equal(json[reviews], undefined);
  assert.equal(json['mine']?.['connect_timeout'], '1s');
  assert.deepEqual(aside, []);
});

test('an inbound cluster is found by the service behind it', () => {
  const { json } = resources(
    filter(['{applyTo: CLUSTER, match: {context: SIDECAR_INBOUND, cluster: {service: productpage.default.svc.cluster.local}}, patch: {operation: MERGE, value: {alt_stat_name: mine}}}']),
    xdsType.cluster,
  );
  assert.equal(json['inbound|9080||']?.['alt_stat_name'], 'mine');
  assert.equal(json['InboundPassthroughCluster']?.['alt_stat_name'], undefined);
});

test('HTTP filters are inserted before, after and first, replaced and removed by name, old names included', () => {
  const listener = '0.0.0.0_9080';
  const plain = names(resources('', xdsType.listener).json[listener]);
  const router = plain.at(-1);
  const cases: readonly (readonly [patch: string, expected: readonly unknown[]])[] = [
    [httpFilter('INSERT_BEFORE', buffer('mine'), { sub: 'envoy.filters.http.router' }), [...plain.slice(0, -1), 'mine', router]],
    [httpFilter('INSERT_BEFORE', buffer('mine'), { sub: 'envoy.router' }), [...plain.slice(0, -1), 'mine', router]],
    [httpFilter('INSERT_AFTER', buffer('mine'), { sub: 'envoy.filters.http.fault' }), [...plain.slice(0, plain.indexOf('envoy.filters.http.fault') + 1), 'mine', ...plain.slice(plain.indexOf('envoy.filters.http.fault') + 1)]],
    [httpFilter('INSERT_AFTER', buffer('mine'), { sub: 'nobody' }), plain],
    [httpFilter('INSERT_FIRST', buffer('mine')), ['mine', ...plain]],
    [httpFilter('INSERT_BEFORE', buffer('mine')), ['mine', ...plain]],
    [httpFilter('REPLACE', buffer('mine'), { sub: 'envoy.filters.http.cors' }), plain.map((name) => (name === 'envoy.filters.http.cors' ? 'mine' : name))],
    [httpFilter('REMOVE', '{}', { sub: 'envoy.filters.http.cors' }), plain.filter((name) => name !== 'envoy.filters.http.cors')],
    [httpFilter('INSERT_FIRST', buffer('mine'), { context: 'SIDECAR_INBOUND' }), plain],
    [httpFilter('INSERT_FIRST', buffer('mine'), { context: 'GATEWAY' }), plain],
    [httpFilter('INSERT_FIRST', buffer('mine'), { listener: 'portNumber: 9081,' }), plain],
    [httpFilter('INSERT_FIRST', buffer('mine'), { listener: 'portNumber: 9080,' }), ['mine', ...plain]],
    [httpFilter('INSERT_FIRST', buffer('mine'), { listener: `name: ${listener},` }), ['mine', ...plain]],
  ];
  for (const [patch, expected] of cases) assert.deepEqual(names(resources(filter([patch]), xdsType.listener).json[listener]), expected, patch);
});

test('the settings of a filter of the same message merge, those of another message are not touched and the patch is named', () => {
  const manager = '"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
  const patch = (config: string) => `{applyTo: NETWORK_FILTER, match: {context: SIDECAR_OUTBOUND, listener: {filterChain: {filter: {name: envoy.http_connection_manager}}}}, patch: {operation: MERGE, value: {typed_config: {${config}}}}}`;
  const { json } = resources(filter([patch(`${manager}, stream_idle_timeout: 7s, common_http_protocol_options: {idle_timeout: 30s}`)]), xdsType.listener);
  const config = at(json['0.0.0.0_9080'], 'filter_chains', 0, 'filters', 0, 'typed_config');
  assert.equal(at(config, 'stream_idle_timeout'), '7s');
  assert.equal(at(config, 'common_http_protocol_options', 'idle_timeout'), '30s');
  assert.ok((at(config, 'http_filters') as unknown[]).length > 2);
  const { aside } = resources(filter([patch(`"@type": ${bufferType}, max_request_bytes: 1`)]), xdsType.listener);
  assert.match(aside.join(), /it spec\.configPatches\[0\]: set aside: .*does not merge/);
});

test('in virtualInbound a port means the filter chains of that port', () => {
  const { json } = resources(filter(['{applyTo: FILTER_CHAIN, match: {context: SIDECAR_INBOUND, listener: {portNumber: 9080, filterChain: {transportProtocol: raw_buffer}}}, patch: {operation: MERGE, value: {transport_socket_connect_timeout: 3s}}}']), xdsType.listener);
  const chains = at(json['virtualInbound'], 'filter_chains') as Json[];
  const patched = chains.filter((chain) => chain['transport_socket_connect_timeout'] === '3s');
  assert.ok(patched.length > 0);
  for (const chain of patched) assert.deepEqual([at(chain, 'filter_chain_match', 'destination_port'), at(chain, 'filter_chain_match', 'transport_protocol')], [9080, 'raw_buffer']);
});

test('listeners, listener filters and filter chains are merged, added and removed', () => {
  const inspector = '{name: envoy.filters.listener.http_inspector, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector}}';
  const tcp = '{name: tcp, filters: [{name: envoy.filters.network.tcp_proxy, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: a, cluster: PassthroughCluster}}]';
  const { json, aside } = resources(
    filter([
      '{applyTo: LISTENER, match: {context: SIDECAR_OUTBOUND, listener: {portNumber: 9080}}, patch: {operation: MERGE, value: {per_connection_buffer_limit_bytes: 5000}}}',
      `{applyTo: LISTENER_FILTER, match: {context: SIDECAR_OUTBOUND, listener: {portNumber: 9080}}, patch: {operation: ADD, value: ${inspector}}}`,
      `{applyTo: FILTER_CHAIN, match: {context: SIDECAR_OUTBOUND, listener: {portNumber: 9080}}, patch: {operation: ADD, value: ${tcp}, filter_chain_match: {source_ports: [1]}}}}`,
      `{applyTo: LISTENER, match: {context: SIDECAR_OUTBOUND}, patch: {operation: ADD, value: {name: mine, address: {socket_address: {address: 127.0.0.1, port_value: 9999}}, filter_chains: [${tcp}}]}}}`,
      '{applyTo: LISTENER, match: {context: SIDECAR_INBOUND, listener: {name: virtualInbound}}, patch: {operation: REMOVE}}',
    ]),
    xdsType.listener,
    productpage(meltemi),
  );
  assert.equal(json['0.0.0.0_9080']?.['per_connection_buffer_limit_bytes'], 5000);
  assert.equal((at(json['0.0.0.0_9080'], 'listener_filters') as Json[]).at(-1)?.['name'], 'envoy.filters.listener.http_inspector');
  assert.equal(at(json['0.0.0.0_9080'], 'filter_chains', 1, 'name'), 'tcp');
  assert.ok(json['mine']);
  assert.equal(json['virtualInbound'], undefined);
  assert.deepEqual(aside, []);
});

test('routes: virtual hosts and routes are found by name, domain and action, outbound by port and inbound in the listener', () => {
  const outbound = (match: string, applyTo: string, patch: string) => `{applyTo: ${applyTo}, match: {context: SIDECAR_OUTBOUND, routeConfiguration: {portNumber: 9080, vhost: {${match}}}}, patch: ${patch}}`;
  const yaml = filter([
    outbound('name: "reviews.default.svc.cluster.local:9080", route: {action: ROUTE}', 'HTTP_ROUTE', '{operation: MERGE, value: {route: {timeout: 3s}}}'),
    outbound('domainName: ratings', 'VIRTUAL_HOST', '{operation: MERGE, value: {request_headers_to_add: [{header: {key: x, value: y}}]}}'),
    outbound('name: "details.default.svc.cluster.local:9080"', 'HTTP_ROUTE', '{operation: INSERT_FIRST, value: {name: mine, match: {prefix: /mine}, direct_response: {status: 418}}}'),
    '{applyTo: ROUTE_CONFIGURATION, match: {context: SIDECAR_OUTBOUND}, patch: {operation: MERGE, value: {response_headers_to_remove: [server]}}}',
    '{applyTo: VIRTUAL_HOST, match: {context: SIDECAR_INBOUND, routeConfiguration: {vhost: {name: "inbound|http|9080"}}}, patch: {operation: MERGE, value: {require_tls: ALL}}}',
  ]);
  const table = resources(yaml, xdsType.route).json['9080'];
  const host = (name: string) => (at(table, 'virtual_hosts') as Json[]).find((entry) => entry['name'] === `${name}.default.svc.cluster.local:9080`);
  assert.equal(at(host('reviews'), 'routes', 0, 'route', 'timeout'), '3s');
  assert.equal(at(host('reviews'), 'routes', 0, 'route', 'cluster'), reviews);
  assert.equal(at(host('ratings'), 'request_headers_to_add', 0, 'header', 'key'), 'x');
  assert.deepEqual((at(host('details'), 'routes') as Json[]).map(({ name }) => name), ['mine', 'default']);
  assert.deepEqual(table?.['response_headers_to_remove'], ['server']);
  assert.match(JSON.stringify(resources(yaml, xdsType.listener).json['virtualInbound']), /"require_tls":"ALL"/);
});

test('a gateway is patched in its own context, its routes by the port of its Service', () => {
  const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
`;
  const yaml = gateway + filter([
    httpFilter('INSERT_FIRST', buffer('mine'), { context: 'GATEWAY' }),
    '{applyTo: ROUTE_CONFIGURATION, match: {context: GATEWAY, routeConfiguration: {portNumber: 80}}, patch: {operation: MERGE, value: {response_headers_to_remove: [server]}}}',
    '{applyTo: CLUSTER, match: {context: GATEWAY}, patch: {operation: ADD, value: {name: mine, type: STATIC}}}',
  ], { namespace: 'istio-system' });
  const [listener] = Object.values(resources(yaml, xdsType.listener, ingressGateway()).json);
  assert.equal(names(listener)[0], 'mine');
  assert.deepEqual(resources(yaml, xdsType.route, ingressGateway()).json['http.8080']?.['response_headers_to_remove'], ['server']);
  assert.ok(resources(yaml, xdsType.cluster, ingressGateway()).json['mine']);
});

test('patches go to the workloads, versions and metadata they name, from their own namespace or the root namespace', () => {
  const patch = (proxy: string) => `{applyTo: CLUSTER, match: {context: SIDECAR_OUTBOUND, ${proxy} cluster: {name: "${reviews}"}}, patch: {operation: MERGE, value: {alt_stat_name: mine}}}`;
  const cases: readonly (readonly [why: string, yaml: string, applies: boolean])[] = [
    ['its labels', filter([patch('')], { spec: 'workloadSelector: {labels: {app: productpage}},' }), true],
    ['other labels', filter([patch('')], { spec: 'workloadSelector: {labels: {app: reviews}},' }), false],
    ['the root namespace', filter([patch('')], { namespace: 'istio-system' }), true],
    ['another namespace', filter([patch('')], { namespace: 'other' }), false],
    ['a Gateway', filter([patch('')], { spec: 'targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}],' }), false],
    ['its version', filter([patch(String.raw`proxy: {proxyVersion: '^1\.30.*'},`)]), true],
    ['a version anywhere in its own', filter([patch(String.raw`proxy: {proxyVersion: '30\.'},`)]), true],
    ['another version', filter([patch(String.raw`proxy: {proxyVersion: '^1\.29.*'},`)]), false],
    ['its metadata', filter([patch('proxy: {metadata: {CANARY: "yes"}},')]), true],
    ['other metadata', filter([patch('proxy: {metadata: {CANARY: "no"}},')]), false],
  ];
  for (const [why, yaml, applies] of cases) assert.equal(resources(yaml, xdsType.cluster, productpage({ CANARY: 'yes' })).json[reviews]?.['alt_stat_name'], applies ? 'mine' : undefined, why);
});

test('the order is priority, the root namespace, age, name', () => {
  const named = (name: string, options: Options) => filter([`{applyTo: CLUSTER, match: {cluster: {name: "${reviews}"}}, patch: {operation: MERGE, value: {metadata: {filter_metadata: {${name}: {}}}, alt_stat_name: ${name}}}}`], { name, ...options });
  const last = (...filters: string[]) => resources(filters.join(''), xdsType.cluster).json[reviews]?.['alt_stat_name'];
  assert.equal(last(named('z', { spec: 'priority: -1,' }), named('a', {})), 'a');
  assert.equal(last(named('z', { namespace: 'istio-system' }), named('a', {})), 'a');
  assert.equal(last(named('a', { created: '2026-02-02T00:00:00Z' }), named('z', {})), 'a');
  assert.equal(last(named('b', {}), named('a', {})), 'b');
});

test('a patch our proxy would refuse is set aside alone and named; Envoy gets it', () => {
  const bad = httpFilter('ADD', buffer('last'));
  const good = httpFilter('INSERT_FIRST', buffer('mine'));
  const ours = resources(filter([bad, good]), xdsType.listener, productpage(meltemi));
  assert.equal(names(ours.json['0.0.0.0_9080'])[0], 'mine');
  assert.equal(names(ours.json['0.0.0.0_9080']).at(-1), 'envoy.filters.http.router');
  assert.match(ours.aside.join('\n'), /^it spec\.configPatches\[0\]: set aside: .*terminal/);
  const envoy = resources(filter([bad, good]), xdsType.listener);
  assert.equal(names(envoy.json['0.0.0.0_9080']).at(-1), 'last');
});

test('a filter nobody here knows is left out alone; Lua goes to Envoy only', () => {
  const inserted = (type: string) => filter([httpFilter('INSERT_FIRST', `{name: foreign, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.${type}}}`), httpFilter('INSERT_FIRST', buffer('mine'))]);
  const first = (yaml: string, proxy: Proxy) => names(resources(yaml, xdsType.listener, proxy).json['0.0.0.0_9080']).slice(0, 2);
  const [plain] = names(resources('', xdsType.listener).json['0.0.0.0_9080']);
  assert.deepEqual(first(inserted('oauth2.v3.OAuth2'), productpage()), ['mine', plain]);
  assert.deepEqual(first(inserted('lua.v3.Lua'), productpage(meltemi)), ['mine', plain]);
  assert.deepEqual(first(inserted('lua.v3.Lua'), productpage()), ['mine', 'foreign']);
});
