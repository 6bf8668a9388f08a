import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configsOf, meshOf, podYaml } from '../testing/mesh.test-support.ts';
import { portProtocol } from './protocol.ts';

const service = (rest: string) => `apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: ${rest}\n---\n`;

function endpointsOf(yaml: string, port: number, host = 'app.default.svc.cluster.local'): string[] {
  const { registry } = meshOf(configsOf(yaml));
  const found = registry.services.find((candidate) => candidate.hostname === host);
  return (registry.endpoints.get(`${found?.namespace ?? ''}/${host}`)?.get(port) ?? []).map(({ address, port: number, healthy, mutualTls }) => `${address}:${number}${healthy ? '' : ' unready'}${mutualTls ? ' mtls' : ''}`);
}

test('the protocol: UDP, appProtocol, the name up to its first dash, well-known ports, else sniffed', () => {
  const of = (name: string, number = 80, appProtocol?: string) => portProtocol({ transport: 'TCP', name, number, appProtocol });
  assert.equal(portProtocol({ transport: 'UDP', name: 'http', number: 80 }), 'UDP');
  assert.equal(of('x', 80, 'kubernetes.io/h2c'), 'HTTP2');
  assert.equal(of('http-web'), 'HTTP');
  assert.equal(of('grpc-web'), 'GRPC_WEB');
  assert.equal(of('GRPC-als'), 'GRPC');
  assert.equal(of('httpx'), 'AUTO');
  assert.equal(of('', 3306), 'TCP');
});

test('endpoints are computed from Pods: selector, readiness, named target ports', () => {
  const pod = podYaml('a', '10.0.0.1', { labels: { app: 'x' } }).replace('    image: app', '    image: app\n    ports: [{name: web, containerPort: 8081}]');
  const yaml = service('{selector: {app: x}, ports: [{name: http, port: 80, targetPort: web}, {name: tcp, port: 90}]}') + pod + podYaml('b', '10.0.0.2', { labels: { app: 'x' }, ready: false }) + podYaml('c', '10.0.0.3', { labels: { app: 'y' } });
  assert.deepEqual(endpointsOf(yaml, 80), ['10.0.0.1:8081 mtls']);
  assert.deepEqual(endpointsOf(yaml, 90), ['10.0.0.1:90 mtls', '10.0.0.2:90 unready mtls']);
});

test('EndpointSlices, where they exist, are the truth; Pods lend labels and identity', () => {
  const slice = 'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: app-1, labels: {kubernetes.io/service-name: app}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}, {addresses: [10.0.0.9], conditions: {ready: false}}]\n---\n';
  const yaml = service('{selector: {app: x}, ports: [{name: http, port: 80}]}') + slice + podYaml('a', '10.0.0.1', { labels: { app: 'x' } }) + podYaml('b', '10.0.0.2', { labels: { app: 'x' } });
  assert.deepEqual(endpointsOf(yaml, 80), ['10.0.0.1:8080 mtls', '10.0.0.9:8080 unready']);
});

test('an endpoint on its way from one EndpointSlice to another is one, and ready when one of them says so', () => {
  const slice = (name: string, ready: boolean, address: string) => `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: ${name}, labels: {kubernetes.io/service-name: app}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.0.0.1], conditions: {ready: ${ready}}}, {addresses: [${address}], conditions: {ready: false}}]\n---\n`;
  const yaml = service('{selector: {app: x}, ports: [{name: http, port: 80}]}') + slice('app-1', false, '10.0.0.2') + slice('app-2', true, '10.0.0.2') + slice('app-3', false, '10.0.0.3');
  assert.deepEqual(endpointsOf(yaml, 80), ['10.0.0.1:8080', '10.0.0.2:8080 unready', '10.0.0.3:8080 unready']);
});

test('a Service\'s selector takes WorkloadEntries too', () => {
  const entry = 'apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm}\nspec: {address: 10.8.0.1, labels: {app: x}, ports: {http: 9090}}\n';
  assert.deepEqual(endpointsOf(service('{selector: {app: x}, ports: [{name: http, port: 80}]}') + entry, 80), ['10.8.0.1:9090']);
});

test('an ExternalName that names a mesh service is that service by another name', () => {
  const yaml = service('{ports: [{name: http, port: 80}]}') + 'apiVersion: v1\nkind: Service\nmetadata: {name: alias}\nspec: {type: ExternalName, externalName: app.default.svc.cluster.local}\n';
  const { services } = meshOf(configsOf(yaml));
  assert.deepEqual(services.all.map(({ hostname, aliases, aliasOf }) => [hostname, aliases, aliasOf]), [['alias.default.svc.cluster.local', [], 'app.default.svc.cluster.local'], ['app.default.svc.cluster.local', ['alias.default.svc.cluster.local'], undefined]]);
});

