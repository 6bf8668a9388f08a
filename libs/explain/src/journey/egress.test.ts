import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadMesh } from '../load.ts';
import { MeshViews } from '../mesh-views.ts';
import { withAssumedPods } from './assumed-pods.ts';
import { journey } from './journey.ts';

const deployment = (name: string, labels: string, namespace = 'default') => `---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {selector: {matchLabels: {${labels}}}, template: {metadata: {labels: {${labels}}}, spec: {containers: [{name: app, image: app}]}}}\n`;
const service = (name: string, labels: string, namespace = 'default') => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {selector: {${labels}}, ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]}\n`;
const istio = (kind: string, name: string, spec: string) => `---\napiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: {${spec}}\n`;
const api = (kind: string, name: string, spec: string) => `---\napiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: {${spec}}\n`;

const door = `${deployment('door', 'role: door', 'edge')}${service('door', 'role: door', 'edge')}`;
const shop = istio('ServiceEntry', 'shop', 'hosts: [shop.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]');
const toDoor = (port: number, more = '') => `route: [{destination: {host: door.edge.svc.cluster.local, port: {number: ${port}}${more}}}]`;

/** "workload mode outcome cluster" per proxy. */
function follow(yaml: string, url: string): readonly string[] {
  const mesh = withAssumedPods(loadMesh([{ name: 'mesh.yaml', text: `${deployment('client', 'app: client')}${shop}${yaml}` }]));
  const found = journey(new MeshViews(mesh), { from: 'default/client', method: 'GET', url: new URL(url), headers: {} }, 0);
  if (!found.ok) throw new Error(found.error[0]?.message);
  return found.value.legs.map(({ workload, call, answer }) => `${workload} ${call.mode} ${answer.outcome} ${answer.cluster ?? ''}`);
}

const throughDoor = (port: number) => [`client.default outbound routed outbound|${port}||door.edge.svc.cluster.local`, `door.edge gateway routed outbound|${port}||shop.example`];

test('requests leave through an egress gateway whose pods speak no mutual TLS by themselves', () => {
  const yaml = door + istio('Gateway', 'out', 'selector: {role: door}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]')
    + istio('VirtualService', 'out', `hosts: [shop.example], gateways: [mesh, out], http: [{match: [{gateways: [mesh]}], ${toDoor(80)}}, {match: [{gateways: [out]}], route: [{destination: {host: shop.example, port: {number: 80}}}]}]`);
  assert.deepEqual(follow(yaml, 'http://shop.example/'), throughDoor(80));
});

test('the client\'s TLS passes both proxies, by its server name', () => {
  const sni = 'port: 443, sniHosts: [shop.example]';
  const yaml = door + istio('Gateway', 'out', 'selector: {role: door}, servers: [{port: {number: 443, name: tls, protocol: TLS}, hosts: [shop.example], tls: {mode: PASSTHROUGH}}]')
    + istio('VirtualService', 'out', `hosts: [shop.example], gateways: [mesh, out], tls: [{match: [{gateways: [mesh], ${sni}}], ${toDoor(443)}}, {match: [{gateways: [out], ${sni}}], route: [{destination: {host: shop.example, port: {number: 443}}}]}]`);
  assert.deepEqual(follow(yaml, 'https://shop.example/'), throughDoor(443));
});

test('mutual TLS to the gateway asks for the server that the DestinationRule names', () => {
  const yaml = (sni: string) => door + istio('Gateway', 'out', 'selector: {role: door}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example], tls: {mode: ISTIO_MUTUAL}}]')
    + istio('DestinationRule', 'door', `host: door.edge.svc.cluster.local, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: ${sni}}}`)
    + istio('VirtualService', 'out', `hosts: [shop.example], gateways: [mesh, out], http: [{match: [{gateways: [mesh]}], ${toDoor(443)}}, {match: [{gateways: [out]}], route: [{destination: {host: shop.example, port: {number: 80}}}]}]`);
  assert.deepEqual(follow(yaml('shop.example'), 'http://shop.example/'), ['client.default outbound routed outbound|443||door.edge.svc.cluster.local', 'door.edge gateway routed outbound|80||shop.example']);
  assert.equal(follow(yaml('other.example'), 'http://shop.example/')[1], 'door.edge gateway no_filter_chain ');
});

test('the workload of a Gateway of the Gateway API is asked as a gateway, by label or behind the Service that its address names', () => {
  const routes = (front: string) => api('HTTPRoute', 'to', `parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: shop}], rules: [{backendRefs: [{name: ${front}, port: 80}]}]`)
    + api('HTTPRoute', 'on', 'parentRefs: [{name: out}], hostnames: [shop.example], rules: [{backendRefs: [{kind: Hostname, group: networking.istio.io, name: shop.example, port: 80}]}]');
  const listeners = 'gatewayClassName: istio, listeners: [{name: http, hostname: shop.example, port: 80, protocol: HTTP}]';
  const label = 'gateway.networking.k8s.io/gateway-name: out';
  const own = api('Gateway', 'out', listeners) + deployment('out-istio', label) + service('out-istio', label) + routes('out-istio');
  assert.deepEqual(follow(own, 'http://shop.example/'), ['client.default outbound routed outbound|80||out-istio.default.svc.cluster.local', 'out-istio.default gateway routed outbound|80||shop.example']);
  const shared = api('Gateway', 'out', `${listeners}, addresses: [{type: Hostname, value: front}]`) + deployment('front', 'role: front') + service('front', 'role: front') + routes('front');
  assert.deepEqual(follow(shared, 'http://shop.example/'), ['client.default outbound routed outbound|80||front.default.svc.cluster.local', 'front.default gateway routed outbound|80||shop.example']);
});

test('a workload that stays out of the mesh is reached in plaintext', () => {
  const yaml = `${deployment('plain', 'app: plain, sidecar.istio.io/inject: "false"')}${service('plain', 'app: plain')}`;
  const mesh = withAssumedPods(loadMesh([{ name: 'mesh.yaml', text: `${deployment('client', 'app: client')}${yaml}` }]));
  const found = journey(new MeshViews(mesh), { from: 'default/client', method: 'GET', url: new URL('http://plain/'), headers: {} }, 0);
  assert.deepEqual(found.ok && found.value.legs[0]?.answer.endpoints?.map(({ tls }) => tls), ['none']);
});
