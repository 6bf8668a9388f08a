import assert from 'node:assert/strict';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, tcpBackend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, endpoint, httpListener, route, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

/** What each backend answers to its checks; the test changes it. */
const answers = new Map<string, { status: number; headers?: Record<string, string> }>();
const checked = (name: string) => backend(name, (request_, response, seen) => {
  const answer = request_.url === '/healthz' ? (answers.get(name) ?? { status: 200 }) : { status: 200 };
  response.writeHead(answer.status, { 'x-backend': seen.backend, ...answer.headers });
  response.end(seen.backend);
});

const pace = { timeout: '0.5s', interval: '0.05s', no_traffic_interval: '0.05s', unhealthy_threshold: 2, healthy_threshold: 2 };
const http = { ...pace, http_health_check: { path: '/healthz' } };
const noPanic = { common_lb_config: { healthy_panic_threshold: { value: 0 } } };
const spare = (name: string, first: number, second: number): Json => ({
  ...cluster(name, []), health_checks: [http], load_assignment: { cluster_name: name, endpoints: [{ priority: 0, lb_endpoints: [endpoint(first)] }, { priority: 1, lb_endpoints: [endpoint(second)] }] },
});

let proxy: RunningProxy;
let apps: Backend[];
let pong = true;
/** 1 = SERVING, 2 = NOT_SERVING. */
let serving = 1;
const grpcServer = http2.createServer();
const grpcSessions = new Set<http2.ServerHttp2Session>();
grpcServer.on('session', (session) => grpcSessions.add(session));
grpcServer.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
  assert.equal(headers[':path'], '/grpc.health.v1.Health/Check');
  stream.on('error', () => {}).resume();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serving]));
});

before(async () => {
  apps = await Promise.all([checked('one'), checked('two'), checked('three'), tcpBackend('tcp', (socket) => socket.on('data', () => { if (pong) socket.write('PONG'); }))]);
  await new Promise<void>((resolve) => grpcServer.listen(0, '127.0.0.1', resolve));
  const grpcPort = (grpcServer.address() as AddressInfo).port;
  const [one = 0, two = 0, three = 0, tcp = 0] = apps.map(({ port }) => port);
  const tcpCheck = { ...pace, timeout: '0.1s', tcp_health_check: { send: { text: Buffer.from('PING').toString('hex') }, receive: [{ text: Buffer.from('PONG').toString('hex') }] } };
  const checkedAt = (port: number): Json => ({ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: one } }, health_check_config: { port_value: port } } });
  proxy = await startProxy(bootstrap(
    [httpListener({ routes: ['pair', 'spare', 'panic', 'by-port', 'by-grpc'].map((name) => route({ path: `/${name}` }, name)) })],
    [
      cluster('pair', [one, two], { health_checks: [http], ...noPanic }), spare('spare', two, three), cluster('panic', [three], { health_checks: [http] }),
      cluster('by-port', [checkedAt(tcp)], { health_checks: [tcpCheck], ...noPanic }),
      cluster('by-grpc', [checkedAt(grpcPort)], { health_checks: [{ ...pace, grpc_health_check: { service_name: 'app' } }], ...noPanic }),
    ],
  ));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all(apps.map((app) => app.stop()));
  for (const session of grpcSessions) session.destroy();
  grpcServer.close();
});

const ask = (path: string) => request(proxy.port('web'), { path });
const names = async (path: string) => [...new Set(await Promise.all(Array.from({ length: 8 }, async () => { const { status, headers } = await ask(path); return status === 200 ? String(headers['x-backend']) : String(status); })))].toSorted();
const admin = async (path: string) => (await request(proxy.port('admin'), { path })).body;
const flags = async (name: string, n: number) => new RegExp(`^${name}::127\\.0\\.0\\.1:${apps[n]?.port}::health_flags::(.*)$`, 'm').exec(await admin('/clusters'))?.[1];
const becomes = (what: string, path: string, wanted: string[]) => waitFor(what, async () => (await names(path)).join() === wanted.join(), { deadlineMs: 10_000 });

describe('active health checks', () => {
  test('hosts serve once they pass', async () => {
    await becomes('both', '/pair', ['one', 'two']);
    assert.equal(await flags('pair', 0), 'healthy');
  });

  test('a host that fails its checks gets no traffic until it passes again', async () => {
    answers.set('one', { status: 503 });
    await becomes('only the other', '/pair', ['two']);
    assert.equal(await flags('pair', 0), '/failed_active_hc');
    answers.set('one', { status: 200 });
    await becomes('both again', '/pair', ['one', 'two']);
    const stats = await admin('/stats?filter=^cluster\\.pair\\.health_check\\.');
    for (const name of ['attempt', 'success', 'failure']) assert.match(stats, new RegExp(`health_check\\.${name}: [1-9]`));
    assert.match(stats, /network_failure: 0/);
  });

  test('a degraded host is spared while others can serve', async () => {
    answers.set('two', { status: 200, headers: { 'x-envoy-degraded': 'true' } });
    await becomes('only the one in full health', '/pair', ['one']);
    assert.equal(await flags('pair', 1), '/degraded_active_hc');
    answers.delete('two');
    await becomes('both again', '/pair', ['one', 'two']);
  });

  test('the next priority takes over while the first one fails', async () => {
    await becomes('the first priority', '/spare', ['two']);
    answers.set('two', { status: 500 });
    await becomes('the second priority', '/spare', ['three']);
    answers.delete('two');
    await becomes('the first priority again', '/spare', ['two']);
  });

  test('when nobody passes, panic sends traffic to all the same', async () => {
    answers.set('three', { status: 500 });
    await waitFor('the failure', async () => (await flags('panic', 2)) === '/failed_active_hc', { deadlineMs: 10_000 });
    assert.deepEqual(await names('/panic'), ['three']);
    assert.match(await admin('/stats?filter=^cluster\\.panic\\.lb_healthy_panic$'), /: [1-9]/);
    answers.delete('three');
  });

  test('a TCP check of another port decides by what it receives', async () => {
    await becomes('the host', '/by-port', ['one']);
    pong = false;
    await becomes('no host', '/by-port', ['503']);
    pong = true;
    await becomes('the host again', '/by-port', ['one']);
  });

  test('a gRPC check asks the health service', async () => {
    await becomes('the host', '/by-grpc', ['one']);
    serving = 2;
    await becomes('no host', '/by-grpc', ['503']);
    serving = 1;
    await becomes('the host again', '/by-grpc', ['one']);
  });
});
