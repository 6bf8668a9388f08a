import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import { FlatStats } from '@meltemi/observe';
import { AtomicRows, AtomicState, readProxyHeader, sharedRowsBuffer, sharedStateBuffer } from '@meltemi/proxy';
import { address, application, ask, listenerOf, must, portOf, router, routeTo, staticCluster, workerServer } from './fixture.ts';
import { tlsFixture } from '../transport/tls-fixture.ts';

const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
const filter = (name: string, message: string, config: object = {}) => ({ name: `envoy.filters.network.${name}`, typedConfig: { '@type': type(`filters.network.${name}.v3.${message}`), ...config } });
const tcp = (cluster: string, more: object = {}) => filter('tcp_proxy', 'TcpProxy', { statPrefix: 'tcp', cluster, ...more });
const hcm = (cluster: string) => filter('http_connection_manager', 'HttpConnectionManager', { statPrefix: 'http', routeConfig: { name: 'r', virtualHosts: [{ name: 'all', domains: ['*'], routes: [routeTo(cluster)] }] }, httpFilters: [router] });

async function backend(t: TestContext, serve: (socket: net.Socket) => void): Promise<number> {
  const open = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    serve(socket);
  }).listen(0, '127.0.0.1');
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

const connect = (t: TestContext, port: number) => {
  const socket = net.connect({ port, host: '127.0.0.1' }).on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
};

/** What came until the other side closed. */
async function heard(socket: net.Socket): Promise<string> {
  let text = '';
  socket.on('data', (data: Buffer) => (text += data.toString()));
  await once(socket, 'close');
  return text;
}

test('connection limit: one more than allowed is closed after the delay; one that leaves makes room', async (t) => {
  const echo = await backend(t, (socket) => socket.pipe(socket));
  const stats = new FlatStats();
  const server = workerServer(t, { stats });
  must(server.setCluster(staticCluster('echo', [echo])));
  must(await server.setListener(listenerOf({ name: 'main', address: address(0), filterChains: [{ filters: [filter('connection_limit', 'ConnectionLimit', { statPrefix: 'few', maxConnections: '1', delay: '0.05s' }), tcp('echo')] }] })));
  const first = connect(t, portOf(server));
  first.write('hi');
  await once(first, 'data');
  assert.equal(await heard(connect(t, portOf(server))), '');
  assert.equal(stats.counter('connection_limit.few.limited_connections').value, 1);
  first.destroy();
  await waitFor('room', () => stats.gauge('connection_limit.few.active_connections').value === 0);
  const next = connect(t, portOf(server));
  next.write('hi');
  await once(next, 'data');
});

test('local rate limit: in front of HTTP too, connections above the rate are closed unread', async (t) => {
  const app = await application(t, (_request, response) => response.end('ok'));
  const stats = new FlatStats();
  const server = workerServer(t, { stats });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(listenerOf({ name: 'main', address: address(0), filterChains: [{ filters: [filter('local_ratelimit', 'LocalRateLimit', { statPrefix: 'slow', tokenBucket: { maxTokens: 2, tokensPerFill: 1, fillInterval: '3600s' } }), hcm('app')] }] })));
  const port = portOf(server);
  assert.deepEqual([(await ask(port)).status, (await ask(port)).status], [200, 200]);
  await assert.rejects(ask(port));
  assert.equal(stats.counter('local_rate_limit.slow.rate_limited').value, 1);
  await waitFor('nothing to be held', () => server.activeConnections === 0);
});

/** Two workers of one process, with this listener and a cluster that echoes. */
async function twoWorkers(t: TestContext, listener: ReturnType<typeof listenerOf>) {
  const echo = await backend(t, (socket) => socket.pipe(socket));
  const [flags, buffer] = [sharedStateBuffer(), sharedRowsBuffer(2)];
  const rows = (worker: number) => new AtomicRows(buffer, { workers: 2, worker, offsetMs: 0 });
  const stats = new FlatStats();
  const workers = await Promise.all([0, 1].map(async (worker) => {
    const server = workerServer(t, { stats, shared: new AtomicState(flags, rows(worker)), drainTimeMs: 100 });
    must(server.setCluster(staticCluster('echo', [echo])));
    must(await server.setListener(listener));
    return server;
  }));
  return { one: workers[0] ?? assert.fail(), two: workers[1] ?? assert.fail(), rows: rows(2), stats };
}

/** Whether a new connection is served. */
async function served(t: TestContext, port: number): Promise<{ readonly yes: boolean; readonly socket: net.Socket }> {
  const socket = connect(t, port);
  socket.write('hi');
  return { yes: await Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]), socket };
}

