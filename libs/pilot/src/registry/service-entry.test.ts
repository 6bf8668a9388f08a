import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import type { Config, ServiceEntrySpec } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { configsOf, meshOf, podYaml, productpage, proxyOf } from '../testing/mesh.test-support.ts';
import { assertProxyTakes } from '../testing/proxy-takes.test-support.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { translate } from '../translate/translate.ts';
import { autoAddresses } from './auto-addresses.ts';

const istio = (kind: string, name: string, spec: string, rest = '', after = '') => `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}${rest}}\nspec: ${spec}\n${after}---\n`;
const entry = (name: string, spec: string, rest = '', after = '') => istio('ServiceEntry', name, `{ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}, {number: 90, name: tcp, protocol: TCP}], ${spec}}`, rest, after);
const workload = (name: string, spec: string, rest = '') => istio('WorkloadEntry', name, spec, rest);

/** "address:port weight" of a host's port; everything sent is one our own proxy takes. */
function endpointsOf(yaml: string, port = 80, host = 'x.example'): string[] {
  const push = meshOf(configsOf(yaml));
  assertProxyTakes(push, productpage());
  const service = push.registry.services.find(({ hostname }) => hostname === host);
  return (push.registry.endpoints.get(`${service?.namespace ?? ''}/${host}`)?.get(port) ?? []).map(({ address, port: number, weight, mutualTls }) => `${address}:${number}${weight === 1 ? '' : ` w${weight}`}${mutualTls ? ' mtls' : ''}`);
}

/** "type address" of the cluster of port 80, or none. */
function clusterOf(yaml: string, name = 'outbound|80||x.example'): string {
  const push = meshOf(configsOf(yaml));
  assertProxyTakes(push, productpage());
  const found = translate(push, productpage(), { typeUrl: xdsType.cluster }).resources.get(name);
  if (!found) return 'none';
  const { clusterDiscoveryType: type, loadAssignment, lbConfig } = Cluster.decode(found.any.value);
  const override = lbConfig?.$case === 'originalDstLbConfig' ? ` port ${lbConfig.value.upstreamPortOverride ?? 0}` : '';
  return `${['static', 'strict', 'logical', 'eds', 'original'][Number(type?.value)]} ${loadAssignment?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints).length ?? 0}${override}`;
}

test('where endpoints listen: their own port of that name, else the targetPort, else the port; a socket has none', () => {
  const yaml = entry('x', 'hosts: [x.example], resolution: STATIC, location: MESH_INTERNAL, endpoints: [{address: 1.1.1.1, ports: {http: 1}, weight: 5}, {address: 1.1.1.2}]');
  assert.deepEqual(endpointsOf(yaml), ['1.1.1.1:1 w5', '1.1.1.2:8080']);
  assert.deepEqual(endpointsOf(yaml, 90), ['1.1.1.1:90 w5', '1.1.1.2:90']);
  assert.deepEqual(endpointsOf(istio('ServiceEntry', 'x', '{hosts: [x.example], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: "unix:///run/app.sock"}]}')), ['unix:///run/app.sock:0']);
});

test('a selector takes Pods and WorkloadEntries of its namespace, by labels of metadata too', () => {
  const yaml = entry('x', 'hosts: [x.example], resolution: STATIC, location: MESH_INTERNAL, workloadSelector: {labels: {app: x}}') + podYaml('p', '10.0.0.7', { labels: { app: 'x' } }) + workload('w', '{address: 2.2.2.2, labels: {app: x}, serviceAccount: vm}') + workload('m', '{address: 2.2.2.3}', ', labels: {app: x}') + workload('other', '{address: 2.2.2.4, labels: {app: y}}');
  assert.deepEqual(endpointsOf(yaml), ['10.0.0.7:8080 mtls', '2.2.2.2:8080 mtls', '2.2.2.3:8080']);
});

test('resolutions: how a cluster finds its hosts, and none without any', () => {
  const dns = (rest: string) => entry('x', `hosts: [x.example], location: MESH_EXTERNAL, ${rest}`);
  assert.equal(clusterOf(dns('resolution: STATIC, endpoints: [{address: 1.1.1.1}]')), 'eds 0');
  assert.equal(clusterOf(dns('resolution: DNS')), 'strict 1');
  assert.equal(clusterOf(dns('resolution: DNS, endpoints: [{address: a.example}, {address: b.example}]')), 'strict 2');
  assert.equal(clusterOf(dns('resolution: DNS_ROUND_ROBIN')), 'logical 1');
  assert.equal(clusterOf(dns('resolution: NONE')), 'original 0 port 8080');
  assert.equal(clusterOf(dns('resolution: DNS, workloadSelector: {labels: {app: x}}')), 'none');
});

