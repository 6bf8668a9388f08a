import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import type { MeshConfigSpec } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { featuresFrom } from '../../features.ts';
import { configsOf, meshOf, podYaml, proxyOf } from '../../testing/mesh.test-support.ts';
import { assertProxyTakes } from '../../testing/proxy-takes.test-support.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { listenerReferences } from '../references.ts';
import { translate } from '../translate.ts';

const client = (metadata: Record<string, unknown> = {}, ip = '10.0.0.1') => proxyOf(`sidecar~${ip}~client.default~default.svc.cluster.local`, { NAMESPACE: 'default', ...metadata });
const service = (name: string, ports: string, rest = '') => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [${ports}]${rest}}\n---\n`;
const vip = (ip: string) => `, clusterIP: ${ip}`;
const istio = (kind: string, name: string, spec: string) => `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
const external = (name: string, spec: string) => istio('ServiceEntry', name, `{location: MESH_EXTERNAL, ${spec}}`);

interface Options {
  readonly proxy?: Proxy;
  readonly mesh?: Partial<MeshConfigSpec>;
  readonly env?: Record<string, string>;
}

/** Listener name → one line per chain: "condition → where to"; all of it taken by our own proxy. */
function listenersOf(yaml: string, { proxy = client(), mesh, env = {} }: Options = {}): Record<string, string[]> {
  const push = meshOf(configsOf(yaml), mesh, undefined, featuresFrom(env));
  assertProxyTakes(push, proxy);
  const found = [...translate(push, proxy, { typeUrl: xdsType.listener }).resources.values()].map(({ any }) => Listener.decode(any.value)).filter(({ name }) => !name.startsWith('virtual'));
  return Object.fromEntries(found.map((listener) => [listener.name, [...listener.filterChains.map(chainText), ...(listener.defaultFilterChain ? [`else ${target(listener.defaultFilterChain)}`] : [])]]));
}

function chainText(chain: FilterChain): string {
  const { serverNames = [], prefixRanges = [], applicationProtocols = [] } = chain.filterChainMatch ?? {};
  const conditions = [...serverNames, ...prefixRanges.map(({ addressPrefix, prefixLen }) => `${addressPrefix}/${prefixLen ?? 0}`), ...(applicationProtocols.includes('h2c') ? ['http'] : [])];
  return `${conditions.join(' ') || 'all'} → ${target(chain)}`;
}

function target(chain: FilterChain): string {
  const { routes, clusters } = listenerReferences({ ...Listener.decode(new Uint8Array(0)), filterChains: [chain] });
  return [...[...routes].map((name) => `routes ${name}`), ...clusters].map((name) => name.replace('.default.svc.cluster.local', '')).join(' ');
}

test('HTTP ports share the wildcard address; what does not look like HTTP passes on', () => {
  const yaml = service('a', '{name: http, port: 80}', vip('10.96.0.1')) + service('b', '{name: grpc, port: 80}', vip('10.96.0.2'));
  assert.deepEqual(listenersOf(yaml), { '0.0.0.0_80': ['http → routes 80', 'else PassthroughCluster'] });
  assert.deepEqual(listenersOf(yaml, { mesh: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } } }), { '0.0.0.0_80': ['http → routes 80', 'else BlackHoleCluster'] });
});

test('a TCP port listens on the service\'s own address, a sniffed one with routes of its own beside', () => {
  assert.deepEqual(listenersOf(service('db', '{name: tcp, port: 5432}, {name: any, port: 7000}, {name: tls, port: 443}', vip('10.96.0.5'))), {
    '10.96.0.5_443': ['all → outbound|443||db'],
    '10.96.0.5_5432': ['all → outbound|5432||db'],
    '10.96.0.5_7000': ['http → routes db:7000', 'else outbound|7000||db'],
  });
});

test('ports 25, 53, 3306 and 27017 are not sniffed, for their servers speak first; UDP has no listener', () => {
  const yaml = service('x', '{name: a, port: 25}, {name: b, port: 53}, {name: c, port: 3306}, {name: d, port: 27017}, {name: e, port: 53, protocol: UDP}', vip('10.96.0.5'));
  assert.deepEqual(Object.values(listenersOf(yaml)).flat(), ['all → outbound|25||x', 'all → outbound|27017||x', 'all → outbound|3306||x', 'all → outbound|53||x']);
});

test('appProtocol decides before the name, also when nobody knows it', () => {
  const of = (port: string) => listenersOf(service('x', port, vip('10.96.0.5')));
  assert.deepEqual(Object.keys(of('{name: tcp, port: 80, appProtocol: http}')), ['0.0.0.0_80']);
  assert.deepEqual(of('{name: tcp, port: 80, appProtocol: mine}'), { '10.96.0.5_80': ['http → routes x:80', 'else outbound|80||x'] });
});

