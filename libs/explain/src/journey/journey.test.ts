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
