import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as httpServer } from 'node:http';
import { createServer as httpsServer } from 'node:https';
import { createServer as tcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { HealthCheckResponse_ServingStatus as Serving, HealthService } from '@meltemi/api/gen/grpc/health/v1/health.ts';
import type { ReadinessCheck } from '@meltemi/proxy';
import { tlsFixture } from '../transport/tls-fixture.ts';
import { askApplication } from './ask-application.ts';

const host = '127.0.0.1';
const never = new AbortController().signal;
const ask = (check: ReadinessCheck, timeoutMs: number, stop = never) => askApplication(check, timeoutMs, stop);

async function portOf(context: TestContext, server: Server): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  context.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('HTTP: any status of 200 to 399 is ready; the path and the fields are the probe\'s', async (context) => {
  const asked: unknown[] = [];
  const server = httpServer((request, response) => {
    asked.push([request.headers.host, request.url, request.headers['x-a'], request.headers['user-agent']]);
    response.writeHead(Number(request.url?.slice(1))).end('x'.repeat(100));
  });
  const port = await portOf(context, server);
  const status = (code: number) => ask({ kind: 'http', scheme: 'http', host, port, path: `/${code}`, headers: [['Host', 'app'], ['X-A', 'b']] }, 2000);
  assert.deepEqual([await status(200), await status(302), await status(404), await status(503)], [undefined, undefined, 'answered 404', 'answered 503']);
  assert.deepEqual(asked[0], ['app', '/200', 'b', 'istio-probe/1.0']);
});

test('HTTP: the status decides as soon as it is there, whatever follows it and however many fields come with it', async (context) => {
  const server = httpServer((request, response) => {
    for (let i = 0; i < 200; i++) response.setHeader(`x-${i}`, 'a');
    response.writeHead(request.url === '/ready' ? 200 : 503).write('data: 1\n\n');
  });
  const port = await portOf(context, server);
  const closed = once(server, 'connection').then(async ([socket]) => once(socket as Socket, 'close'));
  const path = (at: string) => ask({ kind: 'http', scheme: 'http', host, port, path: at, headers: [] }, 5000);
  assert.equal(await path('/ready'), undefined);
  await closed;
  assert.equal(await path('/'), 'answered 503');
});

test('HTTPS: whoever the certificate names', async (context) => {
  const { certificateChain: cert, privateKey: key } = tlsFixture().issue('spiffe://cluster.local/ns/a/sa/app');
  assert.ok(cert.kind === 'inline' && key?.kind === 'inline');
  const port = await portOf(context, httpsServer({ key: key.bytes, cert: cert.bytes }, (_request, response) => response.end('ok')));
  assert.equal(await ask({ kind: 'http', scheme: 'https', host, port, path: '/', headers: [] }, 5000), undefined);
});

test('an application that does not answer in time, or not at all, is not ready', async (context) => {
  const silent = tcpServer((socket) => context.after(() => socket.destroy()));
  const port = await portOf(context, silent);
  assert.equal(await ask({ kind: 'http', scheme: 'http', host, port, path: '/', headers: [] }, 100), 'no answer within 100 ms');
  assert.equal(await ask({ kind: 'grpc', host, port, service: '' }, 100), 'no answer within 100 ms');
  assert.equal(await ask({ kind: 'tcp', host, port }, 1000), undefined);
  const closed = tcpServer();
  const gone = await portOf(context, closed);
  closed.close();
  await once(closed, 'close');
  assert.match((await ask({ kind: 'tcp', host, port: gone }, 1000)) ?? '', /ECONNREFUSED/);
  assert.match((await ask({ kind: 'http', scheme: 'https', host, port: gone, path: '/', headers: [] }, 1000)) ?? '', /ECONNREFUSED/);
});

test('one that answers what is no answer is not ready', async (context) => {
  const says = async (text: string) => ask({ kind: 'http', scheme: 'http', host, port: await portOf(context, tcpServer((socket) => socket.on('error', () => {}).end(text))), path: '/', headers: [] }, 5000);
  assert.match((await says('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')) ?? '', /101|not HTTP/);
  assert.match((await says('SSH-2.0-x\r\n\r\n')) ?? '', /not HTTP/);
});

test('a program is ready when it ends with 0', async () => {
  const run = (...command: [string, ...string[]]) => ask({ kind: 'exec', command }, 5000);
  assert.equal(await run('true'), undefined);
  assert.equal(await run('sh', '-c', 'exit 3'), 'sh ended with exit code 3');
  assert.match((await run('/no/such/program')) ?? '', /ENOENT/);
  assert.match((await run('true', 'a\0b')) ?? '', /null bytes/);
});

/** A program that waits for ever for another one, which holds a connection to us. */
async function endless(context: TestContext) {
  const server = tcpServer();
  const port = await portOf(context, server);
  const begun = once(server, 'connection') as Promise<[Socket]>;
  return { command: ['bash', '-c', `sleep 600 > /dev/tcp/${host}/${port} & wait`] as const, begun };
}

test('one that takes too long is killed with what it started', async (context) => {
  const { command, begun } = await endless(context);
  assert.equal(await ask({ kind: 'exec', command }, 1000), 'no answer within 1000 ms');
  const [socket] = await begun;
  await once(socket.resume(), 'close');
});

test('so is one that is running when nobody wants to know any more', async (context) => {
  const { command, begun } = await endless(context);
  const stop = new AbortController();
  const answer = ask({ kind: 'exec', command }, 600_000, stop.signal);
  const [socket] = await begun;
  stop.abort();
  assert.equal(await answer, 'nobody waits for an answer any more');
  await once(socket.resume(), 'close');
});

test('gRPC: the health service must say SERVING of the service that is asked about', async (context) => {
  const server = new GrpcServer();
  server.addService(HealthService, { check: (call: { request: { service: string } }, done: (error: null, answer: { status: number }) => void) => done(null, { status: call.request.service === 'shop' ? Serving.SERVING : Serving.NOT_SERVING }) });
  const port = await new Promise<number>((resolve, reject) => server.bindAsync(`${host}:0`, ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
  context.after(() => server.forceShutdown());
  assert.equal(await ask({ kind: 'grpc', host, port, service: 'shop' }, 2000), undefined);
  assert.match((await ask({ kind: 'grpc', host, port, service: 'other' }, 2000)) ?? '', /serving status 2/);
});
