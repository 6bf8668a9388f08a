import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { waitFor } from '@meltemi/base';
import { FlatStats } from '@meltemi/observe';
import type { Listener } from '@meltemi/snapshot';
import type { WorkerServerOptions } from './options.ts';
import { tlsFixture } from '../transport/tls-fixture.ts';
import { address, application, httpListener, listenerOf, must, portOf, router, routeTo, staticCluster, workerServer } from './fixture.ts';

/** What a change of the listener does to connections that are open. */

type Json = Record<string, unknown>;
const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.${name}`;
const denyAll = { name: 'rbac', typedConfig: { '@type': type('http.rbac.v3.RBAC'), rules: { action: 'ALLOW', policies: {} } } };
const hcm = (more: Json = {}, filters: Json[] = []) => ({ name: 'hcm', typedConfig: { '@type': type('network.http_connection_manager.v3.HttpConnectionManager'), statPrefix: 'test', routeConfig: { name: 'r', virtualHosts: [{ name: 'all', domains: ['*'], routes: [routeTo('app')] }] }, httpFilters: [...filters, router], ...more } });
const tcp = (more: Json = {}) => ({ name: 'tcp', typedConfig: { '@type': type('network.tcp_proxy.v3.TcpProxy'), statPrefix: 'tcp', cluster: 'app', ...more } });
const rbacTcp = { name: 'rbac', typedConfig: { '@type': type('network.rbac.v3.RBAC'), statPrefix: 'tcp.', rules: { action: 'ALLOW', policies: {} } } };

async function opened(t: TestContext, listener: (port: number) => Listener, options: { readonly app?: number } & Pick<WorkerServerOptions, 'drainTimeMs' | 'drainStrategy'> = {}) {
  const { app = await application(t, (_request, response) => response.end('ok')), ...drain } = options;
  const stats = new FlatStats();
  const server = workerServer(t, { stats, ...drain });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(listener(0)));
  return { server, stats, port: portOf(server) };
}

/** A kept connection of HTTP/1.1: `ask` resolves with the next response, or with "closed". */
async function kept(t: TestContext, port: number) {
  const socket = net.connect(port, '127.0.0.1').on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  let text = '';
  let closed = false;
  socket.on('data', (part: Buffer) => (text += part.toString('latin1')));
  socket.on('close', () => (closed = true));
  const answer = async () => {
    const found = await waitFor('an answer', () => /^HTTP\/1.1 (\d+)[^]*?content-length: (\d+)[^]*?\r\n\r\n/.exec(text) ?? (closed ? 'closed' as const : undefined));
    if (found === 'closed') return found;
    text = text.slice(found[0].length + Number(found[2]));
    return `${found[1]}${/\r\nconnection: close\r\n/.test(found[0]) ? ' close' : ''}`;
  };
  const send = (request = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n') => socket.write(request);
  return { socket, send, answer, ask: () => (send(), answer()), closed: () => waitFor('the close', () => closed) };
}

function client(t: TestContext, port: number) {
  const session = http2.connect(`http://127.0.0.1:${port}`).on('error', () => {});
  t.after(() => session.destroy());
  const ask = (headers: http2.OutgoingHttpHeaders = { ':path': '/' }) => new Promise<string>((resolve) => {
    const stream = session.request(headers, { endStream: headers[':method'] !== 'POST' });
    stream.on('response', (head) => stream.resume().on('end', () => resolve(String(head[':status']))));
    stream.on('error', (error) => resolve(error.message));
  });
  return { session, ask };
}

test('a kept connection of HTTP/1.1 gets the new policy with its next request, and stays', async (t) => {
  const { server, stats, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }));
  const connection = await kept(t, port);
  assert.equal(await connection.ask(), '200');
  must(await server.setListener(httpListener({ port, routes: [routeTo('app')], filters: [denyAll] })));
  assert.equal(await connection.ask(), '403');
  must(await server.setListener(httpListener({ port, routes: [routeTo('app')] })));
  assert.equal(await connection.ask(), '200');
  assert.deepEqual([stats.gauge('http.test.downstream_cx_active').value, stats.counter('http.test.downstream_cx_total').value], [1, 1]);
});

test('so does one of HTTP/2, beside a request that began before', async (t) => {
  let release = () => {};
  const app = await application(t, (request, response) => (request.url === '/slow' ? (release = () => response.end('late')) : response.end('ok')));
  const { server, stats, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }), { app });
  const { ask } = client(t, port);
  const slow = ask({ ':path': '/slow' });
  await waitFor('the slow request', () => release.toString().includes('late'));
  must(await server.setListener(httpListener({ port, routes: [routeTo('app')], filters: [denyAll] })));
  assert.equal(await ask(), '403');
  // The request that stays with the chain before is no second connection.
  assert.equal(server.activeConnections, 1);
  release();
  assert.equal(await slow, '200');
  assert.equal(await ask(), '403');
  assert.equal(stats.gauge('http.test.downstream_rq_active').value, 0);
});

