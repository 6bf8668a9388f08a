import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configsOf, meshOf, productpage } from '../testing/mesh.test-support.ts';
import { effectivePolicy } from '../translate/clusters/traffic-policy.ts';
import { findDestinationRule } from './destination-rules.ts';
import { moreSpecific, hostsOverlap, mostSpecificHost, resolveHost } from './hosts.ts';
import { modeForPort, mtlsPolicyFor } from './peer-authentication.ts';
import { scopeOf } from './scope.ts';

const istio = (kind: string, name: string, namespace: string, spec: string, group = 'networking') => `---\napiVersion: ${group}.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;

test('short names resolve in the namespace of the rule; dotted names, IPs and * stay', () => {
  assert.equal(resolveHost('reviews', 'a', 'cluster.local'), 'reviews.a.svc.cluster.local');
  for (const name of ['reviews.b', '*', '10.0.0.1', '::1', '*.example']) assert.equal(resolveHost(name, 'a', 'cluster.local'), name);
});

test('the exact host beats wildcards, the longest wildcard beats shorter ones', () => {
  assert.equal(mostSpecificHost('a.b.example', ['*', '*.example', '*.b.example']), '*.b.example');
  assert.equal(mostSpecificHost('a.b.example', ['*.b.example', 'a.b.example']), 'a.b.example');
  assert.deepEqual(['*', '*.example', 'z.example', '*.b.example'].toSorted(moreSpecific), ['z.example', '*.b.example', '*.example', '*']);
  assert.ok(hostsOverlap('*.example', 'a.example') && hostsOverlap('*.a.example', '*.example') && !hostsOverlap('*.example', 'example'));
});

test('DestinationRules are looked up in the client\'s namespace, the service\'s, then the root namespace', () => {
  const rule = (name: string, namespace: string, extra = '') => istio('DestinationRule', name, namespace, `{host: svc.b.svc.cluster.local, subsets: [{name: ${name}}]${extra}}`);
  const find = (yaml: string) => findDestinationRule(meshOf(configsOf(yaml)).destinationRules, { hostname: 'svc.b.svc.cluster.local', namespace: 'b' }, { namespace: 'a', labels: {} }, 'istio-system')?.name;
  assert.equal(find(rule('root', 'istio-system') + rule('server', 'b') + rule('client', 'a')), 'client');
  assert.equal(find(rule('root', 'istio-system') + rule('server', 'b')), 'server');
  assert.equal(find(rule('root', 'istio-system') + rule('server', 'b', ', exportTo: ["."]')), 'root');
  assert.equal(find(rule('other', 'c')), undefined);
});

test('the most specific host of a namespace decides, even when its rule is for others', () => {
  const rule = (name: string, namespace: string, host: string, extra = '') => istio('DestinationRule', name, namespace, `{host: "${host}"${extra}}`);
  const find = (yaml: string, client = 'a', hostname = 'x.example') => findDestinationRule(meshOf(configsOf(yaml)).destinationRules, { hostname, namespace: 'b' }, { namespace: client, labels: {} }, 'istio-system')?.name;
  const wild = rule('wide', 'b', '*.example') + rule('narrow', 'b', '*.y.example');
  assert.deepEqual([find(wild), find(wild, 'a', 'x.y.example'), find(wild + rule('exact', 'b', 'x.example'))], ['wide', 'narrow', 'exact']);
  assert.equal(find(wild + rule('exact', 'b', 'x.example', ', exportTo: [c]')), undefined);
  assert.equal(find(wild + rule('exact', 'b', 'x.example', ', exportTo: [c]'), 'c'), 'exact');
});

test('a client in the root namespace sees the service\'s rule before the mesh\'s, but its namespace\'s private one first', () => {
  const rule = (name: string, namespace: string, extra = '') => istio('DestinationRule', name, namespace, `{host: svc.b.svc.cluster.local${extra}}`);
  const find = (yaml: string) => findDestinationRule(meshOf(configsOf(yaml)).destinationRules, { hostname: 'svc.b.svc.cluster.local', namespace: 'b' }, { namespace: 'istio-system', labels: {} }, 'istio-system')?.name;
  assert.equal(find(rule('mesh', 'istio-system') + rule('server', 'b')), 'server');
  assert.equal(find(rule('mesh', 'istio-system')), 'mesh');
  assert.equal(find(rule('private', 'istio-system', ', exportTo: ["."]') + rule('server', 'b')), 'private');
});

test('a workload selector chooses clients of its own namespace; the others have the rule without one', () => {
  const rule = (name: string, extra = '') => istio('DestinationRule', name, 'b', `{host: svc${extra}}`);
  const yaml = rule('all') + rule('some', ', workloadSelector: {matchLabels: {app: x}}');
  const find = (namespace: string, app: string, text = yaml) => findDestinationRule(meshOf(configsOf(text)).destinationRules, { hostname: 'svc.b.svc.cluster.local', namespace: 'b' }, { namespace, labels: { app } }, 'istio-system')?.name;
  assert.deepEqual([find('b', 'x'), find('b', 'y'), find('a', 'x')], ['some', 'all', 'all']);
  assert.deepEqual([find('b', 'y', rule('some', ', workloadSelector: {matchLabels: {app: x}}')), find('a', 'x', rule('some', ', workloadSelector: {matchLabels: {app: x}}'))], [undefined, undefined]);
});

test('rules of one host with other audiences do not merge, and a mesh may keep rules at home by default', () => {
  const rule = (name: string, extra = '') => istio('DestinationRule', name, 'b', `{host: svc, subsets: [{name: ${name}}]${extra}}`);
  const find = (client: string, yaml: string, mesh = {}) => findDestinationRule(meshOf(configsOf(yaml), mesh).destinationRules, { hostname: 'svc.b.svc.cluster.local', namespace: 'b' }, { namespace: client, labels: {} }, 'istio-system')?.subsets.map(({ name }) => name);
  assert.deepEqual(find('c', rule('one', ', exportTo: [c]') + rule('two', ', exportTo: [d]')), ['one']);
  assert.deepEqual(find('a', rule('one')), ['one']);
  assert.equal(find('a', rule('one'), { defaultDestinationRuleExportTo: ['.'] }), undefined);
  assert.deepEqual(find('b', rule('one'), { defaultDestinationRuleExportTo: ['.'] }), ['one']);
});

test('several DestinationRules of one host merge: first subset of a name and first policy win', () => {
  const yaml = istio('DestinationRule', 'a', 'b', '{host: svc, subsets: [{name: v1, labels: {v: "1"}}]}') + istio('DestinationRule', 'b', 'b', '{host: svc, subsets: [{name: v1, labels: {v: other}}, {name: v2}], trafficPolicy: {loadBalancer: {simple: RANDOM}}}');
  const merged = meshOf(configsOf(yaml)).destinationRules.exported.get('b')?.get('svc.b.svc.cluster.local');
  assert.equal(merged?.length, 1);
  assert.deepEqual(merged[0]?.subsets.map(({ name, labels }) => [name, labels['v']]), [['v1', '1'], ['v2', undefined]]);
  assert.equal(merged[0]?.trafficPolicy?.loadBalancer?.simple, 'RANDOM');
});

test('a subset overrides block by block; a port\'s settings replace the destination\'s altogether', () => {
  const [config] = configsOf(istio('DestinationRule', 'a', 'b', '{host: svc, trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 1}}, portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 2}}}]}, subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]}'));
  const spec = config?.spec as Parameters<typeof effectivePolicy>[0] & { trafficPolicy: Parameters<typeof effectivePolicy>[0]; subsets: { trafficPolicy: Parameters<typeof effectivePolicy>[0] }[] };
  const subset = spec.subsets[0]?.trafficPolicy;
  assert.equal(effectivePolicy(spec.trafficPolicy, subset, 81).loadBalancer?.simple, 'ROUND_ROBIN');
  assert.equal(effectivePolicy(spec.trafficPolicy, subset, 81).connectionPool?.tcp?.maxConnections, 1);
  assert.equal(effectivePolicy(spec.trafficPolicy, undefined, 80).loadBalancer, undefined);
  assert.equal(effectivePolicy(spec.trafficPolicy, undefined, 80).connectionPool?.tcp?.maxConnections, 2);
});

test('PeerAuthentication: workload over namespace over mesh, UNSET inherits, ports apart', () => {
  const policy = (name: string, namespace: string, spec: string) => istio('PeerAuthentication', name, namespace, spec, 'security');
  const { peerAuthentications: index } = meshOf(configsOf(policy('mesh', 'istio-system', '{mtls: {mode: STRICT}}') + policy('ns', 'b', '{mtls: {mode: DISABLE}}') + policy('workload', 'b', '{selector: {matchLabels: {app: x}}, mtls: {mode: UNSET}, portLevelMtls: {8080: {mode: PERMISSIVE}}}')));
  const mode = (namespace: string, app: string, port: number) => modeForPort(mtlsPolicyFor(index, { namespace, labels: { app } }), port);
  assert.equal(mode('a', 'x', 1), 'STRICT');
  assert.equal(mode('b', 'y', 1), 'DISABLE');
  assert.equal(mode('b', 'x', 1), 'DISABLE');
  assert.equal(mode('b', 'x', 8080), 'PERMISSIVE');
});

test('delegates: matches are and-merged, pairs that contradict are dropped, destinations resolve where they are written', () => {
  const yaml =
    istio('VirtualService', 'root', 'a', '{hosts: [shop.example], http: [{match: [{uri: {prefix: /shop}}], delegate: {name: child, namespace: b}}]}') +
    istio('VirtualService', 'child', 'b', '{http: [{match: [{uri: {prefix: /shop/a}}], route: [{destination: {host: one}}]}, {match: [{uri: {prefix: /else}}], route: [{destination: {host: two}}]}]}');
  const [root, ...others] = meshOf(configsOf(yaml)).virtualServices.all;
  assert.deepEqual(others, []);
  assert.deepEqual(root?.spec.http.map((route) => [route.match[0]?.uri?.prefix, route.route[0]?.destination.host]), [['/shop/a', 'one.b.svc.cluster.local']]);
});

test('a Sidecar limits what is seen, and brings the destinations of the rules it imports', () => {
  const service = (name: string, namespace: string) => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {ports: [{port: 80}]}\n`;
  const yaml = service('a', 'default') + service('b', 'other') + service('c', 'other') + istio('Sidecar', 'default', 'default', '{egress: [{hosts: ["./*", "other/b.other.svc.cluster.local"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}');
  const scope = scopeOf(meshOf(configsOf(yaml)), productpage());
  assert.deepEqual([...scope.byHost.keys()].toSorted(), ['a.default.svc.cluster.local', 'b.other.svc.cluster.local']);
  assert.equal(scope.allowAny, false);
});
