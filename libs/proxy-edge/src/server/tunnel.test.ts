import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import { formatResponseFlags, type StreamInfo } from '@meltemi/http';
import type { Listener } from '@meltemi/snapshot';
import { clusterOf, endpoints, must, portOf, tcpListener, workerServer } from './fixture.ts';

/** An HTTP proxy by CONNECT or POST, which connects to nobody: it answers each line in upper case. */
interface Proxy {
  readonly port: number;
  readonly asked: { readonly method: string; readonly target: string; readonly headers: http.IncomingHttpHeaders }[];
}

function shout(t: TestContext, server: net.Server): (stream: NodeJS.ReadWriteStream) => void {
  t.after(() => server.close());
  return (stream) => {
    stream.on('error', () => {});
    stream.on('data', (bytes: Buffer) => stream.write(bytes.toString().toUpperCase()));
    stream.on('end', () => stream.end());
  };
}

async function http1Proxy(t: TestContext, status = 200): Promise<Proxy> {
  const asked: Proxy['asked'] = [];
  const server = http.createServer((request, response) => {
    asked.push({ method: request.method ?? '', target: request.url ?? '', headers: request.headers });
    response.writeHead(status, { 'x-proxy': 'one' });
    response.flushHeaders();
    if (status >= 300) return void response.end();
    request.on('data', (bytes: Buffer) => response.write(bytes.toString().toUpperCase()));
    request.on('end', () => response.end());
  });
  const serve = shout(t, server);
  server.on('connect', (request, socket: net.Socket) => {
    asked.push({ method: 'CONNECT', target: request.url ?? '', headers: request.headers });
    if (status >= 300) return void socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    socket.write('HTTP/1.1 200 Fine\r\nx-proxy: one\r\n\r\n');
    return serve(socket);
  });
  return { port: await listening(t, server), asked };
}

async function http2Proxy(t: TestContext, status = 200): Promise<Proxy> {
  const asked: Proxy['asked'] = [];
  const server = http2.createServer();
  const serve = shout(t, server);
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    asked.push({ method: String(headers[':method']), target: String(headers[':authority']), headers });
    stream.respond({ ':status': status }, { endStream: status >= 300 });
    if (status < 300) serve(stream);
  });
  return { port: await listening(t, server), asked };
}

async function listening(t: TestContext, server: net.Server): Promise<number> {
  const open = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => open.add(socket));
  t.after(() => open.forEach((socket) => socket.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const overHttp2 = { typedExtensionProtocolOptions: { [options]: { '@type': `type.googleapis.com/${options}`, explicitHttpConfig: { http2ProtocolOptions: {} } } } };

function logging(listener: Listener): Listener {
  const accessLogs = [{ name: 'test', filter: null, typeUrl: 'test', config: null }];
  for (const filter of listener.allFilterChains.flatMap(({ networkFilters }) => networkFilters)) if (filter.kind === 'tcp_proxy') Object.assign(filter.config, { accessLogs });
  return listener;
}

/** A listener that tunnels through the proxy, and what its access log said. */
async function tunnel(t: TestContext, proxy: Proxy, config: object, more: object = {}) {
  const logged: StreamInfo[] = [];
  const server = workerServer(t, { openAccessLog: () => (info) => void logged.push(info) });
  must(server.setCluster(clusterOf({ name: 'proxy', type: 'STATIC', connectTimeout: '1s', loadAssignment: endpoints('proxy', proxy.port), ...more })));
  must(await server.setListener(logging(tcpListener({ cluster: 'proxy', tunnelingConfig: { hostname: 'db.example:5432', ...config } }, 'main'))));
  const socket = net.connect({ port: portOf(server), host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => socket.destroy());
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
  socket.on('error', () => {});
  return { socket, heard: () => text, logged };
}

for (const [version, start, more] of [['HTTP/1.1', http1Proxy, {}], ['HTTP/2', http2Proxy, overHttp2]] as const) {
  for (const usePost of [false, true]) {
    const method = usePost ? 'POST' : 'CONNECT';
    test(`tunnel by ${method} over ${version}: bytes go through both ways, an end is passed on`, async (t) => {
      const proxy = await start(t);
      const { socket, heard, logged } = await tunnel(t, proxy, { usePost, headersToAdd: [{ header: { key: 'x-from', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } }] }, more);
      socket.write('hello ');
      await waitFor('an answer', () => heard() === 'HELLO ');
      socket.end('again');
      await once(socket, 'end');
      assert.equal(heard(), 'HELLO AGAIN');
      const [asked] = proxy.asked;
      assert.deepEqual([asked?.method, asked?.headers['x-from']], [method, '127.0.0.1']);
      if (usePost) assert.equal(asked?.headers.host ?? asked?.headers[':authority'], 'db.example:5432');
      else assert.equal(asked?.target, 'db.example:5432');
      await waitFor('the log', () => logged.length === 1);
      assert.deepEqual([logged[0]?.bytesReceived, logged[0]?.bytesSent, logged[0]?.responseFlags, logged[0]?.filterState], [11, 11, 0, null]);
    });
  }

  test(`tunnel over ${version}: a proxy that says no closes the connection, with flags UF and URX`, async (t) => {
    const proxy = await start(t, 403);
    const { socket, logged } = await tunnel(t, proxy, {}, more);
    await once(socket, 'end');
    await waitFor('the log', () => logged.length === 1);
    assert.equal(formatResponseFlags(logged[0]?.responseFlags ?? 0), 'UF,URX');
  });
}

test('tunnel: the host may come from the connection, a POST goes to its path, and what the proxy answered is kept when wanted', async (t) => {
  const proxy = await http1Proxy(t);
  const { socket, heard, logged } = await tunnel(t, proxy, { hostname: '%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%:99', usePost: true, postPath: '/in', propagateResponseHeaders: true });
  socket.end('x');
  await once(socket, 'end');
  assert.deepEqual([heard(), proxy.asked[0]?.target, proxy.asked[0]?.headers.host], ['X', '/in', '127.0.0.1:99']);
  await waitFor('the log', () => logged.length === 1);
  const kept = logged[0]?.filterState?.get('envoy.tcp_proxy.propagate_response_headers') as Record<string, string>;
  assert.equal(kept['x-proxy'], 'one');
});

test('tunnel: what the client sends before the proxy agreed waits for it', async (t) => {
  let agree: () => void = () => {};
  const server = http.createServer();
  server.on('connect', (_request, socket: net.Socket) => {
    agree = () => socket.write('HTTP/1.1 200 Fine\r\n\r\n');
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => socket.write(`got ${bytes.toString()}`));
  });
  const port = await listening(t, server);
  t.after(() => server.close());
  const { socket, heard } = await tunnel(t, { port, asked: [] }, {});
  const asked = once(server, 'connect');
  socket.write('early');
  await asked;
  agree();
  await waitFor('the answer', () => heard() === 'got early');
});
