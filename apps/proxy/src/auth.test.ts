import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { authority, type Leaf } from './testing/authority.ts';
import { backend, closedPort, tcpBackend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, connectionManager, filter, httpListener, route, tcpListener, typeOf, type Json } from './testing/bootstrap.ts';
import { RawConnection, request, type Request } from './testing/client.ts';
import { runToEnd, startProxy, temporaryFolder, writeBootstrap, type RunningProxy } from './testing/proxy-process.ts';
import { tokenIssuer } from './testing/tokens.ts';

const first = tokenIssuer('k1');
const second = tokenIssuer('k2');
/** What the issuer publishes now. */
let published = first.keySet;

let dir: string;
let app: Backend;
let authz: Backend;
let issuer: Backend;
let upper: Backend;
let client: Leaf;
let stranger: Leaf;
let ca: string;
let proxy: RunningProxy;

const policy = (permission: Json, principal: Json = { any: true }): Json => ({ permissions: [permission], principals: [principal] });
const rbac = (rules: Json): Json => filter('envoy.filters.http.rbac', typeOf.rbac, { rules });
const networkRbac = (rules: Json): Json => filter('envoy.filters.network.rbac', typeOf.networkRbac, { stat_prefix: 'l4', rules });
const jwt = (provider: Json): Json => filter('envoy.filters.http.jwt_authn', typeOf.jwtAuthn, { providers: { idp: { issuer: 'idp', payload_in_metadata: 'claims', ...provider } }, rules: [{ match: { prefix: '/' }, requires: { provider_name: 'idp' } }] });
const admins = { action: 'ALLOW', policies: { admins: policy({ any: true }, { metadata: { filter: 'envoy.filters.http.jwt_authn', path: [{ key: 'claims' }, { key: 'groups' }], value: { list_match: { one_of: { string_match: { exact: 'admin' } } } } } }) } };
const routes = [route({ prefix: '/' }, 'app')];