test('HTTP and TCP on one wildcard port: sniffed, whoever came first', () => {
  const tcp = external('tcp', 'hosts: [tcp.example], resolution: STATIC, endpoints: [{address: 1.1.1.1}], ports: [{number: 80, name: tcp, protocol: TCP}]');
  const http = service('a', '{name: http, port: 80}', vip('10.96.0.1'));
  assert.deepEqual(listenersOf(http + tcp), { '0.0.0.0_80': ['http → routes 80', 'else outbound|80||tcp.example'] });
  const tls = external('tls', 'hosts: [tls.example], resolution: STATIC, endpoints: [{address: 1.1.1.1}], ports: [{number: 80, name: tls, protocol: TLS}]');
  assert.deepEqual(listenersOf(http + tls), { '0.0.0.0_80': ['http → routes 80', 'tls.example → outbound|80||tls.example', 'else PassthroughCluster'] });
});

test('of two TCP services without address on one port the first by name stays; TLS services are told apart by server name', () => {
  const entry = (name: string, protocol: string) => external(name, `hosts: [${name}.example], resolution: STATIC, endpoints: [{address: 1.1.1.1}], ports: [{number: 90, name: p, protocol: ${protocol}}]`);
  assert.deepEqual(listenersOf(entry('b', 'TCP') + entry('a', 'TCP')), { '0.0.0.0_90': ['all → outbound|90||a.example'] });
  assert.deepEqual(listenersOf(entry('b', 'TLS') + entry('a', 'HTTPS')), { '0.0.0.0_90': ['a.example → outbound|90||a.example', 'b.example → outbound|90||b.example', 'else PassthroughCluster'] });
});

test('MongoDB and MySQL share a port with nobody else', () => {
  const entry = (name: string, protocol: string) => external(name, `hosts: [${name}.example], resolution: STATIC, endpoints: [{address: 1.1.1.1}], ports: [{number: 90, name: p, protocol: ${protocol}}]`);
  assert.deepEqual(listenersOf(entry('a', 'MONGO') + entry('b', 'TLS')), { '0.0.0.0_90': ['all → outbound|90||a.example'] });
});

test('a ServiceEntry\'s addresses: one listener each; blocks share the wildcard and are told apart by destination', () => {
  const entry = (addresses: string, protocol = 'TCP') => external('x', `hosts: [x.example], addresses: [${addresses}], resolution: STATIC, endpoints: [{address: 1.1.1.1}], ports: [{number: 90, name: p, protocol: ${protocol}}]`);
  assert.deepEqual(listenersOf(entry('1.2.3.4, 1.2.3.5/32')), { '1.2.3.4_90': ['all → outbound|90||x.example'], '1.2.3.5_90': ['all → outbound|90||x.example'] });
  assert.deepEqual(listenersOf(entry('10.1.0.0/16')), { '0.0.0.0_90': ['10.1.0.0/16 → outbound|90||x.example', 'else PassthroughCluster'] });
  assert.deepEqual(listenersOf(entry('10.1.0.0/16', 'TLS')), { '0.0.0.0_90': ['x.example 10.1.0.0/16 → outbound|90||x.example', 'else PassthroughCluster'] });
});

const headless = service('db', '{name: tcp, port: 90}, {name: any, port: 91}, {name: http, port: 80}', ', clusterIP: None, selector: {app: db}');
const pods = podYaml('db-0', '10.0.1.1', { labels: { app: 'db' } }) + podYaml('db-1', '10.0.1.2', { labels: { app: 'db' } });

test('a headless service: a listener per Pod for TCP and sniffed ports, not for the client\'s own Pod; none without Pods', () => {
  assert.deepEqual(listenersOf(headless + pods), {
    '0.0.0.0_80': ['http → routes 80', 'else PassthroughCluster'],
    '10.0.1.1_90': ['all → outbound|90||db'],
    '10.0.1.1_91': ['http → routes db:91', 'else outbound|91||db'],
    '10.0.1.2_90': ['all → outbound|90||db'],
    '10.0.1.2_91': ['http → routes db:91', 'else outbound|91||db'],
  });
  assert.deepEqual(Object.keys(listenersOf(headless + pods, { proxy: client({}, '10.0.1.1') })), ['0.0.0.0_80', '10.0.1.2_90', '10.0.1.2_91']);
  assert.deepEqual(Object.keys(listenersOf(headless)), ['0.0.0.0_80']);
});

test('PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER: one listener that tells Pods apart', () => {
  assert.deepEqual(listenersOf(headless + pods, { env: { PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER: 'true' } })['0.0.0.0_90'], ['10.0.1.1/32 → outbound|90||db', '10.0.1.2/32 → outbound|90||db', 'else PassthroughCluster']);
});

test('a ServiceEntry that is passed through: by name for TLS, everything on the port for TCP', () => {
  const entry = (protocol: string) => external('x', `hosts: ["*.x.example"], resolution: NONE, ports: [{number: 443, name: p, protocol: ${protocol}}]`);
  assert.deepEqual(listenersOf(entry('TLS')), { '0.0.0.0_443': ['*.x.example → outbound|443||*.x.example', 'else PassthroughCluster'] });
  assert.deepEqual(listenersOf(entry('TCP')), { '0.0.0.0_443': ['all → outbound|443||*.x.example'] });
});