test('a request under way ends as it began, the one behind it on the same connection is judged anew', async (t) => {
  const waiting: (() => void)[] = [];
  const app = await application(t, (request, response) => void waiting.push(() => request.resume().on('end', () => response.end('ok'))));
  const { server, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }), { app });
  const connection = await kept(t, port);
  connection.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab');
  await waitFor('the request', () => waiting.length === 1);
  must(await server.setListener(httpListener({ port, routes: [routeTo('app')], filters: [denyAll] })));
  waiting[0]?.();
  connection.send('cdGET / HTTP/1.1\r\nhost: a\r\n\r\n');
  assert.equal(await connection.answer(), '200');
  assert.equal(await connection.answer(), '403');
});

test('it does not make the connection leave, however far the drain of the chain before has come', async (t) => {
  let release = () => {};
  const app = await application(t, (request, response) => (request.url === '/slow' ? (release = () => response.end('late')) : response.end('ok')));
  const { server, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }), { app, drainStrategy: 'gradual', drainTimeMs: 1 });
  const connection = await kept(t, port);
  connection.send('GET /slow HTTP/1.1\r\nhost: a\r\n\r\n');
  await waitFor('the slow request', () => release.toString().includes('late'));
  must(await server.setListener(httpListener({ port, routes: [routeTo('app')], hcm: { serverName: 'new' } })));
  const changed = performance.now();
  await waitFor('the end of the drain time', () => performance.now() - changed > 5);
  release();
  assert.equal(await connection.answer(), '200');
  assert.equal(await connection.ask(), '200');
});

test('a head that was arriving is judged by what is in force when it is complete', async (t) => {
  const { server, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }));
  const connection = await kept(t, port);
  assert.equal(await connection.ask(), '200');
  connection.send('GET / HTTP/1.1\r\nho');
  must(await server.setListener(httpListener({ port, routes: [routeTo('app')], filters: [denyAll] })));
  connection.send('st: a\r\n\r\n');
  assert.equal(await connection.answer(), '403');
});

test('settings of the codec cannot change under a connection: the new policy judges it, and it is asked to leave', async (t) => {
  const { server, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }));
  const connection = await kept(t, port);
  assert.equal(await connection.ask(), '200');
  must(await server.setListener(httpListener({ port, routes: [routeTo('app')], filters: [denyAll], hcm: { commonHttpProtocolOptions: { maxHeadersCount: 50 } } })));
  assert.equal(await connection.ask(), '403 close');
  await connection.closed();
});

test('where plaintext is not taken any more an open plaintext connection gets no further request, not even one half sent', async (t) => {
  const ca = tlsFixture();
  const { server, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }));
  const [idle, halfway, silent] = await Promise.all([kept(t, port), kept(t, port), kept(t, port)]);
  assert.equal(await idle.ask(), '200');
  halfway.send('GET / HTTP/1.1\r\nho');
  const http2Client = client(t, port);
  assert.equal(await http2Client.ask(), '200');
  const goaway = new Promise<number>((resolve) => http2Client.session.on('goaway', (_code, lastStream) => resolve(lastStream)));
  must(server.setSecret('default', { kind: 'certificate', certificate: ca.issue('spiffe://cluster.local/ns/a/sa/server') }));
  must(server.setSecret('ROOTCA', { kind: 'validation', validation: ca.trust() }));
  const sds = (name: string) => ({ name, sdsConfig: { ads: {} } });
  const transportSocket = { name: 'tls', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', requireClientCertificate: true, commonTlsContext: { tlsCertificateSdsSecretConfigs: [sds('default')], validationContextSdsSecretConfig: sds('ROOTCA') } } };
  must(await server.setListener(listenerOf({ name: 'main', address: address(port), filterChains: [{ filterChainMatch: { transportProtocol: 'tls' }, filters: [hcm()], transportSocket }] })));
  halfway.send('st: a\r\n\r\n');
  for (const connection of [idle, halfway, silent]) assert.equal(await connection.answer(), 'closed');
  // The second stream was never begun: the client may send it again.
  assert.equal(await goaway, 1);
});

