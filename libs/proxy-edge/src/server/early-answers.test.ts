import assert from 'node:assert/strict';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { tlsFixture } from '../transport/tls-fixture.ts';
import { ask, httpListener, must, portOf, routeTo, staticCluster, workerServer } from './fixture.ts';

const large = Buffer.alloc(3_000_000, 'meltemi-');

/** An application that answers as soon as anything comes, and closes without reading the rest: the kernel resets the connection then. */
async function refusing(t: TestContext, answer: string, secure: tls.TlsOptions | null = null): Promise<number> {
  const sockets = new Set<net.Socket>();
  const serve = (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.pause();
      socket.write(answer, () => socket.destroy());
    });
  };
  const server = secure === null ? net.createServer(serve) : tls.createServer(secure, serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function proxyTo(t: TestContext, port: number, more: Record<string, unknown> = {}): Promise<number> {
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [port], more)));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  return portOf(server);
}

const whole = 'HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig';

for (const [what, headers] of [['counted', { 'content-length': String(large.length) }], ['in chunks', { 'transfer-encoding': 'chunked' }]] as const)
  test(`an application that refuses a large body, ${what}, and closes: the client has its answer`, async (t) => {
    const port = await proxyTo(t, await refusing(t, whole));
    for (let i = 0; i < 10; i++) {
      const { status, body } = await ask(port, { method: 'POST', headers, body: large });
      assert.deepEqual([status, body], [413, 'big']);
    }
  });

test('an application that refuses a large body over TLS and closes: the client has its answer', async (t) => {
  const { certificateChain, privateKey } = tlsFixture().issue('spiffe://cluster.local/app');
  if (certificateChain.kind !== 'inline' || privateKey?.kind !== 'inline') throw new Error('not inline');
  const app = await refusing(t, whole, { cert: Buffer.from(certificateChain.bytes), key: Buffer.from(privateKey.bytes) });
  const port = await proxyTo(t, app, { transportSocket: { name: 'tls', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext' } } });
  for (let i = 0; i < 10; i++) assert.equal((await ask(port, { method: 'POST', headers: { 'content-length': String(large.length) }, body: large })).status, 413);
});

test('an application that refuses a large body of HTTP/2 and closes: the client has its answer', async (t) => {
  const port = await proxyTo(t, await refusing(t, whole));
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  stream.on('error', () => {});
  const status = new Promise((resolve) => stream.once('response', (head) => resolve(head[':status'])));
  stream.end(large);
  stream.resume();
  assert.equal(await status, 413);
});

test('an application that closes in the middle of a large body without an answer: 503', async (t) => {
  const port = await proxyTo(t, await refusing(t, ' '.slice(1)));
  const { status, body } = await ask(port, { method: 'POST', headers: { 'content-length': String(large.length) }, body: large });
  assert.equal(status, 503);
  assert.match(body, /connection termination/);
});