test('an ExternalName may name the host of a ServiceEntry, or another ExternalName; a circle of them is nothing', () => {
  const external = (name: string, host: string) => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {type: ExternalName, externalName: ${host}, ports: [{name: http, port: 80}]}\n---\n`;
  const entry = 'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: api}\nspec: {hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n---\n';
  const { services, registry } = meshOf(configsOf(external('far', 'near.default.svc.cluster.local') + external('near', 'api.example.com.') + external('x', 'y.default.svc.cluster.local') + external('y', 'x.default.svc.cluster.local') + entry));
  const found = new Map(services.all.map((service) => [service.hostname, service]));
  assert.deepEqual(found.get('api.example.com')?.aliases, ['far.default.svc.cluster.local', 'near.default.svc.cluster.local']);
  assert.equal(found.get('far.default.svc.cluster.local')?.aliasOf, 'api.example.com');
  assert.equal(found.get('x.default.svc.cluster.local')?.aliasOf, 'y.default.svc.cluster.local');
  assert.deepEqual([...(registry.endpoints.get('default/near.default.svc.cluster.local') ?? [])], [[80, []]]);
});

test('the workload of a Pod is named by label, by its Deployment, or by the Pod name', () => {
  const named = (yaml: string) => [...meshOf(configsOf(yaml)).registry.workloads.values()][0]?.name;
  assert.equal(named(podYaml('web-5d9f-x', '10.0.0.1', { labels: { 'service.istio.io/workload-name': 'w' } })), 'w');
  assert.equal(named(podYaml('web-5d9f-x', '10.0.0.1', { labels: { 'pod-template-hash': '5d9f' } })), 'web');
  assert.equal(named(podYaml('web', '10.0.0.1', { labels: {} })), 'web');
});

test('a Pod is where its node is, unless its own labels say', () => {
  const node = 'apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {topology.kubernetes.io/region: r, topology.kubernetes.io/zone: z, topology.istio.io/subzone: s}}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n2, labels: {failure-domain.beta.kubernetes.io/region: old}}\n---\n';
  const on = (pod: string, name: string) => pod.replace('\nspec:\n', `\nspec:\n  nodeName: ${name}\n`);
  const yaml = node + on(podYaml('a', '10.0.0.1', { labels: {} }), 'n1') + on(podYaml('b', '10.0.0.2', { labels: { 'istio-locality': 'x.y' } }), 'n1') + on(podYaml('c', '10.0.0.3', { labels: {} }), 'n2') + on(podYaml('d', '10.0.0.4', { labels: {} }), 'gone');
  const { workloads } = meshOf(configsOf(yaml)).registry;
  assert.deepEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].map((address) => Object.values(workloads.get(address)?.locality ?? {}).join('/')), ['r/z/s', 'x/y/', 'old//', '//']);
});

/** Two agents on one node's network, a service for one of them by slices, and another service. */
const onOneHost = (ready: boolean) => {
  const agent = (name: string, app: string) => podYaml(name, '172.16.0.1', { labels: { app } }).replace('spec:\n', 'spec:\n  hostNetwork: true\n');
  const slice = (name: string, address: string, pod: string) => `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: ${name}-1, labels: {kubernetes.io/service-name: ${name}}}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: [{addresses: [${address}], conditions: {ready: ${ready}}, targetRef: {kind: Pod, name: ${pod}, namespace: default}}]\n---\n`;
  const other = 'apiVersion: v1\nkind: Service\nmetadata: {name: other}\nspec: {selector: {app: other}, ports: [{name: http, port: 80}]}\n---\n';
  return configsOf(service('{selector: {app: first}, ports: [{name: http, port: 80}]}') + slice('app', '172.16.0.1', 'a-first') + other + slice('other', '10.0.0.7', 'c-other') + agent('a-first', 'first') + agent('b-second', 'second') + podYaml('c-other', '10.0.0.7', { labels: { app: 'other' } }));
};

test('of Pods on the host\'s network, which have one address, each endpoint is that of the Pod it names', () => {
  const { registry } = meshOf(onOneHost(true));
  assert.deepEqual(registry.endpoints.get('default/app.default.svc.cluster.local')?.get(80)?.map(({ labels }) => labels['app']), ['first']);
});

test('Pods on the host\'s network do not cost a whole build for each endpoint that changes', () => {
  const first = onOneHost(true);
  const before = meshOf(first);
  const isSlice = ({ key }: (typeof first)[number]) => key.kind === 'EndpointSlice' && key.name === 'other-1';
  const after = meshOf(first.map((config) => (isSlice(config) ? (onOneHost(false).find(isSlice) ?? config) : config)), {}, before);
  assert.equal(after.registry.endpoints.get('default/other.default.svc.cluster.local')?.get(80)?.[0]?.healthy, false);
  assert.equal(after.registry.services, before.registry.services, 'nothing else was computed anew');
});

test('who has an address when a Pod that shared it with one on the host\'s network goes is what a build from nothing says', () => {
  const all = configsOf(podYaml('a-host', '10.0.0.1', { labels: { app: 'host' } }).replace('spec:\n', 'spec:\n  hostNetwork: true\n') + podYaml('b-pod', '10.0.0.1', { labels: { app: 'pod' } }));
  const before = meshOf(all);
  const left = all.filter(({ key }) => key.name !== 'b-pod');
  const appAt = ({ registry }: ReturnType<typeof meshOf>) => registry.workloads.get('10.0.0.1')?.labels['app'];
  assert.deepEqual([appAt(before), appAt(meshOf(left, {}, before)), appAt(meshOf(left))], ['pod', 'host', 'host']);
});