test('a request under way where its chain goes away is answered, and the connection ends with it', async (t) => {
  let release = () => {};
  const app = await application(t, (_request, response) => (release = () => response.end('late')));
  const { server, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }), { app });
  const connection = await kept(t, port);
  connection.send();
  await waitFor('the request', () => release.toString().includes('late'));
  must(await server.setListener(listenerOf({ name: 'main', address: address(port), filterChains: [{ filterChainMatch: { destinationPort: 1 }, filters: [hcm()] }] })));
  release();
  assert.equal(await connection.answer(), '200 close');
  await connection.closed();
});

test('TCP is judged when it connects: an open connection goes on until the drain time is over, a new one is refused', async (t) => {
  const echo = net.createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  t.after(() => echo.close());
  const app = (echo.address() as net.AddressInfo).port;
  const chains = (filters: Json[]) => (port: number) => listenerOf({ name: 'main', statPrefix: 'main', address: address(port), filterChains: [{ name: 'mine', filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '127.0.0.1', prefixLen: 32 }] }, filters }, { name: 'other', filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '127.0.0.2', prefixLen: 32 }] }, filters: [tcp()] }] });
  const { server, port } = await opened(t, chains([tcp()]), { app, drainTimeMs: 300 });
  const connect = async (localAddress: string) => {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {});
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  const echoed = async (socket: net.Socket) => {
    socket.write('x');
    return Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);
  };
  const [mine, other] = [await connect('127.0.0.1'), await connect('127.0.0.2')];
  assert.deepEqual([await echoed(mine), await echoed(other)], [true, true]);
  must(await server.setListener(chains([rbacTcp, tcp()])(port)));
  assert.equal(await echoed(mine), true);
  assert.equal(await echoed(await connect('127.0.0.1')), false);
  await waitFor('the end of the drain', () => mine.closed, { deadlineMs: 5000 });
  // Its chain did not change, so nothing was said about it.
  assert.equal(await echoed(other), true);
});

test('a chain that did not change keeps its connections when another one does', async (t) => {
  const listener = (filters: Json[]) => (port: number) => listenerOf({ name: 'main', statPrefix: 'main', address: address(port), filterChains: [{ name: 'same', filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '127.0.0.0', prefixLen: 8 }] }, filters: [hcm()] }, { name: 'changed', filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }] }, filters: [hcm({}, filters)] }] });
  const { server, stats, port } = await opened(t, listener([]));
  const connection = await kept(t, port);
  assert.equal(await connection.ask(), '200');
  must(await server.setListener(listener([denyAll])(port)));
  assert.equal(await connection.ask(), '200');
  assert.equal(stats.counter('http.test.downstream_cx_drain_close').value, 0);
});

test('a chain that matches more closely takes the open connections that would be its own', async (t) => {
  const rest = { name: 'rest', filters: [hcm()] };
  const close = { name: 'close', filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '127.0.0.1', prefixLen: 32 }] }, filters: [hcm({}, [denyAll])] };
  const { server, port } = await opened(t, (at) => listenerOf({ name: 'main', address: address(at), filterChains: [rest] }));
  const connection = await kept(t, port);
  assert.equal(await connection.ask(), '200');
  must(await server.setListener(listenerOf({ name: 'main', address: address(port), filterChains: [rest, close] })));
  assert.equal(await connection.ask(), '403');
});

const filtered = (listenerFilters: Json[]) => (port: number) => listenerOf({ name: 'main', address: address(port), listenerFilters, filterChains: [{ filters: [hcm()] }] });
const behindBalancer = { name: 'proxy_protocol', typedConfig: { '@type': type('listener.proxy_protocol.v3.ProxyProtocol') } };

test('where listener filters change, connections that were never asked are not taken for ones that were', async (t) => {
  const { server, port } = await opened(t, filtered([]));
  const connection = await kept(t, port);
  assert.equal(await connection.ask(), '200');
  must(await server.setListener(filtered([behindBalancer])(port)));
  await connection.closed();
  assert.equal(server.activeConnections, 0);
});

test('one that is still in a listener filter when those change is served as it came, and leaves after that', async (t) => {
  const inspector = { name: 'tls_inspector', typedConfig: { '@type': type('listener.tls_inspector.v3.TlsInspector') } };
  const { server, port } = await opened(t, filtered([inspector]));
  const connection = await kept(t, port);
  await waitFor('the connection', () => server.activeConnections === 1);
  must(await server.setListener(filtered([behindBalancer, inspector])(port)));
  connection.send();
  assert.equal(await connection.answer(), '200 close');
  await connection.closed();
  // Who comes now is asked.
  assert.equal(await (await kept(t, port)).ask(), 'closed');
});