const tls = service('web', '{name: tls, port: 443}', vip('10.96.0.5'));

test('TLS routes: the first match for this client of each name; the service itself only when no route is for it', () => {
  const route = (match: string) => istio('VirtualService', 'web', `{hosts: [web, a.example, b.example], tls: [${match}]}`);
  const to = (subset: string, match: string) => `{match: [${match}], route: [{destination: {host: web, subset: ${subset}}}]}`;
  const yaml = tls + route(`${to('one', '{sniHosts: [a.example], sourceLabels: {app: other}}')}, ${to('two', '{sniHosts: [a.example]}')}, ${to('three', '{sniHosts: [a.example]}')}, ${to('four', '{sniHosts: [b.example], port: 8443}')}`);
  assert.deepEqual(listenersOf(yaml), { '10.96.0.5_443': ['a.example → outbound|443|two|web', 'else PassthroughCluster'] });
  assert.deepEqual(listenersOf(tls + route(to('one', '{sniHosts: [a.example], port: 8443}'))), { '10.96.0.5_443': ['all → outbound|443||web'] });
});

test('TCP routes: by destination first, the one for every destination ends the list', () => {
  const tcp = service('db', '{name: tcp, port: 90}', vip('10.96.0.5'));
  const route = (spec: string) => istio('VirtualService', 'db', `{hosts: [db], tcp: [${spec}]}`);
  const to = (subset: string, match: string) => `{match: [${match}], route: [{destination: {host: db, subset: ${subset}}}]}`;
  assert.deepEqual(listenersOf(tcp + route(`${to('one', '{destinationSubnets: [10.1.0.0/16]}')}, ${to('two', '{port: 90}')}, ${to('three', '{}')}`)), { '10.96.0.5_90': ['10.1.0.0/16 → outbound|90|one|db', 'else outbound|90|two|db'] });
  assert.deepEqual(listenersOf(tcp + route(to('one', '{port: 91}'))), { '10.96.0.5_90': ['all → outbound|90||db'] });
});

test('a Sidecar\'s own listener: on the address it names, with the services that have the port; the catch-all leaves it alone', () => {
  const services = service('a', '{name: tcp, port: 90}', vip('10.96.0.1')) + service('b', '{name: http, port: 80}', vip('10.96.0.2'));
  const sidecar = (egress: string) => istio('Sidecar', 'default', `{egress: [${egress}, {hosts: ["*/*"]}]}`);
  assert.deepEqual(listenersOf(services + sidecar('{port: {number: 90, name: t, protocol: TCP}, bind: 127.0.0.2, captureMode: NONE, hosts: ["./*"]}')), {
    '0.0.0.0_80': ['http → routes 80', 'else PassthroughCluster'],
    '10.96.0.1_90': ['all → outbound|90||a'],
    '127.0.0.2_90': ['all → outbound|90||a'],
  });
  assert.deepEqual(listenersOf(services + sidecar('{port: {number: 80, name: h, protocol: HTTP}, hosts: ["./*"]}'))['0.0.0.0_80'], ['http → routes 80', 'else PassthroughCluster']);
  assert.deepEqual(listenersOf(services + sidecar('{port: {number: 81, name: h, protocol: HTTP}, hosts: ["./*"]}'))['0.0.0.0_81'], undefined);
});

test('a Sidecar may send unknown traffic through an egress proxy', () => {
  const yaml = service('out', '{name: tcp, port: 90}', vip('10.96.0.1')) + service('a', '{name: http, port: 80}') + istio('Sidecar', 'default', '{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: out.default.svc.cluster.local, port: {number: 90}}}}');
  assert.deepEqual(listenersOf(yaml)['0.0.0.0_80'], ['http → routes 80', 'else outbound|90||out']);
});

test('ports that the proxy needs itself are not taken on the wildcard address', () => {
  assert.deepEqual(Object.keys(listenersOf(service('a', '{name: http, port: 15001}, {name: http-b, port: 15021}, {name: tcp, port: 15006}', vip('10.96.0.1')))), ['10.96.0.1_15006']);
});

test('IPv6: a proxy with IPv6 alone listens on ::, one with both families on both', () => {
  const yaml = service('a', '{name: http, port: 80}, {name: tcp, port: 90}', ', clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00::1"]');
  assert.deepEqual(Object.keys(listenersOf(yaml, { proxy: client({}, 'fd00::9') })), ['::_80', 'fd00::1_90']);
  const push = meshOf(configsOf(yaml));
  const both = client({ INSTANCE_IPS: '10.0.0.1,fd00::9' });
  assertProxyTakes(push, both);
  const more = [...translate(push, both, { typeUrl: xdsType.listener }).resources.values()].map(({ any }) => Listener.decode(any.value)).map(({ name, additionalAddresses }) => [name, additionalAddresses.length]);
  assert.deepEqual(Object.fromEntries(more), { '0.0.0.0_80': 1, '10.96.0.1_90': 1, virtualInbound: 0, virtualOutbound: 0 });
});
