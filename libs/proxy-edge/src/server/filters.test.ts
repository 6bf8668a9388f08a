import assert from 'node:assert/strict';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { nodeFacts } from '@meltemi/proxy';
import { waitFor } from '@meltemi/base';
import { address, application, ask, httpListener, listenerOf, must, portOf, routeTo, staticCluster, workerServer } from './fixture.ts';

const type = (name: string) => `type.googleapis.com/${name}`;
const hundred = { numerator: 100 };
const cors = { name: 'envoy.filters.http.cors', typedConfig: { '@type': type('envoy.extensions.filters.http.cors.v3.Cors') } };
const fault = { name: 'envoy.filters.http.fault', typedConfig: { '@type': type('envoy.extensions.filters.http.fault.v3.HTTPFault') } };
const stats = { name: 'istio.stats', typedConfig: { '@type': type('stats.PluginConfig') } };
const metadata = (config: object) => ({ name: 'envoy.filters.http.peer_metadata', typedConfig: { '@type': type('io.istio.http.peer_metadata.Config'), ...config } });

async function setUp(t: TestContext, listener: Parameters<typeof httpListener>[0]) {
  const app = await application(t, (request, response) => response.end(JSON.stringify(request.headers)));
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener(listener)));
  return portOf(server);
}

test('a fault aborts only the requests its headers match, per route', async (t) => {
  const config = { '@type': type('envoy.extensions.filters.http.fault.v3.HTTPFault'), abort: { httpStatus: 500, percentage: hundred }, headers: [{ name: 'end-user', stringMatch: { exact: 'jason' } }] };
  const port = await setUp(t, { filters: [fault], routes: [{ ...routeTo('app'), typedPerFilterConfig: { 'envoy.filters.http.fault': config } }] });
  const hit = await ask(port, { headers: { 'end-user': 'jason' } });
  assert.deepEqual([hit.status, hit.body], [500, 'fault filter abort']);
  assert.equal((await ask(port)).status, 200);
});

test('a delayed request goes on after the delay', async (t) => {
  const config = { '@type': type('envoy.extensions.filters.http.fault.v3.HTTPFault'), delay: { fixedDelay: '0.06s', percentage: hundred } };
  const port = await setUp(t, { filters: [fault], routes: [{ ...routeTo('app'), typedPerFilterConfig: { 'envoy.filters.http.fault': config } }] });
  const before = performance.now();
  const answer = await ask(port, { method: 'POST', body: 'a body that waits' });
  assert.equal(answer.status, 200);
  assert.ok(performance.now() - before >= 55);
});

test('CORS: a preflight is answered here, a plain request is marked, a strange origin is not', async (t) => {
  const policy = { '@type': type('envoy.extensions.filters.http.cors.v3.CorsPolicy'), allowOriginStringMatch: [{ exact: 'https://shop' }], allowMethods: 'GET,POST', maxAge: '60' };
  const port = await setUp(t, { filters: [cors], routes: [{ ...routeTo('app'), typedPerFilterConfig: { 'envoy.filters.http.cors': policy } }] });
  const preflight = await ask(port, { method: 'OPTIONS', headers: { origin: 'https://shop', 'access-control-request-method': 'POST' } });
  assert.deepEqual([preflight.status, preflight.headers['access-control-allow-methods'], preflight.headers['access-control-max-age']], [200, 'GET,POST', '60']);
  assert.equal((await ask(port, { headers: { origin: 'https://shop' } })).headers['access-control-allow-origin'], 'https://shop');
  assert.equal((await ask(port, { headers: { origin: 'https://evil' } })).headers['access-control-allow-origin'], undefined);
});

const nodeOf = (workload: string) => nodeFacts({ id: `sidecar~${workload}`, cluster: workload, metadata: { NAMESPACE: 'default', WORKLOAD_NAME: workload, CLUSTER_ID: 'Kubernetes', LABELS: { app: workload.split('-')[0], version: 'v1' } } });

