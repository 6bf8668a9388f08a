import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { xdsType } from '@meltemi/xds';
import { configsOf, meshOf, podYaml, productpage } from '../testing/mesh.test-support.ts';
import { translate } from './translate.ts';

const entry = (address: string, locality: string, labels = '{}') => `{address: ${address}, locality: ${locality}, labels: ${labels}}`;
const service = `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: app}\nspec:\n  hosts: [app.example]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints: [${[entry('10.0.0.1', 'eu/a/1'), entry('10.0.0.2', 'eu/a/2'), entry('10.0.0.3', 'eu/b'), entry('10.0.0.4', 'us/a', '{tier: gold}'), entry('10.0.0.5', 'asia/a')].join(', ')}]\n---\n`;
const rule = (policy: string) => `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: app}\nspec: {host: app.example, trafficPolicy: ${policy}}\n`;

/** "address priority weight" for a client in eu/a/1. */
function placed(policy: string, labels: Record<string, string> = {}): string[] {
  const push = meshOf(configsOf(service + rule(policy)));
  const proxy = productpage({ LABELS: { ...labels, 'istio-locality': 'eu.a.1' } });
  const resource = translate(push, proxy, { typeUrl: xdsType.endpoint, names: ['outbound|80||app.example'] }).resources.get('outbound|80||app.example');
  assert.ok(resource);
  return ClusterLoadAssignment.decode(resource.any.value).endpoints.flatMap((group) =>
    group.lbEndpoints.map(({ hostIdentifier: host }) => {
      const address = host?.$case === 'endpoint' && host.value.address?.address?.$case === 'socketAddress' ? host.value.address.address.value.address : '';
      return `${address} p${group.priority} w${group.loadBalancingWeight ?? 0}`;
    }),
  );
}

test('with outlier detection, nearer places come first: same place, zone, region, then the rest', () => {
  assert.deepEqual(placed('{outlierDetection: {consecutive5xxErrors: 5}}'), ['10.0.0.1 p0 w1', '10.0.0.2 p1 w1', '10.0.0.3 p2 w1', '10.0.0.5 p3 w1', '10.0.0.4 p3 w1']);
});

test('a failover rule puts its region before the others', () => {
  assert.deepEqual(placed('{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: eu, to: us}]}}}').slice(3), ['10.0.0.4 p3 w1', '10.0.0.5 p4 w1']);
});

test('failoverPriority ranks by labels, priorities without gaps', () => {
  const ranked = placed('{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [tier]}}}', { tier: 'gold' });
  assert.equal(ranked[0], '10.0.0.4 p0 w1');
  assert.ok(ranked.slice(1).every((text) => text.includes(' p1 ')));
});

test('without outlier detection, or switched off, place does not matter', () => {
  for (const policy of ['{loadBalancer: {simple: RANDOM}}', '{outlierDetection: {}, loadBalancer: {localityLbSetting: {enabled: false}}}']) assert.ok(placed(policy).every((text) => text.includes(' p0 ')), policy);
});

test('distribute shares by pattern; places without a share get nothing', () => {
  assert.deepEqual(placed('{loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {"eu/a/*": 80, "us/*": 20}}]}}}'), ['10.0.0.1 p0 w40', '10.0.0.2 p0 w40', '10.0.0.4 p0 w20']);
});

test('failoverPriority may be divided by place; a wanted value may be written out; a label that neither has is no difference', () => {
  const ranked = placed('{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: ["tier=gold"], failover: [{from: eu, to: us}]}}}');
  assert.deepEqual(ranked, ['10.0.0.4 p0 w1', '10.0.0.1 p1 w1', '10.0.0.2 p2 w1', '10.0.0.3 p3 w1', '10.0.0.5 p4 w1']);
  assert.ok(placed('{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [nobody-has-it]}}}').every((text) => text.includes(' p0 ')));
});

test('topology labels are known without being written', () => {
  assert.deepEqual(placed('{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [topology.kubernetes.io/region, topology.kubernetes.io/zone]}}}'), ['10.0.0.1 p0 w1', '10.0.0.2 p0 w1', '10.0.0.3 p1 w1', '10.0.0.5 p2 w1', '10.0.0.4 p2 w1']);
});

test('zone-aware balancing keeps the region together and leaves its zones to the proxy', () => {
  assert.deepEqual(placed('{loadBalancer: {zoneAwareLbSetting: {failover: [{from: eu, to: us}]}}}'), ['10.0.0.1 p0 w1', '10.0.0.2 p0 w1', '10.0.0.3 p0 w1', '10.0.0.4 p1 w1', '10.0.0.5 p2 w1']);
});

test('trafficDistribution prefers the zone without outlier detection, and says which endpoints are not ready', () => {
  const yaml = `apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {app: app}, trafficDistribution: PreferClose, ports: [{name: http, port: 80}]}\n---\n${podYaml('a', '10.0.0.1', { labels: { app: 'app', 'istio-locality': 'eu.b' } })}${podYaml('b', '10.0.0.2', { labels: { app: 'app', 'istio-locality': 'eu.a' }, ready: false })}`;
  const name = 'outbound|80||app.default.svc.cluster.local';
  const resource = translate(meshOf(configsOf(yaml)), productpage({ LABELS: { 'istio-locality': 'eu.a' } }), { typeUrl: xdsType.endpoint, names: [name] }).resources.get(name);
  assert.ok(resource);
  assert.deepEqual(ClusterLoadAssignment.decode(resource.any.value).endpoints.map(({ priority, locality, lbEndpoints }) => [priority, locality?.zone, lbEndpoints[0]?.healthStatus]), [[0, 'a', 2], [1, 'b', 0]]);
});

test('internalTrafficPolicy Local: only endpoints of the client\'s own node', () => {
  const pod = (name: string, ip: string, node: string) => podYaml(name, ip, { labels: { app: 'app' } }).replace('  containers:', `  nodeName: ${node}\n  containers:`);
  const yaml = `apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {app: app}, internalTrafficPolicy: Local, ports: [{name: http, port: 80}]}\n---\n${pod('a', '10.0.0.1', 'n1')}${pod('b', '10.0.0.2', 'n2')}`;
  const name = 'outbound|80||app.default.svc.cluster.local';
  const text = (node: string) => translate(meshOf(configsOf(yaml)), productpage({ NODE_NAME: node }), { typeUrl: xdsType.endpoint, names: [name] }).resources.get(name)?.any.value.toString('latin1') ?? '';
  assert.match(text('n1'), /10\.0\.0\.1/);
  assert.doesNotMatch(text('n1'), /10\.0\.0\.2/);
});