test('connection limit: connections of all workers count; a replaced config begins anew, a removed one is forgotten', async (t) => {
  const few = (maxConnections: number) => listenerOf({ name: 'main', address: address(0), filterChains: [{ filters: [filter('connection_limit', 'ConnectionLimit', { statPrefix: 'few', maxConnections }), tcp('echo')] }] });
  const { one, two, rows, stats } = await twoWorkers(t, few(1));
  const before = rows.size;
  const first = await served(t, portOf(one));
  assert.deepEqual([first.yes, (await served(t, portOf(two))).yes], [true, false]);
  must(await two.setListener(few(1)));
  assert.equal((await served(t, portOf(two))).yes, false, 'the same config pushed again counts on');
  first.socket.destroy();
  await waitFor('room', () => stats.gauge('connection_limit.few.active_connections').value === 0);
  assert.equal((await served(t, portOf(two))).yes, true);
  assert.equal((await served(t, portOf(one))).yes, false);
  for (const server of [one, two]) must(await server.setListener(few(2)));
  assert.equal((await served(t, portOf(one))).yes, true);
  await Promise.all([one, two].map((server) => server.removeListener('main')));
  await waitFor('the rows of the filters to go', () => rows.size === before - 1, { deadlineMs: 5000 });
});

test('local rate limit: connections to all workers take from one bucket', async (t) => {
  const slow = () => listenerOf({ name: 'main', address: address(0), filterChains: [{ filters: [filter('local_ratelimit', 'LocalRateLimit', { statPrefix: 'slow', tokenBucket: { maxTokens: 3, tokensPerFill: 1, fillInterval: '3600s' } }), tcp('echo')] }] });
  const { one, two } = await twoWorkers(t, slow());
  const yes = async (server: typeof one) => (await served(t, portOf(server))).yes;
  assert.deepEqual([await yes(one), await yes(two)], [true, true]);
  must(await one.setListener(slow()));
  assert.deepEqual([await yes(one), await yes(two), await yes(one)], [true, false, false]);
});

test('TLS passes through by its server name: chains by name, longest wildcard first, then the cluster of that name', async (t) => {
  const fixture = tlsFixture();
  let reached = '';
  const [exact, deep, wide, named] = await Promise.all(['exact', 'deep', 'wide', 'named'].map((name) => backend(t, (socket) => socket.once('data', () => {
    reached = name;
    socket.end();
  }))));
  const server = workerServer(t);
  for (const [name, port] of [['exact', exact], ['deep', deep], ['wide', wide], ['named.test', named]] as const) must(server.setCluster(staticCluster(name, [port ?? 0])));
  const chain = (serverNames: string[], cluster: string) => ({ name: cluster, filterChainMatch: { serverNames }, filters: [tcp(cluster)] });
  must(await server.setListener(listenerOf({
    name: 'main', address: address(0), filterChains: [chain(['a.b.test'], 'exact'), chain(['*.b.test'], 'deep'), chain(['*.test'], 'wide'), { name: 'sni', filterChainMatch: { serverNames: ['named.test'] }, filters: [filter('sni_cluster', 'SniCluster'), tcp('wide')] }],
  })));
  const hello = async (servername: string) => {
    const socket = connect(t, portOf(server));
    const client = tls.connect({ socket, servername, ca: fixture.rootPem }).on('error', () => {});
    reached = '';
    await new Promise((resolve) => client.once('close', resolve));
    return reached;
  };
  assert.deepEqual([await hello('a.b.test'), await hello('x.b.test'), await hello('x.y.b.test'), await hello('other.test'), await hello('named.test'), await hello('elsewhere.org')], ['exact', 'deep', 'deep', 'wide', 'named', '']);
});

test('upstreams are told who the client is by the PROXY protocol, also in front of TLS', async (t) => {
  const seen: Buffer[] = [];
  const plain = await backend(t, (socket) => socket.on('data', (data: Buffer) => {
    seen.push(data);
    socket.end();
  }));
  const socketOf = (config: object) => ({ name: 'pp', typedConfig: { '@type': type('transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'), config, transportSocket: { name: 'envoy.transport_sockets.raw_buffer', typedConfig: { '@type': type('transport_sockets.raw_buffer.v3.RawBuffer') } } } });
  const tlsSocket = { name: 'pp', typedConfig: { '@type': type('transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'), config: { version: 'V2' }, transportSocket: { name: 'tls', typedConfig: { '@type': type('transport_sockets.tls.v3.UpstreamTlsContext'), sni: 'inner.test' } } } };
  const server = workerServer(t);
  for (const [name, transportSocket] of [['v1', socketOf({ version: 'V1' })], ['v2', socketOf({ version: 'V2' })], ['tls', tlsSocket]] as const) {
    must(server.setCluster(staticCluster(name, [plain], { transportSocket })));
    must(await server.setListener(listenerOf({ name, address: address(0), filterChains: [{ filters: [tcp(name)] }] })));
    const socket = connect(t, portOf(server, name));
    await once(socket, 'connect');
    const { localPort } = socket;
    socket.write('hello');
    await waitFor('the backend', () => seen.length > 0);
    await waitFor('all', () => Buffer.concat(seen).length > 50 || Buffer.concat(seen).includes('hello'));
    const bytes = Buffer.concat(seen.splice(0));
    const header = readProxyHeader(bytes);
    assert.ok(typeof header === 'object' && 'length' in header);
    assert.deepEqual([header.addresses?.sourceIp, header.addresses?.sourcePort, header.addresses?.destinationPort], ['127.0.0.1', localPort, portOf(server, name)]);
    const rest = bytes.subarray(header.length);
    if (name === 'tls') assert.equal(rest[0], 22);
    else assert.equal(rest.toString(), 'hello');
  }
});

