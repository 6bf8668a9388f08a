import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { credentials, status } from '@grpc/grpc-js';
import { HealthService } from '@meltemi/api/gen/grpc/health/v1/health.ts';
import { EchoClient, EchoRequest, EchoResponse, EchoService, type EchoServer } from '@meltemi/api/gen/meltemi/echo/v1/echo.ts';
import { waitFor } from '@meltemi/base';
import { request } from '../testing/client.ts';
import { grpcServer, type GrpcServer } from '../testing/grpc-server.ts';
import { startProxy, type RunningProxy } from '../testing/proxy-process.ts';
import { sample, statsOf } from '../testing/samples.ts';

let echo: GrpcServer;
let proxy: RunningProxy;

const reply = (message: string): EchoResponse => ({ message, instance: 'echo', version: 'v1', headers: {} });

before(async () => {
  let busy = 2;
  echo = await grpcServer((server) => {
    server.addService(EchoService, {
      echo: ({ request: { message } }, done) => {
        if (message === 'busy' && busy-- > 0) return done({ code: status.UNAVAILABLE, details: 'busy' });
        return message === 'missing' ? done({ code: status.NOT_FOUND, details: 'no such thing' }) : done(null, reply(message));
      },
      serverStream: (call) => {
        for (let i = 0; i < 3; i++) call.write(reply(`${call.request.message} ${i}`));
        call.end();
      },
      clientStream: (call, done) => {
        const parts: string[] = [];
        call.on('data', (part: EchoRequest) => parts.push(part.message)).on('end', () => done(null, reply(parts.join())));
      },
      bidiStream: (call) => call.on('data', (part: EchoRequest) => call.write(reply(part.message))).on('end', () => call.end()),
    } satisfies EchoServer);
    server.addService(HealthService, { check: (_call: unknown, done: (error: null, answer: unknown) => void) => done(null, { status: 1 }), watch: () => {} });
  });
  proxy = await startProxy(sample('grpc.yaml', { 50051: echo.port }));
  await waitFor('the health check', async () => (await statsOf(proxy)).get('cluster.echo.membership_healthy') === 1);
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  echo?.stop();
});

const path = '/meltemi.echo.v1.Echo/Echo';
const message = (text: string) => Buffer.from(EchoRequest.encode({ message: text }).finish());
const framed = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, 0, message(text).length]), message(text)]);
const call = (type: string, body: Buffer, headers: Readonly<Record<string, string>> = {}) => request(proxy.port('web'), { method: 'POST', path, body, headers: { 'content-type': type, ...headers } });

test('a gRPC client calls all kinds of methods; one that is busy is asked again', async () => {
  const client = new EchoClient(`127.0.0.1:${proxy.port('web')}`, credentials.createInsecure());
  try {
    const unary = (text: string) => new Promise<string>((resolve, reject) => { client.echo({ message: text }, (error, answer) => (error ? reject(error) : resolve(answer.message))); });
    assert.equal(await unary('hello'), 'hello');
    assert.equal(await unary('busy'), 'busy');
    await assert.rejects(unary('missing'), { code: status.NOT_FOUND, details: 'no such thing' });
    const streamed: string[] = [];
    for await (const part of client.serverStream({ message: 'part' })) streamed.push((part as EchoResponse).message);
    assert.deepEqual(streamed, ['part 0', 'part 1', 'part 2']);
    assert.equal(await new Promise((resolve, reject) => {
      const stream = client.clientStream((error, answer) => (error ? reject(error) : resolve(answer.message)));
      for (const text of ['a', 'b']) stream.write({ message: text });
      stream.end();
    }), 'a,b');
  } finally {
    client.close();
  }
});

test('an HTTP/1.1 client without trailers has the status in the head, and 503 when it is not 0', async () => {
  const good = await call('application/grpc', framed('hi'));
  assert.deepEqual([good.status, good.headers['grpc-status'], EchoResponse.decode(Buffer.from(good.body, 'latin1').subarray(5)).message], [200, '0', 'hi']);
  const bad = await call('application/grpc', framed('missing'));
  assert.deepEqual([bad.status, bad.headers['grpc-status'], bad.headers['grpc-message']], [503, '5', 'no%20such%20thing']);
});

test('plain protobuf is framed on the way and unframed on the way back', async () => {
  const answer = await call('application/x-protobuf', message('plain'));
  assert.deepEqual([answer.status, answer.headers['content-type'], EchoResponse.decode(Buffer.from(answer.body, 'latin1')).message], [200, 'application/x-protobuf', 'plain']);
});

test('a browser calls over gRPC-Web from an allowed origin', async () => {
  const preflight = await request(proxy.port('web'), { method: 'OPTIONS', path, headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,x-grpc-web' } });
  assert.deepEqual([preflight.status, preflight.headers['access-control-allow-origin'], preflight.headers['access-control-max-age']], [200, 'https://shop.example', '1728000']);
  const answer = await call('application/grpc-web+proto', framed('web'), { origin: 'https://shop.example', 'x-grpc-web': '1' });
  assert.deepEqual([answer.status, answer.headers['content-type'], answer.headers['access-control-expose-headers']], [200, 'application/grpc-web+proto', 'grpc-status,grpc-message']);
  assert.match(answer.body, /web[\s\S]*grpc-status:0/);
});

test('calls are counted by method and logged with their status', async () => {
  await call('application/grpc', framed('missing'));
  await waitFor('the log', () => /^\/meltemi\.echo\.v1\.Echo\/Echo HTTP\/1\.1 NotFound$/m.test(proxy.out()));
  const stats = await statsOf(proxy);
  assert.ok((stats.get('cluster.echo.grpc.meltemi.echo.v1.Echo.Echo.5') ?? 0) >= 1);
  assert.ok((stats.get('cluster.echo.grpc.meltemi.echo.v1.Echo.Echo.0') ?? 0) >= 1);
});
