import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthorizationService, type AuthorizationServer, type CheckRequest } from '@meltemi/api/gen/envoy/service/auth/v3/external_auth.ts';
import { backend } from '../testing/backend.ts';
import { request } from '../testing/client.ts';
import { grpcServer } from '../testing/grpc-server.ts';
import { startProxy } from '../testing/proxy-process.ts';
import { sample } from '../testing/samples.ts';

const header = (key: string, value: string) => ({ header: { key, value, rawValue: Buffer.alloc(0) }, append: undefined, appendAction: 0 as const, keepEmptyValue: false });

test('ext-authz-grpc.yaml: a gRPC service decides, but not about /static', async () => {
  const asked: CheckRequest[] = [];
  await using authz = await grpcServer((server) => server.addService(AuthorizationService, {
    check: ({ request: check }, done) => {
      asked.push(check);
      if (check.attributes?.request?.http?.headers['authorization'] === 'Bearer good')
        return done(null, { status: { code: 0, message: '', details: [] }, httpResponse: { $case: 'okResponse', value: { headers: [header('x-current-user', 'ann')], headersToRemove: ['authorization'], dynamicMetadata: undefined, responseHeadersToAdd: [], queryParametersToSet: [], queryParametersToRemove: [] } }, dynamicMetadata: undefined });
      return done(null, { status: { code: 16, message: '', details: [] }, httpResponse: undefined, dynamicMetadata: undefined });
    },
  } satisfies AuthorizationServer));
  await using app = await backend('app');
  await using proxy = await startProxy(sample('ext-authz-grpc.yaml', { 8001: app.port, 9001: authz.port }));
  const allowed = await request(proxy.port('web'), { method: 'POST', path: '/cart', body: 'a body', headers: { authorization: 'Bearer good' } });
  assert.deepEqual([allowed.seen().headers['x-current-user'], allowed.seen().headers['authorization'], allowed.seen().body], ['ann', undefined, 'a body']);
  assert.deepEqual([asked[0]?.attributes?.contextExtensions, asked[0]?.attributes?.request?.http?.body], [{ virtual_host: 'upstream' }, 'a body']);
  assert.equal((await request(proxy.port('web'), { path: '/cart' })).status, 403);
  authz.stop();
  assert.equal((await request(proxy.port('web'), { headers: { authorization: 'Bearer good' } })).status, 403);
  assert.equal((await request(proxy.port('web'), { path: '/static/logo' })).status, 200);
});

test('ext-authz-http.yaml: an HTTP service decides, and its answer is the client\'s', async () => {
  await using authz = await backend('authz', (asked, response, seen) => {
    if (asked.headers.authorization === 'Bearer good') response.writeHead(200, { 'x-current-user': `ann of ${seen.url}`, 'x-secret': 'kept' }).end();
    else response.writeHead(401, { 'x-reason': 'no token', 'x-secret': 'kept' }).end('who are you?');
  });
  await using app = await backend('app');
  await using proxy = await startProxy(sample('ext-authz-http.yaml', { 8001: app.port, 9002: authz.port }));
  const allowed = await request(proxy.port('web'), { path: '/cart', headers: { authorization: 'Bearer good', 'x-custom': 'shown', 'x-other': 'not shown' } });
  assert.deepEqual([allowed.seen().headers['x-current-user'], allowed.seen().headers['x-secret']], ['ann of /check/cart', undefined]);
  assert.deepEqual([authz.seen[0]?.headers['x-custom'], authz.seen[0]?.headers['x-other']], ['shown', undefined]);
  const denied = await request(proxy.port('web'), { path: '/cart' });
  assert.deepEqual([denied.status, denied.body, denied.headers['x-reason'], denied.headers['x-secret']], [401, 'who are you?', 'no token', undefined]);
  assert.equal((await request(proxy.port('web'), { path: '/static/logo' })).seen().url, '/static/logo');
});