test('PROXY headers to upstreams carry values of the cluster and of the host, whose own come first', async (t) => {
  let seen = Buffer.alloc(0);
  const plain = await backend(t, (socket) => socket.on('data', (data: Buffer) => (seen = Buffer.concat([seen, data]))));
  const tlv = (tlvType: number, value: string) => ({ type: tlvType, value: Buffer.from(value).toString('base64') });
  const transportSocket = { name: 'pp', typedConfig: { '@type': type('transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'), config: { version: 'V2', addedTlvs: [tlv(0xe1, 'cluster'), tlv(0xe2, 'both')] }, transportSocket: { name: 'raw', typedConfig: { '@type': type('transport_sockets.raw_buffer.v3.RawBuffer') } } } };
  const metadata = { typedFilterMetadata: { 'envoy.transport_sockets.proxy_protocol': { '@type': 'type.googleapis.com/envoy.config.core.v3.PerHostConfig', addedTlvs: [tlv(0xe2, 'host'), tlv(0xe3, 'more')] } } };
  const endpoints = [{ lbEndpoints: [{ endpoint: { address: address(plain) }, metadata }] }];
  const server = workerServer(t);
  must(server.setCluster(staticCluster('tlvs', [plain], { transportSocket, loadAssignment: { clusterName: 'tlvs', endpoints } })));
  must(await server.setListener(listenerOf({ name: 'main', address: address(0), filterChains: [{ filters: [tcp('tlvs')] }] })));
  connect(t, portOf(server)).write('hello');
  await waitFor('the backend', () => seen.includes('hello'));
  const header = readProxyHeader(seen);
  assert.ok(typeof header === 'object' && 'tlvs' in header);
  assert.deepEqual(header.tlvs.map((each) => [each.type, Buffer.from(each.value).toString()]), [[0xe1, 'cluster'], [0xe2, 'host'], [0xe3, 'more']]);
});

/** Bytes that the proxy's own process holds for a session may not grow with what is sent: the kernel's buffers fill, then the sender waits. */
for (const direction of ['to the upstream', 'to the client'] as const) {
  test(`TCP: a reader that stalls, ${direction}, holds the sender back; when it reads again everything arrives`, async (t) => {
    const total = 48 * 1024 * 1024;
    let upstream: net.Socket | null = null;
    const port = await backend(t, (socket) => (upstream = socket.pause()));
    const server = workerServer(t);
    must(server.setCluster(staticCluster('sink', [port])));
    must(await server.setListener(listenerOf({ name: 'main', address: address(0), perConnectionBufferLimitBytes: 64 * 1024, filterChains: [{ filters: [tcp('sink')] }] })));
    const client = connect(t, portOf(server)).pause();
    const far = await waitFor('the upstream', () => upstream ?? undefined);
    const [from, to] = direction === 'to the upstream' ? [client, far] : [far, client];
    let sent = 0;
    const part = Buffer.alloc(256 * 1024, 1);
    const pump = () => {
      while (sent < total) {
        sent += part.length;
        if (!from.write(part)) return;
      }
      from.end();
    };
    from.on('drain', pump);
    pump();
    let still = 0;
    let before = -1;
    await waitFor('the sender to be held back', () => {
      still = sent === before ? still + 1 : 0;
      before = sent;
      return still > 20;
    }, { deadlineMs: 10_000, everyMs: 10 });
    // The kernel holds a few megabytes a hop; of what the proxy would hold without limits there is much more.
    assert.ok(sent < total / 2, `${sent} of ${total} bytes were taken`);
    let received = 0;
    to.on('data', (data: Buffer) => (received += data.length));
    to.resume();
    await once(to, 'end');
    assert.equal(received, total);
  });
}
