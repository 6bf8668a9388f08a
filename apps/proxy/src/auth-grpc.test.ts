import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { AuthorizationService, type CheckRequest, type CheckResponse } from '@meltemi/api/gen/envoy/service/auth/v3/external_auth.ts';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, filter, httpListener, httpOptions, route, typeOf, type Json } from './testing/bootstrap.ts';
import { request, type Request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

let app: Backend;
let authz: Server;
let proxy: RunningProxy;
const asked: CheckRequest[] = [];
const metadata: string[] = [];

const option = (key: string, value: string, append?: boolean) => ({ header: { key, value, rawValue: Buffer.alloc(0) }, append, appendAction: 0 as const, keepEmptyValue: false });

/** A real gRPC server: ann may, whoever is slow times out, the others may not. */
function check(call: ServerUnaryCall<CheckRequest, CheckResponse>, answer: sendUnaryData<CheckResponse>): void {
  asked.push(call.request);
  metadata.push(String(call.metadata.get('x-caller')[0]));
  const user = call.request.attributes?.request?.http?.headers['x-user'];
  if (user === 'slow') return;
  if (user === 'broken') return answer({ code: status.INTERNAL, details: 'broken' });
  if (user === 'ann') {
    const okResponse = { headers: [option('x-checked', 'ann'), option('x-list', 'b', true)], headersToRemove: ['x-internal'], dynamicMetadata: undefined, responseHeadersToAdd: [option('x-tier', 'gold')], queryParametersToSet: [{ key: 'v', value: '2' }], queryParametersToRemove: [] };
    return answer(null, { status: { code: 0, message: '', details: [] }, httpResponse: { $case: 'okResponse', value: okResponse }, dynamicMetadata: { user } });
  }
  return answer(null, { status: { code: 7, message: '', details: [] }, httpResponse: { $case: 'deniedResponse', value: { status: { code: 401 }, headers: [option('www-authenticate', 'Basic')], body: 'who are you?' } }, dynamicMetadata: undefined });
}

before(async () => {
  app = await backend('app');
  authz = new Server();
  authz.addService(AuthorizationService, { check });
  const port = await new Promise<number>((resolve, reject) => authz.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error))));
  const config: Json = {
    grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout: '0.5s', initial_metadata: [{ key: 'x-caller', value: 'proxy %REQ(:METHOD)%' }] }, transport_api_version: 'V3',
    with_request_body: { max_request_bytes: 10, allow_partial_message: true },
  };
  const log = { access_log: [{ name: 'stdout', typed_config: { '@type': typeOf.stdoutLog, log_format: { text_format_source: { inline_string: '%REQ(X-USER)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %DYNAMIC_METADATA(envoy.filters.http.ext_authz:user)%\n' } } } }] };
  proxy = await startProxy(bootstrap(
    [httpListener({ routes: [route({ prefix: '/' }, 'app')], filters: [filter('envoy.filters.http.ext_authz', typeOf.extAuthz, config)], hcm: log })],
    [cluster('app', [app.port]), cluster('authz', [port], httpOptions({ explicit_http_config: { http2_protocol_options: {} } }))],
  ));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  authz?.forceShutdown();
  await app?.stop();
});

const ask = (user: string, more: Request = {}) => request(proxy.port('web'), { path: '/cart?v=1', ...more, headers: { 'x-user': user, 'x-list': 'a', 'x-internal': 'yes' } });
const logged = (line: string) => waitFor('the log', () => proxy.out().includes(`${line}\n`));

test('a gRPC service allows, and what it adds and takes away reaches both sides', async () => {
  const reply = await ask('ann', { method: 'POST', body: 'a body that is longer than the part that is shown' });
  assert.deepEqual([reply.status, reply.headers['x-tier']], [200, 'gold']);
  const { headers, url, body } = reply.seen();
  assert.deepEqual([headers['x-checked'], headers['x-list'], headers['x-internal'], url, body], ['ann', 'a, b', undefined, '/cart?v=2', 'a body that is longer than the part that is shown']);
  const shown = asked.at(-1)?.attributes;
  assert.deepEqual([shown?.request?.http?.body, shown?.request?.http?.headers['x-envoy-auth-partial-body'], shown?.request?.http?.path], ['a body tha', 'true', '/cart?v=1']);
  assert.equal(metadata.at(-1), 'proxy POST');
  await logged('ann 200 - via_upstream ann');
});

test('a gRPC denial is what the client gets', async () => {
  const reply = await ask('bob');
  assert.deepEqual([reply.status, reply.body, reply.headers['www-authenticate']], [401, 'who are you?', 'Basic']);
  await logged('bob 401 UAEX ext_authz_denied -');
});

test('a service that errs or is late denies', async () => {
  const replies = await Promise.all([ask('broken'), ask('slow')]);
  assert.deepEqual(replies.map((reply) => reply.status), [403, 403]);
  await logged('slow 403 UAEX ext_authz_error -');
});

test('many requests at once share the connection to the service', async () => {
  const replies = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(i % 2 === 0 ? 'ann' : 'bob')));
  assert.deepEqual(replies.map((reply) => reply.status), Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? 200 : 401)));
});
