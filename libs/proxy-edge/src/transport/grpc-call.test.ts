import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Metadata, Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { AuthorizationService, CheckRequest, CheckResponse } from '@meltemi/api/gen/envoy/service/auth/v3/external_auth.ts';
import { ManualClock, mathRandom, systemClock, type Result } from '@meltemi/base';
import { callGrpc, type GrpcFailure, type Host, type Http2ClientConnection, type NewStreamOptions, type StreamCallbacks } from '@meltemi/proxy';
import { Backend } from '@meltemi/proxy/testing';
import { clientOf } from './http2-fixture.ts';

/** A cluster whose every stream goes over one real HTTP/2 connection. */
class OverHttp2 extends Backend {
  readonly #codec: Http2ClientConnection;

  constructor(codec: Http2ClientConnection) {
    super('authz', new ManualClock());
    this.#codec = codec;
  }

  override newStream(_host: Host, options: NewStreamOptions, callbacks: StreamCallbacks): null {
    callbacks.onReady(this.#codec.newStream(callbacks, options.method), { id: 1, localAddress: '', remoteAddress: '', tls: null, protocol: 'HTTP/2' });
    return null;
  }
}

/** A real gRPC server that answers by the path it is asked about. */
function check(call: ServerUnaryCall<CheckRequest, CheckResponse>, answer: sendUnaryData<CheckResponse>): void {
  const path = call.request.attributes?.request?.http?.path ?? '';
  if (path === '/slow') return;
  if (path === '/denied') return answer({ code: status.PERMISSION_DENIED, details: 'not “you”' });
  const trailers = new Metadata();
  trailers.set('x-end', 'yes');
  answer(null, { status: { code: 0, message: `${String(call.metadata.get('x-caller')[0])} ${path.length}`, details: [] }, httpResponse: undefined, dynamicMetadata: undefined }, trailers);
}

async function grpcServer(t: TestContext): Promise<OverHttp2> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  server.addService(AuthorizationService, { check });
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))));
  t.after(() => server.forceShutdown());
  return new OverHttp2((await clientOf(t, port)).codec);
}

function ask(cluster: OverHttp2, path: string, timeoutMs = 10_000): Promise<Result<string, GrpcFailure>> {
  const http = { id: '', method: '', headers: {}, path, host: '', scheme: '', query: '', fragment: '', size: 0n, protocol: '', body: '', rawBody: Buffer.alloc(0) };
  const message = CheckRequest.encode({ attributes: { contextExtensions: {}, request: { http } } }).finish();
  return new Promise((resolve) => {
    callGrpc({ cluster: 'authz', authority: '', path: '/envoy.service.auth.v3.Authorization/Check', message, metadata: [['x-caller', 'proxy']], timeoutMs }, { clusters: { get: () => cluster }, clock: systemClock, random: mathRandom }, (result) =>
      resolve(result.ok ? { ok: true, value: CheckResponse.decode(result.value).status?.message ?? '' } : result));
  });
}

test('a real gRPC server answers calls of filters, many at once and large ones too', async (t) => {
  const cluster = await grpcServer(t);
  const paths = Array.from({ length: 20 }, (_, i) => `/${'x'.repeat(i * 10_000)}`);
  const answers = await Promise.all(paths.map((path) => ask(cluster, path)));
  assert.deepEqual(answers, paths.map((path) => ({ ok: true, value: `proxy ${path.length}` })));
  assert.equal(cluster.limits.default.requests, 0);
});

test('a status with a message that is not ASCII, and a server that takes too long, are told', async (t) => {
  const cluster = await grpcServer(t);
  assert.deepEqual(await ask(cluster, '/denied'), { ok: false, error: { status: 7, message: 'not “you”', cause: null } });
  const late = await ask(cluster, '/slow', 50);
  assert.equal(late.ok ? null : late.error.status, 4);
  // The connection goes on serving.
  assert.equal((await ask(cluster, '/')).ok, true);
});
