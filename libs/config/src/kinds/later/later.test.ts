import { table } from '../../testing/verdict.ts';
import { authorizationPolicy } from '../authorization-policy/kind.ts';
import { envoyFilter } from './envoy-filter.ts';
import { trafficExtension, wasmPlugin } from './extensions.ts';
import { requestAuthentication } from './security.ts';
import { telemetry } from './telemetry.ts';
import { proxyConfigKind, workloadGroup } from './workloads.ts';

table(authorizationPolicy, {
  good: [
    ['allow nothing', '{}'],
    ['a rule', '{selector: {matchLabels: {app: a}}, action: ALLOW, rules: [{from: [{source: {principals: ["cluster.local/ns/default/sa/a"]}}], to: [{operation: {methods: [GET], paths: ["/a/{*}/b"]}}], when: [{key: "request.headers[x]", values: [a]}]}]}'],
    ['an external authorizer', '{action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {paths: [/admin]}}]}]}'],
    ['a denial by port', '{action: DENY, rules: [{to: [{operation: {ports: ["8080"]}}]}]}'],
  ],
  bad: [
    ['an empty source', '{rules: [{from: [{source: {}}]}]}', 'spec.rules[0].from[0].source', /empty/],
    ['an empty from', '{rules: [{from: []}]}', 'spec.rules[0].from', /at least/],
    ['DENY without rules', '{action: DENY}', 'spec.rules', /never applies/],
    ['CUSTOM without provider', '{action: CUSTOM, rules: [{}]}', 'spec.provider.name', /required/],
    ['a provider for ALLOW', '{provider: {name: a}}', 'spec.provider', /CUSTOM/],
    ['principals with CUSTOM', '{action: CUSTOM, provider: {name: a}, rules: [{from: [{source: {principals: [a]}}]}]}', 'spec.rules[0].from[0].source.principals', /CUSTOM/],
    ['a port in words', '{rules: [{to: [{operation: {ports: [http]}}]}]}', 'spec.rules[0].to[0].operation.ports[0]', /port number/],
    ['a bad IP block', '{rules: [{from: [{source: {ipBlocks: ["10.0.0.0/99"]}}]}]}', 'spec.rules[0].from[0].source.ipBlocks[0]', /CIDR/],
    ['an unknown attribute', '{rules: [{when: [{key: source.colour, values: [red]}]}]}', 'spec.rules[0].when[0].key', /not an attribute/],
    ['a condition without values', '{rules: [{when: [{key: source.ip}]}]}', 'spec.rules[0].when[0]', /values/],
    ['a path template in a word', '{rules: [{to: [{operation: {paths: ["/a{*}"]}}]}]}', 'spec.rules[0].to[0].operation.paths[0]', /alone/],
    ['accounts beside namespaces', '{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}', 'spec.rules[0].from[0].source.serviceAccounts', /beside/],
    ['selector and targetRefs', '{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: a}]}', 'spec', /only one of/],
    ['a misspelt action', '{action: ALOW}', 'spec.action', /did you mean "ALLOW"/],
  ],
  warns: [['a denial of all TCP', '{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}', 'spec.rules[0]', /name the ports/]],
});

table(requestAuthentication, {
  good: [['an issuer', '{jwtRules: [{issuer: a, jwksUri: "https://a/jwks", forwardOriginalToken: true, timeout: 5s}]}']],
  bad: [
    ['a header without name', '{jwtRules: [{fromHeaders: [{prefix: "Bearer "}]}]}', 'spec.jwtRules[0].fromHeaders[0].name', /required/],
    ['a URI that is none', '{jwtRules: [{issuer: a, jwksUri: "ftp://a"}]}', 'spec.jwtRules[0].jwksUri', /https/],
    ['an empty audience', '{jwtRules: [{issuer: a, audiences: [""]}]}', 'spec.jwtRules[0].audiences[0]', /empty/],
    ['a wildcard selector', '{selector: {matchLabels: {a: "*"}}}', 'spec.selector.matchLabels.a', /wildcards/],
  ],
});
table(telemetry, {
  good: [['sampling', '{tracing: [{providers: [{name: zipkin}], randomSamplingPercentage: 10.5, customTags: {a: {literal: {value: b}}}}]}']],
  bad: [
    ['sampling of 101 %', '{tracing: [{randomSamplingPercentage: 101}]}', 'spec.tracing[0].randomSamplingPercentage', /100/],
    ['a tag without value', '{metrics: [{overrides: [{tagOverrides: {a: {operation: UPSERT}}}]}]}', 'spec.metrics[0].overrides[0].tagOverrides.a.value', /required/],
  ],
});
table(workloadGroup, {
  good: [['a template', '{metadata: {labels: {app: a}}, template: {serviceAccount: a, ports: {http: 8080}}}']],
  bad: [['two probes', '{template: {}, probe: {exec: {command: [a]}, tcpSocket: {port: 1}}}', 'spec.probe', /only one of/]],
});
table(proxyConfigKind, { good: [['concurrency', '{concurrency: 2, image: {imageType: debug}}']], bad: [['a negative one', '{concurrency: -1}', 'spec.concurrency', /range/]] });
table(envoyFilter, {
  good: [['a patch', '{configPatches: [{applyTo: CLUSTER, match: {context: ANY, cluster: {service: a}}, patch: {operation: MERGE, value: {a: 1}}}]}']],
  bad: [['two matches', '{configPatches: [{applyTo: CLUSTER, match: {cluster: {}, listener: {}}, patch: {operation: REMOVE}}]}', 'spec.configPatches[0].match', /only one of/]],
});
table(wasmPlugin, { good: [['a URL', '{url: "oci://a/b", phase: AUTHN}']], bad: [['no URL', '{}', 'spec.url', /required/], ['a checksum of 3 letters', '{url: a, sha256: foo}', 'spec.sha256', /64/]] });
table(trafficExtension, { good: [['Lua', '{lua: {inlineCode: "return"}}']], bad: [['neither', '{}', 'spec', /one of wasm, lua/]] });