test('two sidecars tell each other who they are, the application sees nothing of it, and both count with full labels', async (t) => {
  const app = await application(t, (request, response) => response.end(JSON.stringify(request.headers)));
  const [serverMetrics, clientMetrics] = [new StatsRegistry(), new StatsRegistry()];
  const inbound = workerServer(t, { node: nodeOf('reviews-v1'), metrics: serverMetrics });
  must(inbound.setCluster(staticCluster('inbound|9080||', [app])));
  must(await inbound.setListener({ ...httpListener({ filters: [metadata({ downstreamDiscovery: [{ istioHeaders: {} }], downstreamPropagation: [{ istioHeaders: {} }] }), stats], routes: [routeTo('inbound|9080||')] }), trafficDirection: 'inbound' }));
  const outbound = workerServer(t, { node: nodeOf('productpage-v1'), metrics: clientMetrics, stats: new FlatStats() });
  const cluster = 'outbound|9080||reviews.default.svc.cluster.local';
  must(outbound.setCluster(staticCluster(cluster, [portOf(inbound)])));
  must(await outbound.setListener({ ...httpListener({ filters: [metadata({ upstreamDiscovery: [{ istioHeaders: {} }], upstreamPropagation: [{ istioHeaders: {} }] }), stats], routes: [routeTo(cluster)] }), trafficDirection: 'outbound' }));
  const answer = await ask(portOf(outbound), { headers: { host: 'reviews:9080' } });
  assert.equal(answer.status, 200);
  assert.ok(!answer.body.includes('x-envoy-peer-metadata'));
  assert.equal(answer.headers['x-envoy-peer-metadata'], undefined);
  const series = (registry: StatsRegistry) => [...(registry.read().find(({ spec }) => spec.name === 'istio_requests_total')?.series() ?? [])][0]?.values ?? [];
  await waitFor('both counts', () => series(serverMetrics).length > 0 && series(clientMetrics).length > 0);
  const expected = ['productpage-v1', 'productpage', 'v1', 'default', 'unknown', 'productpage', 'v1', 'Kubernetes', 'reviews-v1', 'reviews', 'v1', 'default', 'unknown', 'reviews', 'v1', 'Kubernetes', 'reviews.default.svc.cluster.local', 'reviews', 'default', 'http', '-'];
  assert.deepEqual(series(clientMetrics), ['source', ...expected, 'unknown', '200', '']);
  assert.deepEqual(series(serverMetrics).slice(0, 17), ['destination', ...expected.slice(0, 16)]);
  assert.equal(series(serverMetrics)[22], 'none');
});

test('a mirrored request reaches its cluster and does not change the answer', async (t) => {
  const mirrored: string[] = [];
  const shadow = await application(t, (request, response) => {
    request.on('data', (part: Buffer) => mirrored.push(`${request.headers.host} ${part.toString()}`));
    response.statusCode = 500;
    response.end();
  });
  const app = await application(t, (_request, response) => response.end('real'));
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [app])));
  must(server.setCluster(staticCluster('shadow', [shadow])));
  must(await server.setListener(httpListener({ routes: [routeTo('app', { requestMirrorPolicies: [{ cluster: 'shadow' }] })] })));
  const answer = await ask(portOf(server), { method: 'POST', body: 'hello', headers: { host: 'a' } });
  assert.deepEqual([answer.status, answer.body], [200, 'real']);
  await waitFor('the copy', () => mirrored.length > 0);
  assert.deepEqual(mirrored, ['a-shadow hello']);
});

test('TCP sessions are counted with both ends, and closes too', async (t) => {
  const app = net.createServer((socket) => socket.on('data', (part) => socket.end(part)).on('error', () => {}));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => app.close());
  const metrics = new StatsRegistry();
  const server = workerServer(t, { node: nodeOf('ratings-v1'), metrics });
  must(server.setCluster(staticCluster('outbound|27017||mongo.db.svc.cluster.local', [(app.address() as net.AddressInfo).port])));
  const proxy = { name: 'tcp', typedConfig: { '@type': type('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'), statPrefix: 'tcp', cluster: 'outbound|27017||mongo.db.svc.cluster.local' } };
  must(await server.setListener(listenerOf({ name: 'main', trafficDirection: 'OUTBOUND', address: address(0), filterChains: [{ filters: [stats, proxy] }] })));
  const client = net.connect(portOf(server), '127.0.0.1').on('error', () => {});
  client.end('12345');
  const total = (name: string) => [...(metrics.read().find(({ spec }) => spec.name === name)?.series() ?? [])].map(({ values, child }) => [values[1], values[17], 'value' in child ? child.value : 0]);
  await waitFor('the close', () => total('istio_tcp_connections_closed_total').length > 0);
  for (const [name, value] of [['istio_tcp_connections_opened_total', 1], ['istio_tcp_connections_closed_total', 1], ['istio_tcp_received_bytes_total', 5], ['istio_tcp_sent_bytes_total', 5]] as const)
    assert.deepEqual(total(name), [['ratings-v1', 'mongo.db.svc.cluster.local', value]], name);
});