test('a subset of names without any is no cluster', () => {
  const rule = istio('DestinationRule', 'x', '{host: x.example, subsets: [{name: a, labels: {v: a}}, {name: b, labels: {v: b}}]}');
  const yaml = entry('x', 'hosts: [x.example], location: MESH_EXTERNAL, resolution: DNS, endpoints: [{address: a.example, labels: {v: a}}]') + rule;
  assert.deepEqual([clusterOf(yaml, 'outbound|80|a|x.example'), clusterOf(yaml, 'outbound|80|b|x.example')], ['strict 1', 'none']);
});

test('two entries of one host and namespace are one service: ports, addresses and endpoints of both', () => {
  const part = (name: string, port: number, address: string, rest = '') => istio('ServiceEntry', name, `{hosts: [x.example], resolution: STATIC, location: MESH_INTERNAL, ports: [{number: ${port}, name: p${port}, protocol: TCP}], endpoints: [{address: ${address}}]${rest}}`);
  const yaml = part('a', 80, '1.1.1.1') + part('b', 80, '1.1.1.2') + part('c', 81, '1.1.1.3');
  assert.deepEqual([endpointsOf(yaml, 80), endpointsOf(yaml, 81)], [['1.1.1.1:80', '1.1.1.2:80'], ['1.1.1.3:81']]);
  assert.deepEqual(endpointsOf(part('a', 80, '1.1.1.1') + part('b', 80, '1.1.1.2', ', exportTo: ["."]')), ['1.1.1.1:80']);
});

test('an entry for a Kubernetes Service\'s host only lends it names for certificates', () => {
  const yaml = `apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {ports: [{name: http, port: 80}]}\n---\n${istio('ServiceEntry', 'x', '{hosts: [app.default.svc.cluster.local], resolution: STATIC, ports: [{number: 81, name: http, protocol: HTTP}], subjectAltNames: [spiffe://other/x]}')}`;
  const [service] = meshOf(configsOf(yaml)).registry.services;
  assert.deepEqual([service?.registry, service?.ports.map(({ number }) => number), service?.subjectAltNames], ['kubernetes', [80], ['spiffe://other/x']]);
});

test('a proxy serves what its own namespace says of its address, in whatever kind of object', () => {
  const proxy = proxyOf('sidecar~10.9.0.1~vm.default~default.svc.cluster.local', { NAMESPACE: 'default', INSTANCE_IPS: '10.9.0.1,fd00::9' });
  const inbound = (yaml: string) => [...translate(meshOf(configsOf(yaml)), proxy, { typeUrl: xdsType.cluster }).resources.keys()].filter((name) => name.startsWith('inbound|')).toSorted();
  const at = (address: string) => entry('x', `hosts: [x.example], resolution: STATIC, location: MESH_INTERNAL, endpoints: [{address: "${address}", ports: {http: 7000}}]`);
  assert.deepEqual(inbound(at('10.9.0.1')), ['inbound|7000||', 'inbound|90||']);
  assert.deepEqual(inbound(at('fd00::9')), ['inbound|7000||', 'inbound|90||']);
  assert.deepEqual(inbound(at('10.9.0.1').replace('name: x', 'name: x, namespace: other')), []);
  assert.deepEqual(inbound(entry('x', 'hosts: [x.example], resolution: STATIC, location: MESH_INTERNAL, workloadSelector: {labels: {app: x}}') + workload('w', '{address: 10.9.0.1, labels: {app: x}}')), ['inbound|8080||', 'inbound|90||']);
  const slice = 'apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{name: http, port: 80}]}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s-1, labels: {kubernetes.io/service-name: s}}\naddressType: IPv4\nports: [{name: http, port: 7001}]\nendpoints: [{addresses: [10.9.0.1]}]\n';
  assert.deepEqual(inbound(slice), ['inbound|7001||']);
});

const dns = (name: string, rest = '', after = '') => entry(name, `hosts: [${name}.example], location: MESH_EXTERNAL, resolution: DNS`, rest, after);

function listenersOf(yaml: string, metadata: Record<string, unknown>): string[] {
  const push = meshOf(configsOf(yaml));
  const proxy: Proxy = productpage(metadata);
  assertProxyTakes(push, proxy);
  return [...translate(push, proxy, { typeUrl: xdsType.listener }).resources.values()].map(({ any }) => Listener.decode(any.value).name).filter((name) => name.endsWith('_90'));
}