function mutualTls(server: Leaf): Json {
  const common = { tls_certificates: [{ certificate_chain: { filename: server.certFile }, private_key: { filename: server.keyFile } }], validation_context: { trusted_ca: { inline_string: ca } } };
  return { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': typeOf.downstreamTls, common_tls_context: common, require_client_certificate: true } } };
}

before(async () => {
  dir = temporaryFolder();
  const trust = authority(dir, 'mesh');
  ca = trust.pem;
  client = trust.issue('client', { uris: ['spiffe://cluster.local/ns/default/sa/client'] });
  stranger = trust.issue('stranger', { uris: ['spiffe://cluster.local/ns/default/sa/other'] });
  writeFileSync(join(dir, 'keys.json'), first.keySet);
  app = await backend('app');
  issuer = await backend('issuer', (_request, response) => response.end(published));
  authz = await backend('authz', (asked, response, { body }) => {
    const allowed = asked.headers['x-user'] === 'ann' && !body.includes('drop table');
    response.writeHead(allowed ? 200 : 401, { 'x-checked-user': 'ann', 'www-authenticate': 'Bearer' }).end(allowed ? '' : 'not you');
  });
  upper = await tcpBackend('upper', (socket) => socket.on('data', (part: Buffer) => socket.write(part.toString('latin1').toUpperCase())));
  const dead = await closedPort();
  const remote = { http_uri: { uri: 'http://idp.test/keys', cluster: 'issuer', timeout: '2s' }, cache_duration: '0.3s' };
  const service = (to: string): Json => ({ http_service: { server_uri: { uri: 'http://authz', cluster: to, timeout: '2s' }, authorization_request: { allowed_headers: { patterns: [{ exact: 'x-user' }] } }, authorization_response: { allowed_upstream_headers: { patterns: [{ prefix: 'x-checked-' }] } } } });
  const askService = (to: string, more: Json = {}): Json => filter('envoy.filters.http.ext_authz', typeOf.extAuthz, { ...service(to), ...more });
  const blocked = networkRbac({ action: 'DENY', policies: { loopback: policy({ any: true }, { direct_remote_ip: { address_prefix: '127.0.0.0', prefix_len: 8 } }) } });
  const log = { access_log: [{ name: 'stdout', typed_config: { '@type': typeOf.stdoutLog, log_format: { text_format_source: { inline_string: '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' } } } }] };
  proxy = await startProxy(bootstrap([
    httpListener({ name: 'rbac', routes, filters: [rbac({ action: 'DENY', policies: { 'no admin': policy({ url_path: { path: { prefix: '/admin' } } }) } })], hcm: log }),
    httpListener({ name: 'mtls', routes, filters: [rbac({ action: 'ALLOW', policies: { client: policy({ any: true }, { authenticated: { principal_name: { exact: 'spiffe://cluster.local/ns/default/sa/client' } } }) } })], chain: mutualTls(trust.issue('server', { dnsNames: ['localhost'] })) }),
    httpListener({ name: 'jwt', routes, filters: [jwt({ local_jwks: { filename: join(dir, 'keys.json') }, claim_to_headers: [{ header_name: 'x-sub', claim_name: 'sub' }] }), rbac(admins)] }),
    httpListener({ name: 'jwks', routes, filters: [jwt({ remote_jwks: remote })] }),
    httpListener({ name: 'authz', routes, filters: [askService('authz', { with_request_body: { max_request_bytes: 100 } })], hcm: log }),
    httpListener({ name: 'authz-down', routes, filters: [askService('dead')], hcm: log }),
    httpListener({ name: 'authz-lax', routes, filters: [askService('dead', { failure_mode_allow: true })] }),
    { ...httpListener({ name: 'http-blocked', routes }), filter_chains: [{ filters: [blocked, connectionManager({ name: 'http-blocked', routes })] }] },
    { ...tcpListener('tcp-blocked', { cluster: 'upper' }), filter_chains: [{ filters: [blocked, filter('tcp', typeOf.tcpProxy, { stat_prefix: 'tcp', cluster: 'upper' })] }] },
    { ...tcpListener('tcp-open', { cluster: 'upper' }), filter_chains: [{ filters: [networkRbac({ policies: { all: policy({ any: true }) } }), filter('tcp', typeOf.tcpProxy, { stat_prefix: 'tcp', cluster: 'upper' })] }] },
  ], [cluster('app', [app.port]), cluster('authz', [authz.port]), cluster('issuer', [issuer.port]), cluster('upper', [upper.port]), cluster('dead', [dead])]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all([app, authz, issuer, upper].map((one) => one?.stop()));
  rmSync(dir, { recursive: true, force: true });
});

const ask = (name: string, more: Request = {}) => request(proxy.port(name), more);
const bearer = (token: string): Request => ({ headers: { authorization: `Bearer ${token}` } });
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const stat = async (name: string) => Number(/: (\d+)/.exec((await ask('admin', { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` })).body)?.[1] ?? 0);

describe('rbac', () => {
  test('denied requests get 403 and are logged with the policy that denied them; others pass', async () => {
    const denied = await ask('rbac', { path: '/admin/users' });
    assert.deepEqual([denied.status, denied.body], [403, 'RBAC: access denied']);
    assert.equal((await ask('rbac', { path: '/shop' })).status, 200);
    await waitFor('the log', () => proxy.out().includes('/admin/users 403 - rbac_access_denied_matched_policy[no_admin]\n'));
    await waitFor('the counters', async () => await stat('http.rbac.rbac.denied') === 1 && await stat('http.rbac.rbac.allowed') === 1);
  });

  test('a workload is known by the URI in its verified certificate', async () => {
    const over = (leaf: Leaf) => new Promise<number>((resolve, reject) => {
      https.get({ host: '127.0.0.1', servername: 'localhost', port: proxy.port('mtls'), ca, cert: leaf.cert, key: leaf.key, agent: false }, (response) => (response.resume(), resolve(response.statusCode ?? 0))).on('error', reject);
    });
    assert.equal(await over(client), 200);
    // From the same authority, under another name.
    assert.equal(await over(stranger), 403);
  });

  test('connections are closed in front of the connection manager and of a TCP proxy', async () => {
    await assert.rejects(ask('http-blocked'), /hang up|ECONNRESET/);
    assert.equal(await new RawConnection(proxy.port('tcp-blocked')).send('hello').untilClosed(), '');
    const open = new RawConnection(proxy.port('tcp-open')).send('hello');
    await open.until(/HELLO/);
    open.destroy();
    await waitFor('the counters', async () => await stat('l4.rbac.denied') === 2 && await stat('l4.rbac.allowed') === 1);
  });
});

describe('jwt_authn', () => {
  test('tokens are verified by keys from a file, and policies see what they say', async () => {
    const token = (groups: readonly string[]) => first.token({ iss: 'idp', sub: 'ann', groups, exp: inAnHour() });
    const admin = await ask('jwt', bearer(token(['dev', 'admin'])));
    assert.equal(admin.status, 200);
    assert.deepEqual([admin.seen().headers['x-sub'], admin.seen().headers['authorization']], ['ann', undefined]);
    assert.equal((await ask('jwt', bearer(token(['dev'])))).status, 403);
    const missing = await ask('jwt');
    assert.deepEqual([missing.status, missing.body], [401, 'Jwt is missing']);
    const forged = await ask('jwt', bearer(second.token({ iss: 'idp', groups: ['admin'], exp: inAnHour() })));
    assert.match(String(forged.headers['www-authenticate']), /error="invalid_token"/);
  });

  test('keys are fetched, and followed when their issuer rotates them', async () => {
    const old = first.token({ iss: 'idp', exp: inAnHour() });
    const fresh = second.token({ iss: 'idp', exp: inAnHour() });
    assert.equal((await ask('jwks', bearer(old))).status, 200);
    assert.equal((await ask('jwks', bearer(fresh))).status, 401);
    published = second.keySet;
    await waitFor('the new key', async () => (await ask('jwks', bearer(fresh))).status === 200);
    assert.equal((await ask('jwks', bearer(old))).body, "Jwks doesn't have key to match kid or alg from Jwt");
    assert.ok(issuer.seen.length >= 2 && issuer.seen.every(({ url, headers }) => url === '/keys' && headers['host'] === 'idp.test'));
  });

  test('a key file that is not there refuses the config', async () => {
    const file = writeBootstrap(dir, bootstrap([httpListener({ routes, filters: [jwt({ local_jwks: { filename: join(dir, 'none.json') } })] })], [cluster('app', [app.port])]));
    const { code, err, out } = await runToEnd(['-c', file, '--mode', 'validate']);
    assert.notEqual(code, 0);
    assert.match(err + out, /local_jwks\.filename: .*none\.json cannot be read/);
  });
});

describe('ext_authz over HTTP', () => {
  test('the service decides, sees the body, and adds to the request', async () => {
    const good = await ask('authz', { method: 'POST', path: '/cart', headers: { 'x-user': 'ann' }, body: 'select' });
    assert.deepEqual([good.status, good.seen().body, good.seen().headers['x-checked-user']], [200, 'select', 'ann']);
    assert.deepEqual(authz.seen.at(-1)?.url, '/cart');
    const bad = await ask('authz', { method: 'POST', path: '/sql', headers: { 'x-user': 'ann' }, body: 'drop table' });
    assert.deepEqual([bad.status, bad.body, bad.headers['www-authenticate']], [401, 'not you', 'Bearer']);
    assert.equal((await ask('authz', { method: 'POST', headers: { 'x-user': 'ann' }, body: 'x'.repeat(200) })).status, 413);
    await waitFor('the log', () => proxy.out().includes('/sql 401 UAEX ext_authz_denied\n'));
  });

  test('a service that is away denies, or allows where asked so', async () => {
    assert.equal((await ask('authz-down', { path: '/away' })).status, 403);
    assert.equal((await ask('authz-lax')).status, 200);
    await waitFor('the log', () => proxy.out().includes('/away 403 UAEX ext_authz_error\n'));
  });
});
