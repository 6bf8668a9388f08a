import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadMesh } from '../load.ts';
import { MeshViews } from '../mesh-views.ts';
import { sampleText } from '../testing/ask.ts';
import { withAssumedPods } from './assumed-pods.ts';
import { journey, type JourneyRequest } from './journey.ts';

const files = ['platform/bookinfo.yaml', 'networking/destination-rule-all.yaml', 'networking/virtual-service-reviews-test-v2.yaml', 'networking/bookinfo-gateway.yaml', 'networking/peer-authentication-strict.yaml'];
const gateway = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template: {metadata: {labels: {istio: ingressgateway}}, spec: {serviceAccountName: ingress, containers: [{name: proxy, image: proxy}]}}
`;
const bookinfo = withAssumedPods(loadMesh([...files.map((name) => ({ name, text: sampleText(`bookinfo/${name}`) })), { name: 'gateway.yaml', text: gateway }]));

function follow(from: string, url: string, headers: JourneyRequest['headers'] = {}) {
  const found = journey(new MeshViews(bookinfo), { from, method: 'GET', url: new URL(url), headers }, 1_700_000_000_000);
  if (!found.ok) throw new Error(found.error[0]?.message);
  return found.value.legs;
}

test('a request is followed through the client\'s proxy to the server\'s, over mutual TLS under the client\'s identity', () => {
  const [client, server, ...more] = follow('default/productpage', 'http://reviews:9080/reviews/0', { 'end-user': 'jason' });
  assert.deepEqual([client?.workload, server?.workload, more.length], ['productpage-v1.default', 'reviews-v2.default', 0]);
  assert.equal(client?.answer.cluster, 'outbound|9080|v2|reviews.default.svc.cluster.local');
  assert.deepEqual([server?.call.mode, server?.call.tls, server?.call.principal], ['inbound', 'mtls', 'spiffe://cluster.local/ns/default/sa/bookinfo-productpage']);
  assert.equal(server?.answer.outcome, 'routed');
});

test('a connection asks for the name that the cluster says, as rules about it and gateways see it', () => {
  const withRule = (yaml: string) => {
    const mesh = withAssumedPods(loadMesh([...files.map((name) => ({ name, text: sampleText(`bookinfo/${name}`) })), { name: 'gateway.yaml', text: gateway }, { name: 'more.yaml', text: yaml }]));
    const found = journey(new MeshViews(mesh), { from: 'default/productpage', method: 'GET', url: new URL('http://reviews:9080/reviews/0'), headers: {} }, 0);
    if (!found.ok) throw new Error(found.error[0]?.message);
    return found.value.legs.map(({ workload, call, answer }) => [workload.split('-')[0], call.sni, answer.outcome]);
  };
  const byName = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: by-name}\nspec: {rules: [{when: [{key: connection.sni, values: ["*.reviews.default.svc.cluster.local"]}]}]}\n';
  assert.deepEqual(withRule(byName), [['productpage', undefined, 'routed'], ['reviews', 'outbound_.9080_.v1_.reviews.default.svc.cluster.local', 'routed']]);
  const own = `${byName}---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews}\nspec: {host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: own.example}}, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}\n`;
  assert.deepEqual(withRule(own), [['productpage', undefined, 'routed'], ['reviews', 'own.example', 'denied']]);
});

test('the client\'s own TLS that nobody ends goes on to the next proxy', () => {
  const pod = (app: string, ip: string, mode: string) => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${app}-0, labels: {app: ${app}${mode}}}\nspec: {serviceAccountName: ${app}, containers: [{name: app, image: app}]}\nstatus: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}\n---\n`;
  const text = `${pod('a', '10.0.0.1', ', security.istio.io/tlsMode: istio')}${pod('b', '10.0.0.2', '')}apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {selector: {app: b}, clusterIP: 10.96.0.1, ports: [{name: https, port: 443}]}\n`;
  const found = journey(new MeshViews(loadMesh([{ name: 'mesh.yaml', text }])), { from: 'default/a', method: 'GET', url: new URL('https://b/'), headers: {} }, 0);
  assert.deepEqual(found.ok ? found.value.legs.map(({ call, answer }) => [call.tls, answer.outcome]) : found.error, [['tls', 'routed'], ['tls', 'routed']]);
});

test('a gateway is asked as a gateway, and the service behind it too', () => {
  const legs = follow('istio-system/istio-ingressgateway', 'http://bookinfo.example:8080/productpage');
  assert.deepEqual(legs.map(({ workload, call }) => [workload, call.mode]), [['istio-ingressgateway.istio-system', 'gateway'], ['productpage-v1.default', 'inbound']]);
  assert.deepEqual(legs.map(({ answer }) => answer.outcome), ['routed', 'routed']);
});

test('a workload that nobody knows is named, with those that are known', () => {
  const found = journey(new MeshViews(bookinfo), { from: 'default/nobody', method: 'GET', url: new URL('http://reviews:9080/'), headers: {} }, 0);
  assert.match(found.ok ? '' : (found.error[0]?.message ?? ''), /no workload "default\/nobody" is known; there are .*default\/productpage-v1/);
});

test('where many workloads share a machine nothing is captured: the request goes through the sidecar\'s HTTP proxy', () => {
  const pod = (app: string, ip: string) => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${app}-0, labels: {app: ${app}, security.istio.io/tlsMode: istio}}\nspec: {serviceAccountName: ${app}, containers: [{name: app, image: app}]}\nstatus: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}\n---\n`;
  const text = `${pod('a', '127.77.1.1')}${pod('b', '127.77.1.2')}apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {selector: {app: b}, ports: [{name: http, port: 80}]}\n---\nproxyHttpPort: 15002\n`;
  const found = journey(new MeshViews(loadMesh([{ name: 'laptop.yaml', text }])), { from: 'default/a', method: 'GET', url: new URL('http://b/'), headers: {} }, 0);
  assert.deepEqual(found.ok ? found.value.legs.map(({ answer }) => [answer.outcome, answer.listener, answer.cluster]) : found.error, [
    ['routed', '127.77.1.1_15002', 'outbound|80||b.default.svc.cluster.local'],
    ['routed', '127.77.1.2_80', 'inbound|80||'],
  ]);
});

test('a workload told to do without a proxy is asked nothing, and asks nothing itself', () => {
  const pod = (app: string, ip: string, more = '') => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${app}-0, labels: {app: ${app}${more}}}\nspec: {serviceAccountName: ${app}, containers: [{name: app, image: app}]}\nstatus: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}\n---\n`;
  const text = `${pod('a', '10.0.0.1')}${pod('b', '10.0.0.2', ', sidecar.istio.io/inject: "false"')}apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {selector: {app: b}, clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n`;
  const views = new MeshViews(loadMesh([{ name: 'mesh.yaml', text }]));
  const found = journey(views, { from: 'default/a', method: 'GET', url: new URL('http://b/'), headers: {} }, 0);
  assert.deepEqual(found.ok ? found.value.legs.map(({ workload, answer }) => [workload, answer.outcome]) : found.error, [['a-0.default', 'routed']]);
  const refused = journey(views, { from: 'default/b', method: 'GET', url: new URL('http://a/'), headers: {} }, 0);
  assert.match(refused.ok ? '' : (refused.error[0]?.message ?? ''), /has no proxy: its label sidecar\.istio\.io\/inject is "false"/);
});
