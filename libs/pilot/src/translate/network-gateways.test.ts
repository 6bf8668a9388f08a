import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { xdsType } from '@meltemi/xds';
import { configsOf, ingressGateway, meshOf, podYaml, productpage } from '../testing/mesh.test-support.ts';
import { assertProxyTakes } from '../testing/proxy-takes.test-support.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { translate } from './translate.ts';

const entry = (endpoints: string, rest = '') => `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: app}\nspec:\n  hosts: [app.example]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints: [${endpoints}]${rest}\n---\n`;
const near = '{address: 10.0.0.1, serviceAccount: a, network: one}';
const far = (address: string, rest = ', serviceAccount: a') => `{address: ${address}, network: two${rest}}`;
const networks = (text: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  meshNetworks: |\n    networks:\n${text.split('\n').map((line) => `      ${line}`).join('\n')}\n---\n`;
const twoGateways = networks('two:\n  gateways: [{address: 1.1.1.1, port: 15443}, {address: 1.1.1.2, port: 15443}]');

/** "address:port weight" of a cluster's endpoints; everything sent is one our own proxy takes. */
function endpointsOf(yaml: string, options: { readonly proxy?: Proxy; readonly name?: string } = {}): string[] {
  const { proxy = productpage({ NETWORK: 'one' }), name = 'outbound|80||app.example' } = options;
  const push = meshOf(configsOf(yaml));
  assertProxyTakes(push, proxy);
  const found = translate(push, proxy, { typeUrl: xdsType.endpoint, names: [name] }).resources.get(name);
  const list = found ? ClusterLoadAssignment.decode(found.any.value).endpoints.flatMap(({ lbEndpoints }) => lbEndpoints) : [];
  return list.map(({ hostIdentifier: host, loadBalancingWeight }) => {
    const at = host?.$case === 'endpoint' && host.value.address?.address?.$case === 'socketAddress' ? host.value.address.address.value : undefined;
    return `${at?.address ?? ''}:${at?.portSpecifier?.value ?? ''} ${loadBalancingWeight ?? 0}`;
  });
}

test('endpoints of another network are its gateways, which share their weight; those without mutual TLS are left out', () => {
  const yaml = entry(`${near}, ${far('10.1.0.1')}, ${far('10.1.0.2')}, ${far('10.1.0.3', '')}`);
  assert.deepEqual(endpointsOf(yaml + twoGateways), ['10.0.0.1:80 2', '1.1.1.1:15443 2', '1.1.1.2:15443 2']);
  assert.deepEqual(endpointsOf(yaml), ['10.0.0.1:80 1', '10.1.0.1:80 1', '10.1.0.2:80 1', '10.1.0.3:80 1']);
});

test('a gateway is where the endpoints are that it stands for, whatever MeshNetworks says of its place', () => {
  const written = twoGateways.replaceAll('port: 15443', 'port: 15443, locality: elsewhere/z9');
  const push = meshOf(configsOf(entry(`${far('10.1.0.1', ', serviceAccount: a, locality: r/z1')}, ${far('10.1.0.2', ', serviceAccount: a, locality: r/z2')}`) + written));
  const name = 'outbound|80||app.example';
  const found = translate(push, productpage({ NETWORK: 'one' }), { typeUrl: xdsType.endpoint, names: [name] }).resources.get(name);
  assert.ok(found);
  assert.deepEqual(ClusterLoadAssignment.decode(found.any.value).endpoints.map(({ locality, lbEndpoints }) => `${locality?.region}/${locality?.zone} ${lbEndpoints.length}`), ['r/z1 2', 'r/z2 2']);
});

test('an endpoint may have no address when a gateway leads to it', () => {
  assert.deepEqual(endpointsOf(entry(`${near}, {network: two, serviceAccount: a, ports: {http: 80}}`) + twoGateways), ['10.0.0.1:80 2', '1.1.1.1:15443 1', '1.1.1.2:15443 1']);
});

test('a network without gateways is reached directly; a client of no network goes through gateways of named ones', () => {
  assert.deepEqual(endpointsOf(entry(`${near}, {address: 10.2.0.1, network: three}`) + twoGateways), ['10.0.0.1:80 2', '10.2.0.1:80 2']);
  assert.deepEqual(endpointsOf(entry(far('10.1.0.1')) + twoGateways, { proxy: productpage() }), ['1.1.1.1:15443 1', '1.1.1.2:15443 1']);
});

test('the network of an endpoint: its range, its cluster, its label', () => {
  const ranges = networks('two:\n  endpoints: [{fromCidr: 10.1.0.0/16}]\n  gateways: [{address: 1.1.1.1, port: 15443}]');
  assert.deepEqual(endpointsOf(entry('{address: 10.1.9.9, serviceAccount: a}, {address: 10.2.0.1, serviceAccount: a}') + ranges), ['10.2.0.1:80 1', '1.1.1.1:15443 1']);
  const registry = networks('two:\n  endpoints: [{fromRegistry: Kubernetes}]\n  gateways: [{address: 1.1.1.1, port: 15443}]');
  assert.deepEqual(endpointsOf(entry('{address: 10.9.9.9, serviceAccount: a}') + registry), ['1.1.1.1:15443 1']);
  assert.deepEqual(endpointsOf(entry('{address: 10.9.9.9, serviceAccount: a, labels: {topology.istio.io/network: one}}') + registry), ['10.9.9.9:80 1']);
});

test('a Service that is labelled as a network\'s gateway, by the addresses its load balancer was given', () => {
  const gateway = 'apiVersion: v1\nkind: Service\nmetadata: {name: eastwest, namespace: istio-system, labels: {topology.istio.io/network: two}}\nspec: {type: LoadBalancer, ports: [{name: tls, port: 15443}], externalIPs: [2.2.2.2]}\nstatus: {loadBalancer: {ingress: [{ip: 2.2.2.3}, {hostname: x.example}]}}\n---\n';
  assert.deepEqual(endpointsOf(entry(far('10.1.0.1')) + gateway), ['2.2.2.2:15443 1', '2.2.2.3:15443 1']);
  assert.deepEqual(endpointsOf(entry(far('10.1.0.1')) + gateway.replace('port: 15443', 'port: 443')), ['10.1.0.1:80 1']);
});

test('a gateway that passes mutual TLS through has clusters named by server name, with endpoints that speak it', () => {
  const gateway = 'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: cross, namespace: istio-system}\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["*.local"]}]}\n---\n';
  const app = `apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {app: app}, ports: [{name: http, port: 80}]}\n---\n${podYaml('a', '10.0.0.1', { labels: { app: 'app' } })}${podYaml('b', '10.0.0.2', { labels: { app: 'app', 'security.istio.io/tlsMode': 'disabled' } })}`;
  const rule = 'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: app}\nspec: {host: app, subsets: [{name: v1, labels: {app: app}}]}\n---\n';
  const proxy = ingressGateway();
  const names = (yaml: string) => [...translate(meshOf(configsOf(yaml)), proxy, { typeUrl: xdsType.cluster }).resources.keys()].filter((name) => name.startsWith('outbound_'));
  assert.deepEqual(names(app + rule + gateway), ['outbound_.80_._.app.default.svc.cluster.local', 'outbound_.80_.v1_.app.default.svc.cluster.local']);
  assert.deepEqual(names(app + rule), []);
  assert.deepEqual(endpointsOf(app + gateway, { proxy, name: 'outbound_.80_._.app.default.svc.cluster.local' }), ['10.0.0.1:80 1']);
});
