import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { waitFor } from '@meltemi/base';
import { application, ask, httpListener, must, portOf, routeTo, staticCluster, workerServer } from './fixture.ts';

const speaks = (protocol: Record<string, unknown>) => ({
  typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', ...protocol } },
});
const overHttp2 = speaks({ explicitHttpConfig: { http2ProtocolOptions: {} } });

/** An h2c application; returns its port. */
async function http2Application(t: TestContext, handler: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void): Promise<number> {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function client(t: TestContext, port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  return session;
}

interface Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: string;
}

function request(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders, body: Buffer | null = null): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === null });
    const parts: Buffer[] = [];
    let head: http2.IncomingHttpHeaders = {};
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('response', (got) => (head = got));
    stream.on('trailers', (got) => (trailers = got));
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => resolve({ status: Number(head[':status']), headers: head, trailers, body: Buffer.concat(parts).toString('latin1') }));
    stream.on('error', reject);
    if (body !== null) stream.end(body);
  });
}

async function proxy(t: TestContext, port: number, more: Record<string, unknown> = {}, route: Record<string, unknown> = {}) {
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [port], more)));
  must(await server.setListener(httpListener({ routes: [routeTo('app', route)] })));
  return { server, port: portOf(server) };
}

test('an HTTP/2 client is served by an HTTP/1.1 application, many requests at once on one connection', async (t) => {
  const app = await application(t, (incoming, response) => response.setHeader('x-app', 'one').end(`${incoming.method} ${incoming.url} ${incoming.headers.host} ${incoming.httpVersion}`));
  const session = client(t, (await proxy(t, app)).port);
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => request(session, { ':path': `/${i}`, ':authority': 'reviews' })));
  for (const [i, { status, headers, body }] of answers.entries()) assert.deepEqual([status, headers['x-app'], body], [200, 'one', `GET /${i} reviews 1.1`]);
});

test('an HTTP/1.1 client is served by an HTTP/2 application over one connection', async (t) => {
  let connections = 0;
  const app = await http2Application(t, (stream, headers) => {
    stream.respond({ ':status': 200, 'x-app': 'two' });
    stream.end(`${headers[':method']} ${headers[':path']} ${headers[':authority']}`);
  });
  const { port, server } = await proxy(t, app, overHttp2);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(port, { path: `/${i}`, headers: { host: 'reviews' } })));
  for (const [i, { status, headers, body }] of answers.entries()) assert.deepEqual([status, headers['x-app'], body], [200, 'two', `GET /${i} reviews`]);
  for (const entry of server.clusters.entries()) for (const host of entry.hosts) connections += host.state.connections;
  assert.equal(connections, 1);
});

test('bodies and trailers pass both ways over HTTP/2 on both sides', async (t) => {
  const app = await http2Application(t, (stream, headers) => {
    const parts: Buffer[] = [];
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('trailers', (got) => (trailers = got));
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'x-length': String(headers['content-length']) }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-after': 'all', 'x-got': String(trailers['x-last'] ?? '') }));
      stream.end(Buffer.concat(parts));
    });
  });
  const session = client(t, (await proxy(t, app, overHttp2)).port);
  const body = Buffer.alloc(3_000_000, 'meltemi-');
  const answer = await new Promise<Answer>((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true });
    const parts: Buffer[] = [];
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-last': 'word' }));
    stream.on('trailers', (got) => (trailers = got));
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => resolve({ status: 200, headers: {}, trailers, body: Buffer.concat(parts).toString('latin1') }));
    stream.on('error', reject);
    stream.end(body);
  });
  assert.ok(answer.body === body.toString('latin1'));
  assert.deepEqual([answer.trailers['x-after'], answer.trailers['x-got']], ['all', 'word']);
});

test('a client that gives up its stream gives up the upstream one, and the connections stay', async (t) => {
  let resets = 0;
  const app = await http2Application(t, (stream, headers) => {
    stream.on('error', () => {});
    stream.on('close', () => (resets += stream.rstCode === http2.constants.NGHTTP2_CANCEL ? 1 : 0));
    if (headers[':path'] === '/slow') return;
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  const session = client(t, (await proxy(t, app, overHttp2)).port);
  const slow = session.request({ ':path': '/slow' });
  slow.on('error', () => {});
  assert.equal((await request(session, { ':path': '/' })).body, 'ok');
  slow.close(http2.constants.NGHTTP2_CANCEL);
  await waitFor('the upstream stream to be reset', () => resets === 1);
  assert.equal((await request(session, { ':path': '/' })).body, 'ok');
});

test('a stream the upstream refuses is asked again elsewhere without a retry policy', async (t) => {
  let seen = 0;
  const app = await http2Application(t, (stream) => {
    stream.on('error', () => {});
    if (seen++ === 0) stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    else {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    }
  });
  const { port } = await proxy(t, app, overHttp2);
  const answer = await ask(port);
  assert.deepEqual([answer.status, answer.body, seen], [200, 'ok', 2]);
});

test('a cluster that does as the client does speaks HTTP/2 to HTTP/2 clients alone', async (t) => {
  const app = await http2Application(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('two');
  });
  const { port } = await proxy(t, app, speaks({ useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} } }));
  assert.equal((await request(client(t, port), { ':path': '/' })).body, 'two');
  assert.notEqual((await ask(port)).status, 200);
});

