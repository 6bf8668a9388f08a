import assert from 'node:assert/strict';
import { test } from 'node:test';
import { featuresFrom } from '../../features.ts';
import { bookinfo, configsOf, meshOf, productpage, proxyOf } from '../../testing/mesh.test-support.ts';
import { tableOf, whither, type Call } from '../../testing/walk.test-support.ts';

const object = (kind: string, name: string, spec: string, namespace = 'default', born = '2026-01-01T00:00:00Z', group = 'networking.istio.io/v1') =>
  `---\napiVersion: ${group}\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${born}"}\nspec: ${spec}\n`;

const service = (name: string, spec: string, namespace = 'default') => object('Service', name, spec, namespace, undefined, 'v1');

/** A rule with one route for everything. */
const rule = (name: string, hosts: string, http: string, { namespace = 'default', born = '2026-01-01T00:00:00Z', more = '' } = {}) => object('VirtualService', name, `{hosts: [${hosts}], http: [${http}]${more}}`, namespace, born);

const to = (host: string, rest = '') => `{${rest}route: [{destination: {host: ${host}, port: {number: 9080}}}]}`;

/** Where productpage's sidecar sends a call to the port of its URL. */
function go(yaml: string, call: string | Call, { table, mesh = {}, env = {}, proxy = productpage() }: { table?: string; mesh?: Parameters<typeof meshOf>[1]; env?: Record<string, string>; proxy?: ReturnType<typeof productpage> } = {}): string {
  const push = meshOf([...bookinfo(), ...configsOf(yaml)], mesh, undefined, featuresFrom(env));
  assert.deepEqual(push.quarantined, []);
  const port = /:([0-9]+)(\/|$)/.exec(typeof call === 'string' ? call : call.url)?.[1] ?? '80';
  return whither(tableOf(push, proxy, table ?? port), call);
}

const names = (yaml: string, table: string, proxy = productpage()) => tableOf(meshOf([...bookinfo(), ...configsOf(yaml)]), proxy, table)?.virtualHosts.map(({ name }) => name) ?? [];

test('a service answers to every way its clients may write it, whatever port the Host header says', () => {
  for (const host of ['reviews', 'reviews.default', 'reviews.default.svc', 'reviews.default.svc.cluster.local', 'reviews.default.svc.cluster.local.', 'REVIEWS', 'reviews:1234']) {
    assert.equal(go('', `http://${host}/`, { table: '9080' }), 'reviews:9080', host);
  }
  for (const host of ['reviews.', 'reviews.other', 'reviewsx', 'default.svc.cluster.local']) assert.equal(go('', `http://${host}/`, { table: '9080' }), 'PassthroughCluster', host);
});

test('a service of another namespace does not answer to its bare name', () => {
  const far = service('far', '{ports: [{name: http, port: 9080}], clusterIP: 10.96.0.9}', 'other');
  assert.equal(go(far, 'http://far:9080/'), 'PassthroughCluster');
  for (const host of ['far.other', 'far.other.svc', 'far.other.svc.cluster.local.', '10.96.0.9']) assert.equal(go(far, `http://${host}:9080/`), 'far.other:9080', host);
});

test('names that end in a dot can be switched off', () => {
  assert.equal(go('', 'http://reviews.default.svc.cluster.local.:9080/', { env: { PILOT_ENABLE_ABSOLUTE_FQDN_VHOST_DOMAIN: 'false' } }), 'PassthroughCluster');
});

test('addresses of a service are names too, IPv6 in brackets', () => {
  const dual = service('dual', '{ports: [{name: http, port: 9080}], clusterIP: 10.96.0.9, clusterIPs: [10.96.0.9, "fd00::9"]}');
  assert.equal(go(dual, 'http://10.96.0.9:9080/'), 'dual:9080');
  assert.equal(go(dual, 'http://[fd00::9]:9080/'), 'dual:9080');
});

test('pods of a headless service are reached by their own names', () => {
  const headless = service('db', '{ports: [{name: http, port: 9080}], clusterIP: None}');
  for (const host of ['db', 'db-0.db', 'db-0.db.default.svc.cluster.local']) assert.equal(go(headless, `http://${host}:9080/`), 'db:9080', host);
});

test('an ExternalName service that names another is that other, as a host and as a destination', () => {
  const alias = service('legacy', '{type: ExternalName, externalName: reviews.default.svc.cluster.local, ports: [{name: http, port: 9080}]}');
  assert.equal(go(alias, 'http://legacy:9080/'), 'reviews:9080');
  assert.equal(go(alias + rule('r', 'details', to('legacy')), 'http://details:9080/'), 'reviews:9080');
});

test('virtual hosts are called host:port, the last one allow_any or block_all', () => {
  assert.deepEqual(names('', '9080'), ['details', 'productpage', 'ratings', 'reviews'].map((name) => `${name}.default.svc.cluster.local:9080`).concat('allow_any'));
  assert.equal(go('', 'http://unknown:9080/'), 'PassthroughCluster');
  assert.equal(go('', 'http://unknown:9080/', { mesh: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } } }), 'answer 502');
  const egress = object('Sidecar', 'default', '{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: gw.istio-system.svc.cluster.local, port: {number: 80}}}}');
  assert.equal(go(egress, 'http://unknown:9080/'), 'gw.istio-system:80', 'a Sidecar may name who takes unknown hosts');
});

test('the oldest rule has a contested host; of the same age, the first by name, then by namespace', () => {
  const young = rule('a', 'reviews', to('details'), { born: '2026-02-01T00:00:00Z' });
  const old = rule('b', 'reviews', to('ratings'));
  assert.equal(go(young + old, 'http://reviews:9080/'), 'ratings:9080');
  assert.equal(go(rule('b', 'reviews', to('details')) + rule('a', 'reviews', to('ratings')), 'http://reviews:9080/'), 'ratings:9080');
});