test('filters that look at other connections may change as they like', async (t) => {
  const inspector = (end: number) => ({ name: 'http_inspector', typedConfig: { '@type': type('listener.http_inspector.v3.HttpInspector') }, filterDisabled: { notMatch: { destinationPortRange: { start: 1, end } } } });
  const { server, stats, port } = await opened(t, filtered([inspector(2)]));
  const connection = await kept(t, port);
  assert.equal(await connection.ask(), '200');
  must(await server.setListener(filtered([inspector(3)])(port)));
  assert.equal(await connection.ask(), '200');
  must(await server.setListener(listenerOf({ name: 'main', address: address(port), listenerFilters: [inspector(4)], filterChains: [{ filters: [hcm({}, [denyAll])] }] })));
  assert.equal(await connection.ask(), '403');
  assert.equal(stats.counter('http.test.downstream_cx_drain_close').value, 0);
});

test('where a listener moves, its connections stay behind: they end after what is under way', async (t) => {
  let release = () => {};
  const app = await application(t, (request, response) => (request.url === '/slow' ? (release = () => response.end('late')) : response.end('ok')));
  const { server, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }), { app });
  const [idle, busy] = await Promise.all([kept(t, port), kept(t, port)]);
  assert.equal(await idle.ask(), '200');
  busy.send('GET /slow HTTP/1.1\r\nhost: a\r\n\r\n');
  await waitFor('the slow request', () => release.toString().includes('late'));
  const moved = listenerOf({ name: 'main', address: address(0, '127.0.0.2'), filterChains: [{ filters: [hcm()] }] });
  must(await server.setListener(moved));
  await idle.closed();
  release();
  assert.equal(await busy.answer(), '200 close');
});

test('who came to the address before, and whom nobody has served yet, is served as it came, and leaves after that', async (t) => {
  const { server, port } = await opened(t, (at) => httpListener({ port: at, routes: [routeTo('app')] }));
  // They are in the kernel's queue while the listener binds its new address.
  const waiting = Promise.all([kept(t, port), kept(t, port), kept(t, port)]);
  must(await server.setListener(listenerOf({ name: 'main', address: address(0, '127.0.0.2'), filterChains: [{ filters: [hcm({ serverName: 'moved' })] }] })));
  for (const connection of await waiting) {
    assert.equal(await connection.ask(), '200 close');
    await connection.closed();
  }
});

test('a listener that moves with the same chains does not keep who is still on its way by the old address', async (t) => {
  const inspector = { name: 'http_inspector', typedConfig: { '@type': type('listener.http_inspector.v3.HttpInspector') } };
  const at = (host: string) => (port: number) => listenerOf({ name: 'main', address: address(port, host), listenerFilters: [inspector], filterChains: [{ filters: [hcm()] }] });
  const { server, port } = await opened(t, at('127.0.0.1'));
  const connection = await kept(t, port);
  await waitFor('the connection', () => server.activeConnections === 1);
  must(await server.setListener(at('127.0.0.2')(0)));
  connection.send();
  assert.equal(await connection.answer(), '200 close');
  const moved = net.connect(portOf(server), '127.0.0.2').on('error', () => {});
  t.after(() => moved.destroy());
  const head = once(moved, 'data') as Promise<[Buffer]>;
  moved.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  const [bytes] = await head;
  assert.match(bytes.toString(), /^HTTP\/1.1 200/);
  assert.doesNotMatch(bytes.toString(), /connection: close/);
});

test('a handshake that began before the listener moved ends as it began', async (t) => {
  const ca = tlsFixture();
  const sds = (name: string) => ({ name, sdsConfig: { ads: {} } });
  const transportSocket = { name: 'tls', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', commonTlsContext: { tlsCertificateSdsSecretConfigs: [sds('default')] } } };
  const at = (host: string, port: number) => listenerOf({ name: 'main', address: address(port, host), filterChains: [{ filters: [hcm()], transportSocket }] });
  const { server, port } = await opened(t, (wanted) => httpListener({ port: wanted, routes: [routeTo('app')] }));
  must(server.setSecret('default', { kind: 'certificate', certificate: ca.issue('spiffe://cluster.local/ns/a/sa/server') }));
  must(await server.setListener(at('127.0.0.1', port)));
  const socket = net.connect(port, '127.0.0.1').on('error', () => {});
  t.after(() => socket.destroy());
  await waitFor('the connection', () => server.activeConnections === 1);
  must(await server.setListener(at('127.0.0.2', 0)));
  const secured = tls.connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }).on('error', () => {});
  let text = '';
  secured.on('data', (part: Buffer) => (text += part.toString()));
  secured.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await once(secured, 'close');
  assert.match(text, /^HTTP\/1.1 200 [^]*connection: close/);
});