const echo = {
  unary: { path: '/echo.Echo/Unary', requestStream: false, responseStream: false },
  serverStream: { path: '/echo.Echo/ServerStream', requestStream: false, responseStream: true },
  clientStream: { path: '/echo.Echo/ClientStream', requestStream: true, responseStream: false },
  bidi: { path: '/echo.Echo/Bidi', requestStream: true, responseStream: true },
};
const bytes = (value: Buffer): Buffer => value;
const definition = Object.fromEntries(Object.entries(echo).map(([name, method]) => [name, { ...method, requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes }]));

/** A real gRPC server; returns its port. */
async function grpcServer(t: TestContext): Promise<number> {
  const server = new grpc.Server();
  server.addService(definition, {
    unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      const text = call.request.toString();
      if (text === 'fail') return done({ code: grpc.status.FAILED_PRECONDITION, details: 'not so: 50 % ünsure' });
      if (text === 'slow') return undefined;
      const trailer = new grpc.Metadata();
      trailer.set('x-trailer', 't');
      return done(null, Buffer.from(`hello ${text}`), trailer);
    },
    serverStream: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let i = 0; i < 100; i++) call.write(Buffer.alloc(10_000, i));
      call.end();
    },
    clientStream: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      let size = 0;
      call.on('data', (part: Buffer) => (size += part.length));
      call.on('end', () => done(null, Buffer.from(String(size))));
    },
    bidi: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
  t.after(() => server.forceShutdown());
  return port;
}

test('gRPC: all four kinds of calls, statuses, metadata and deadlines pass unchanged', async (t) => {
  const { port } = await proxy(t, await grpcServer(t), overHttp2);
  const caller = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  t.after(() => caller.close());
  const unary = (text: string, options: grpc.CallOptions = {}) =>
    new Promise<{ answer: string; trailer: string }>((resolve, reject) => {
      let answer = '';
      const call = caller.makeUnaryRequest(echo.unary.path, bytes, bytes, Buffer.from(text), new grpc.Metadata(), options, (error, value) => (error ? reject(error) : (answer = String(value))));
      call.on('status', (status) => (status.code === 0 ? resolve({ answer, trailer: String(status.metadata.get('x-trailer')[0]) }) : undefined));
    });
  assert.deepEqual(await unary('you'), { answer: 'hello you', trailer: 't' });
  await assert.rejects(unary('fail'), { code: grpc.status.FAILED_PRECONDITION, details: 'not so: 50 % ünsure' });
  await assert.rejects(unary('slow', { deadline: Date.now() + 200 }), { code: grpc.status.DEADLINE_EXCEEDED });

  const streamed: number[] = [];
  for await (const part of caller.makeServerStreamRequest(echo.serverStream.path, bytes, bytes, Buffer.from('x')) as AsyncIterable<Buffer>) streamed.push(part.length);
  assert.deepEqual(streamed, Array.from({ length: 100 }, () => 10_000));

  const size = await new Promise<string>((resolve, reject) => {
    const call = caller.makeClientStreamRequest(echo.clientStream.path, bytes, bytes, (error, value) => (error ? reject(error) : resolve(String(value))));
    for (let i = 0; i < 100; i++) call.write(Buffer.alloc(10_000));
    call.end();
  });
  assert.equal(size, '1000000');

  const talk = caller.makeBidiStreamRequest(echo.bidi.path, bytes, bytes);
  const heard: string[] = [];
  talk.on('data', (part: Buffer) => {
    heard.push(part.toString());
    if (heard.length < 5) talk.write(Buffer.from(`m${heard.length}`));
    else talk.end();
  });
  talk.write(Buffer.from('m0'));
  await new Promise((resolve) => talk.on('end', resolve));
  assert.deepEqual(heard, ['m0', 'm1', 'm2', 'm3', 'm4']);
});

test("gRPC: Debian's Python client is served as node's is", async (t) => {
  const { port } = await proxy(t, await grpcServer(t), overHttp2);
  // Debian's own Python has the package; another one on the PATH may not.
  const { stdout } = await promisify(execFile)('/usr/bin/python3', [join(import.meta.dirname, 'grpc-client.py'), `127.0.0.1:${port}`], { timeout: 30_000 });
  assert.deepEqual(JSON.parse(stdout), {
    unary: ['hello you', 't'], status: ['FAILED_PRECONDITION', 'not so: 50 % ünsure'], deadline: ['DEADLINE_EXCEEDED', ''],
    serverStream: Array.from({ length: 100 }, () => 10_000), clientStream: '1000000', bidi: ['a', 'b', 'c'],
  });
});

test('gRPC: an upstream that is not there is UNAVAILABLE, a route that is not there UNIMPLEMENTED', async (t) => {
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [1], overHttp2)));
  must(await server.setListener(httpListener({ routes: [routeTo('app', {}, { prefix: '/echo.Echo/Unary' })] })));
  const caller = new grpc.Client(`127.0.0.1:${portOf(server)}`, grpc.credentials.createInsecure());
  t.after(() => caller.close());
  const status = (path: string) => new Promise<number>((resolve) => caller.makeUnaryRequest(path, bytes, bytes, Buffer.from('x'), (error) => resolve(error?.code ?? 0)));
  assert.equal(await status('/echo.Echo/Unary'), grpc.status.UNAVAILABLE);
  assert.equal(await status('/echo.Echo/Bidi'), grpc.status.UNIMPLEMENTED);
});