test('a rule that is private to the client\'s namespace has the host before an older public one', () => {
  const everybody = rule('public', 'reviews.default.svc.cluster.local', to('details.default.svc.cluster.local'), { namespace: 'other', born: '2020-01-01T00:00:00Z' });
  assert.equal(go(everybody + rule('private', 'reviews', to('ratings'), { more: ', exportTo: ["."]' }), 'http://reviews:9080/'), 'ratings:9080');
});

test('a rule without a route for this client leaves the host to the next rule, else to the service itself', () => {
  const others = rule('others', 'reviews', to('details', 'match: [{sourceLabels: {app: nobody}}], '));
  assert.equal(go(others, 'http://reviews:9080/'), 'reviews:9080');
  assert.equal(go(others + rule('young', 'reviews', to('ratings'), { born: '2026-03-01T00:00:00Z' }), 'http://reviews:9080/'), 'ratings:9080');
  assert.equal(go(rule('tcp', 'reviews', '').replace('http: []', 'tcp: [{route: [{destination: {host: details}}]}]'), 'http://reviews:9080/'), 'reviews:9080', 'nor has a rule about TCP');
});

test('the rule of the host itself goes before that of a wildcard, the longest wildcard before shorter ones', () => {
  const wide = rule('wide', '"*.svc.cluster.local"', to('details.default.svc.cluster.local'), { born: '2020-01-01T00:00:00Z' });
  const near = rule('near', '"*.default.svc.cluster.local"', to('ratings'), { born: '2021-01-01T00:00:00Z' });
  assert.equal(go(wide, 'http://reviews:9080/'), 'details:9080');
  assert.equal(go(wide + near, 'http://reviews:9080/'), 'ratings:9080');
  assert.equal(go(wide + near + rule('exact', 'reviews', to('productpage')), 'http://reviews:9080/'), 'productpage:9080');
  const silent = rule('exact', 'reviews', to('productpage', 'match: [{sourceLabels: {app: nobody}}], '));
  assert.equal(go(wide + silent, 'http://reviews:9080/'), 'reviews:9080', 'even when that rule has no route for the client');
});

test('hosts that no service has exist on port 80, and beside the services of their rule', () => {
  const alone = rule('shop', 'shop.example', to('details'));
  assert.equal(go(alone, 'http://shop.example/'), 'details:9080');
  assert.equal(go(alone, 'http://shop.example/', { table: '9080' }), 'PassthroughCluster');
  const beside = rule('shop', 'shop.example, reviews', to('details'));
  assert.equal(go(beside, 'http://shop.example:9080/'), 'details:9080');
  assert.deepEqual(names(beside, '9080').slice(-2), ['shop.example:9080', 'allow_any']);
});

test('a wildcard that no service fits is a host of its own', () => {
  const wild = rule('wild', '"*.example"', to('details'));
  assert.equal(go(wild, 'http://a.example/'), 'details:9080');
  assert.equal(names(wild, '80')[0], '*.example:80');
});

test('a host below the wildcard of a ServiceEntry is no service: its rule counts on port 80 only', () => {
  const entry = object('ServiceEntry', 'wide', '{hosts: ["*.example"], ports: [{number: 80, name: http, protocol: HTTP}, {number: 9080, name: http-2, protocol: HTTP}], resolution: NONE, location: MESH_EXTERNAL}');
  const yaml = entry + rule('api', 'api.example', to('details'));
  assert.equal(go(yaml, 'http://api.example/'), 'details:9080');
  assert.equal(go(yaml, 'http://api.example:9080/'), '*.example:9080');
  assert.equal(go(yaml, 'http://other.example/'), '*.example:80');
});

test('a name that is short for one service and the full name of another is the other\'s', () => {
  const entry = object('ServiceEntry', 'clash', '{hosts: [reviews.default.svc], ports: [{number: 9080, name: http, protocol: HTTP}], resolution: DNS, location: MESH_EXTERNAL}');
  assert.equal(go(entry, 'http://reviews.default.svc:9080/'), 'reviews.default.svc:9080');
  assert.equal(go(entry, 'http://reviews.default:9080/'), 'reviews:9080');
});

test('clients outside of Kubernetes\' domain leave out the part of a name they share', () => {
  const vm = proxyOf('sidecar~10.0.0.1~vm.default~corp.example.com', { NAMESPACE: 'default' });
  const entry = object('ServiceEntry', 'e', '{hosts: [api.corp.example.com], ports: [{number: 9080, name: http, protocol: HTTP}], resolution: DNS, location: MESH_EXTERNAL}');
  assert.equal(go(entry, 'http://api:9080/', { proxy: vm }), 'api.corp.example.com:9080');
});

test('a sniffed service\'s own table takes any host', () => {
  const sniffed = service('any', '{ports: [{port: 7000}], clusterIP: 10.96.0.9}');
  const table = 'any.default.svc.cluster.local:7000';
  assert.equal(go(sniffed, 'http://whoever/', { table }), 'any:7000');
  assert.deepEqual(names(sniffed, table), ['any.default.svc.cluster.local:7000']);
});

test('on the HTTP proxy port the Host header\'s port tells which service is meant', () => {
  const laptop = proxyOf('sidecar~127.0.0.7~a.default~default.svc.cluster.local', { NAMESPACE: 'default', INTERCEPTION_MODE: 'NONE' });
  const at = (host: string) => go(rule('shop', 'shop.example', to('details')), `http://${host}/`, { table: 'http_proxy', proxy: laptop });
  assert.equal(at('reviews:9080'), 'reviews:9080');
  assert.equal(at('reviews'), 'answer 502');
  assert.equal(at('shop.example'), 'details:9080');
});
