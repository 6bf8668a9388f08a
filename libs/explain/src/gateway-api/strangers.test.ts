import assert from 'node:assert/strict';
import { test } from 'node:test';
import { featuresFrom } from '@meltemi/pilot';
import { explain, loadMesh, readCalls, readProxyQuestion } from '../index.ts';
import { gateway, goes, other, router, service } from '../testing/gateway-api.ts';

const picked = 'selector: {gateway.networking.k8s.io/gateway-name: gw}';
const byLabel = (namespace: string, port: number, selector = picked) =>
  other('networking.istio.io/v1', 'Gateway', 'picks', `spec: {${selector}, servers: [{port: {number: ${port}, name: http, protocol: HTTP}, hosts: ["*"]}]}`, { namespace }) +
  other('networking.istio.io/v1', 'VirtualService', 'all', `spec: {hosts: ["*"], gateways: [picks], http: [{route: [{destination: {host: a.default.svc.cluster.local, port: {number: 80}}}]}]}`, { namespace });

const own = gateway('gw', '{name: http, port: 80, protocol: HTTP}') + service('a');

test('a workload of a Gateway of the Gateway API serves Istio Gateways of its namespace, and none that pick it by label from another', () => {
  assert.deepEqual(goes(own + byLabel('default', 8081), router, { port: 8081 }), ['a']);
  assert.deepEqual(goes(own + byLabel('other', 8081), router, { port: 8081 }), ['no_listener']);
  assert.deepEqual(goes(own + byLabel('other', 8081, 'selector: {}'), router, { port: 8081 }), ['no_listener'], 'nor those for every gateway');
  assert.deepEqual(goes(own + byLabel('other', 80), router, { port: 80 }), ['404'], 'its own listener is as it was');
  assert.deepEqual(goes(service('a') + byLabel('other', 8081), router, { port: 8081 }), ['a'], 'who has no such Gateway is picked from everywhere');
});

test('PILOT_ENABLE_STRICT_GATEWAY_MERGING=false lets them be picked', () => {
  const mesh = loadMesh([{ name: 'mesh.yaml', text: own + byLabel('other', 8081) }]);
  const proxy = readProxyQuestion(JSON.stringify(router));
  const calls = readCalls(JSON.stringify([{ mode: 'gateway', port: 8081 }]));
  assert.ok(proxy.ok && calls.ok);
  const answered = explain(mesh, proxy.value, { calls: calls.value, nowMs: 1, features: featuresFrom({ PILOT_ENABLE_STRICT_GATEWAY_MERGING: 'false' }) });
  assert.ok(answered.ok);
  assert.equal(answered.value.answers[0]?.outcome, 'routed');
});
