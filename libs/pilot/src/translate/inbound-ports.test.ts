import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultFeatures } from '../features.ts';
import { configsOf, meshOf, proxyOf } from '../testing/mesh.test-support.ts';
import { inboundPorts } from './inbound-ports.ts';

const service = (ports: string) => `apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {app: app}, ports: [${ports}]}\n---\n`;
const sidecar = 'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: app}\nspec: {ingress: [{port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:9999"}]}\n';
const app = proxyOf('sidecar~10.0.0.1~app.default~default.svc.cluster.local', { NAMESPACE: 'default', LABELS: { app: 'app' } });

test('a Sidecar\'s ingress listeners stand in place of the services\' ports, or beside them when switched on', () => {
  const push = meshOf(configsOf(service('{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}') + sidecar));
  assert.deepEqual(inboundPorts(push, app).map(({ targetPort }) => targetPort), [8080]);
  const merged = inboundPorts({ ...push, features: { ...defaultFeatures, ingressBesideServices: true } }, app);
  assert.deepEqual(merged.map(({ targetPort, endpoint }) => [targetPort, endpoint?.port]), [[8080, 9999], [9090, undefined]]);
});

test('a service cannot take the ports that the proxy itself listens on', () => {
  assert.deepEqual(inboundPorts(meshOf(configsOf(service('{name: http, port: 80, targetPort: 15006}, {name: tcp, port: 90}'))), app).map(({ targetPort }) => targetPort), [90]);
});
