import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { backend, echo, type Backend } from '../testing/backend.ts';
import { request } from '../testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from '../testing/proxy-process.ts';
import { sample, statsOf } from '../testing/samples.ts';
import { tokenIssuer } from '../testing/tokens.ts';

const issuer = tokenIssuer('k1');
let dir: string;
let app: Backend;
let proxy: RunningProxy;

before(async () => {
  dir = temporaryFolder();
  writeFileSync(join(dir, 'jwks.json'), issuer.keySet);
  app = await backend('app', (asked, response, seen) => {
    if (seen.url === '/page') response.writeHead(200, { 'content-type': 'text/html', 'x-powered-by': 'someone' }).end('a line of text\n'.repeat(100));
    else echo(asked, response, seen);
  });
  proxy = await startProxy(sample('filters.yaml', { 8001: app.port }, dir));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await app?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const ask = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') => request(proxy.port('web'), { path, headers, method });
const bearer = (claims: Readonly<Record<string, unknown>>) => ({ authorization: `Bearer ${issuer.token({ iss: 'https://issuer.example', aud: 'shop', exp: Date.now() / 1000 + 600, ...claims })}` });

test('the gateway answers for its own health', async () => {
  const before = app.seen.length;
  assert.equal((await ask('/healthz')).status, 200);
  assert.equal(app.seen.length, before);
});

test('only operators see /admin; everybody else needs no token, and no bad one', async () => {
  assert.deepEqual([(await ask('/admin')).status, (await ask('/admin', bearer({ sub: 'ann', role: 'guest' }))).status], [401, 403]);
  const operator = await ask('/admin', bearer({ sub: 'ann', role: 'operator' }));
  assert.deepEqual([operator.status, operator.seen().headers['x-jwt-user']], [200, 'ann']);
  assert.deepEqual([(await ask('/other')).status, (await ask('/other', { authorization: 'Bearer rubbish.rubbish.rubbish' })).status], [200, 401]);
});

test('pages of the shop may read, and change something; others may not', async () => {
  const from = (origin: string) => ({ origin });
  assert.equal((await ask('/public', from('https://www.shop.example'))).headers['access-control-allow-origin'], 'https://www.shop.example');
  assert.equal((await ask('/public', from('https://evil.example'))).headers['access-control-allow-origin'], undefined);
  assert.deepEqual([(await ask('/public', from('https://www.shop.example'), 'POST')).status, (await ask('/public', from('https://evil.example'), 'POST')).status], [200, 403]);
});

test('a test asks for a fault by headers', async () => {
  assert.equal((await ask('/public', { 'x-envoy-fault-abort-request': '418' })).status, 418);
  const began = performance.now();
  assert.equal((await ask('/public', { 'x-envoy-fault-delay-request': '300' })).status, 200);
  assert.ok(performance.now() - began >= 299);
});

test('a route has a bucket of its own', async () => {
  const replies = [await ask('/limited'), await ask('/limited'), await ask('/limited')];
  assert.deepEqual(replies.map(({ status }) => status), [200, 200, 429]);
  assert.equal(replies[2]?.headers['x-local-rate-limit'], 'true');
  assert.equal((await ask('/public')).status, 200);
});

test('pages are compressed, headers changed both ways', async () => {
  const page = await ask('/page', { 'accept-encoding': 'gzip' });
  assert.deepEqual([page.headers['content-encoding'], page.headers['x-powered-by']], ['gzip', undefined]);
  assert.equal(gunzipSync(Buffer.from(page.body, 'latin1')).toString(), 'a line of text\n'.repeat(100));
  const { headers } = (await ask('/public', { 'x-internal': 'yes' })).seen();
  assert.deepEqual([headers['x-gateway'], headers['x-internal']], ['HTTP/1.1', undefined]);
});

test('what each filter did is counted', async () => {
  const stats = await statsOf(proxy);
  for (const name of ['csrf.request_invalid', 'jwt_authn.denied', 'rbac.denied', 'fault.aborts_injected', 'cors.origin_valid']) assert.ok((stats.get(`http.ingress_http.${name}`) ?? 0) > 0, name);
});