test('an address of its own: for proxies that resolve names; the one in status; not when switched off or given', () => {
  const status = 'status: {addresses: [{value: 240.240.7.7, host: x.example}, {value: "2001:2::7", host: x.example}]}\n';
  assert.deepEqual(listenersOf(dns('x', '', status), {}), ['0.0.0.0_90']);
  assert.deepEqual(listenersOf(dns('x', '', status), { DNS_CAPTURE: 'true' }), ['240.240.7.7_90']);
  assert.match(listenersOf(dns('x'), { DNS_CAPTURE: true })[0] ?? '', /^240\.240\.\d+\.\d+_90$/);
  assert.deepEqual(listenersOf(dns('x', ', labels: {networking.istio.io/enable-autoallocate-ip: "false"}', status), { DNS_CAPTURE: 'true' }), ['0.0.0.0_90']);
  assert.deepEqual(listenersOf(entry('x', 'hosts: [x.example], addresses: [1.2.3.4], location: MESH_EXTERNAL, resolution: DNS', '', status), { DNS_CAPTURE: 'true' }), ['1.2.3.4_90']);
});

test('an address stays with its host whoever comes and goes; of two statuses that claim one the older keeps it, and written addresses are nobody else\'s', () => {
  const named = (name: string, more: Partial<Config<ServiceEntrySpec>> = {}): Config<ServiceEntrySpec> => ({
    key: { group: 'networking.istio.io', kind: 'ServiceEntry', namespace: 'n', name }, apiVersion: 'networking.istio.io/v1', meta: { name, namespace: 'n', labels: {}, annotations: {}, creationTimestamp: '' },
    spec: { hosts: [`${name}.example`], addresses: [], ports: [], location: 'MESH_EXTERNAL', resolution: 'DNS', endpoints: [], exportTo: [], subjectAltNames: [] }, ...more,
  });
  const given = (entries: readonly Config<ServiceEntrySpec>[], before?: (namespace: string, host: string) => readonly string[]) => Object.fromEntries([...autoAddresses(entries, before).values()].flatMap((hosts) => [...hosts]));
  const status = (value: string, name: string) => ({ status: { addresses: [{ value, host: `${name}.example` }] } });
  assert.deepEqual(given([named('a')], () => ['240.240.9.9']), { 'a.example': ['240.240.9.9'] });
  assert.deepEqual(given([named('b', status('240.240.9.9', 'b')), named('a')], () => ['240.240.9.9'])['b.example'], ['240.240.9.9'], 'a status comes first');
  const young = { meta: { ...named('a').meta, creationTimestamp: '2026-01-02T00:00:00Z' }, ...status('240.240.9.9', 'a') };
  const both = given([named('a', young), named('b', { meta: { ...named('b').meta, creationTimestamp: '2026-01-01T00:00:00Z' }, ...status('240.240.9.9', 'b') })]);
  assert.deepEqual([both['b.example'], both['a.example']?.[0] === '240.240.9.9'], [['240.240.9.9'], false]);
  const written = named('c');
  assert.notDeepEqual(given([named('a', status('240.240.9.9', 'a')), { ...written, spec: { ...written.spec, addresses: ['240.240.9.9'] } }])['a.example'], ['240.240.9.9']);
});

test('HTTP is called by that address, too, by proxies that resolve names', () => {
  const domains = (metadata: Record<string, unknown>) => {
    const status = 'status: {addresses: [{value: 240.240.7.7, host: x.example}]}\n';
    const table = translate(meshOf(configsOf(dns('x', '', status))), productpage(metadata), { typeUrl: xdsType.route, names: ['80'] }).resources.get('80');
    return table ? RouteConfiguration.decode(table.any.value).virtualHosts[0]?.domains : [];
  };
  assert.deepEqual([domains({})?.includes('240.240.7.7'), domains({ DNS_CAPTURE: 'true' })?.includes('240.240.7.7')], [false, true]);
});

test('whatever entries there are, each host has addresses of its own, and a younger entry changes nobody\'s', () => {
  const named = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 40 });
  const built = (names: readonly string[]) => names.map((name): Config<ServiceEntrySpec> => ({
    key: { group: 'networking.istio.io', kind: 'ServiceEntry', namespace: 'n', name }, apiVersion: 'networking.istio.io/v1',
    meta: { name, namespace: 'n', labels: {}, annotations: {}, creationTimestamp: '' },
    spec: { hosts: [`${name}.example`], addresses: [], ports: [], location: 'MESH_EXTERNAL', resolution: 'DNS', endpoints: [], exportTo: [], subjectAltNames: [] },
  }));
  fc.assert(fc.property(named, (names) => {
    const entries = built(names);
    const all = entries.map((one) => [...(autoAddresses(entries).get(one)?.values() ?? [])].flat());
    assert.equal(new Set(all.flat()).size, names.length * 2);
    const before = entries.slice(0, -1);
    assert.deepEqual(before.map((one) => [...(autoAddresses(before).get(one)?.values() ?? [])].flat()), all.slice(0, -1));
  }));
});
