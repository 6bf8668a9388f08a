import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as httpServer } from 'node:http';
import { createServer as tcpServer, type AddressInfo, type Server } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { HealthCheckResponse_ServingStatus as Serving, HealthService } from '@meltemi/api/gen/grpc/health/v1/health.ts';
import { askApplication } from './ask-application.ts';

const host = '127.0.0.1';

async function portOf(context: TestContext, server: Server): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  context.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('HTTP: any status of 200 to 399 is ready; the path and the fields are the probe\'s', async (context) => {
  const asked: string[] = [];
  const server = httpServer((request, response) => {
    asked.push(`${request.headers.host} ${request.url} ${String(request.headers['x-a'])}`);
    response.writeHead(Number(request.url?.slice(1))).end('x'.repeat(100));
  });
  const port = await portOf(context, server);
  const ask = (status: number) => askApplication({ kind: 'http', scheme: 'http', host, port, path: `/${status}`, headers: [['Host', 'app'], ['X-A', 'b']] }, 2000);
  assert.deepEqual([await ask(200), await ask(302), await ask(404), await ask(503)], [undefined, undefined, 'HTTP status 404', 'HTTP status 503']);
  assert.equal(asked[0], 'app /200 b');
});

test('an application that does not answer in time, or not at all, is not ready', async (context) => {
  const silent = tcpServer((socket) => context.after(() => socket.destroy()));
  const port = await portOf(context, silent);
  assert.match((await askApplication({ kind: 'http', scheme: 'http', host, port, path: '/', headers: [] }, 100)) ?? '', /no answer within 100 ms/);
  assert.match((await askApplication({ kind: 'grpc', host, port, service: '' }, 200)) ?? '', /DEADLINE_EXCEEDED|Deadline/i);
  assert.equal(await askApplication({ kind: 'tcp', host, port }, 1000), undefined);
  const closed = tcpServer();
  const gone = await portOf(context, closed);
  closed.close();
  await once(closed, 'close');
  assert.match((await askApplication({ kind: 'tcp', host, port: gone }, 1000)) ?? '', /ECONNREFUSED/);
  assert.match((await askApplication({ kind: 'http', scheme: 'https', host, port: gone, path: '/', headers: [] }, 1000)) ?? '', /ECONNREFUSED/);
});

test('a program is ready when it ends with 0 in time; one that does not is killed with what it started', async () => {
  const ask = (...command: [string, ...string[]]) => askApplication({ kind: 'exec', command }, 300);
  assert.equal(await ask('true'), undefined);
  assert.match((await ask('sh', '-c', 'exit 3')) ?? '', /exit code 3/);
  assert.match((await ask('/no/such/program')) ?? '', /ENOENT/);
  const began = Date.now();
  assert.match((await ask('sh', '-c', 'sleep 30 & wait')) ?? '', /longer than 300 ms/);
  assert.ok(Date.now() - began < 5000);
});

test('gRPC: the health service must say SERVING of the service that is asked about', async (context) => {
  const server = new GrpcServer();
  server.addService(HealthService, { check: (call: { request: { service: string } }, done: (error: null, answer: { status: number }) => void) => done(null, { status: call.request.service === 'shop' ? Serving.SERVING : Serving.NOT_SERVING }) });
  const port = await new Promise<number>((resolve, reject) => server.bindAsync(`${host}:0`, ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
  context.after(() => server.forceShutdown());
  assert.equal(await askApplication({ kind: 'grpc', host, port, service: 'shop' }, 2000), undefined);
  assert.match((await askApplication({ kind: 'grpc', host, port, service: 'other' }, 2000)) ?? '', /status 2/);
});
