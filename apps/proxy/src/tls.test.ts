import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type tls from 'node:tls';
import { promisify } from 'node:util';
import { waitFor } from '@meltemi/base';
import { authority, type Authority, type Leaf } from './testing/authority.ts';
import { backend, closedPort, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, connectionManager, endpoint, filter, httpListener, httpOptions, route, tcpListener, typeOf, type Json } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { runToEnd, startProxy, temporaryFolder, writeBootstrap, type RunningProxy } from './testing/proxy-process.ts';

let dir: string;
let ours: Authority;
let theirs: Authority;
let server: Leaf;
let client: Leaf;
let app: Backend;
let proxy: RunningProxy;
let nginx: ChildProcess;
let nginxPort: number;

const inline = (text: string): Json => ({ inline_string: text });
const pem = (leaf: Leaf): Json => ({ certificate_chain: inline(leaf.cert), private_key: inline(leaf.key) });
const downstream = (common: Json, more: Json = {}): Json => ({ transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': typeOf.downstreamTls, common_tls_context: common, ...more } } });
const upstream = (common: Json, more: Json = {}): Json => ({ transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': typeOf.upstreamTls, common_tls_context: common, ...more } } });
const san = (exact: string, san_type = 'URI'): Json => ({ san_type, matcher: { exact } });

/** A real nginx that serves https and says which SNI it saw. */
async function startNginx(leaf: Leaf, port: number): Promise<ChildProcess> {
  const root = join(dir, 'nginx');
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, 'nginx.conf'), `daemon off; worker_processes 1; pid ${root}/pid; error_log ${root}/error.log; events {}
    http { access_log off; client_body_temp_path ${root}/b; proxy_temp_path ${root}/p; fastcgi_temp_path ${root}/f; uwsgi_temp_path ${root}/u; scgi_temp_path ${root}/s;
    server { listen 127.0.0.1:${port} ssl; ssl_certificate ${leaf.certFile}; ssl_certificate_key ${leaf.keyFile}; location / { return 200 "nginx sni=$ssl_server_name\\n"; } } }`);
  const child = spawn('/usr/sbin/nginx', ['-p', root, '-c', join(root, 'nginx.conf')], { stdio: 'ignore' });
  await waitFor('nginx', () => new Promise<boolean>((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true))).on('error', () => resolve(false));
  }));
  return child;
}

before(async () => {
  dir = temporaryFolder();
  ours = authority(dir, 'ours');
  theirs = authority(dir, 'theirs');
  server = ours.issue('server', { dnsNames: ['one.example', '*.wild.example'] });
  client = ours.issue('client', { uris: ['spiffe://cluster.local/ns/default/sa/client'] });
  const second = ours.issue('second', { dnsNames: ['two.example'] });
  app = await backend('app');
  nginxPort = await closedPort();
  nginx = await startNginx(server, nginxPort);
  const routes = [route({ prefix: '/' }, 'app')];
  const files = { certificate_chain: { filename: server.certFile }, private_key: { filename: server.keyFile } };
  const chain = (names: readonly string[], leaf: Leaf, say: string): Json => ({
    ...(names.length > 0 ? { filter_chain_match: { server_names: names } } : {}), ...downstream({ tls_certificates: [pem(leaf)] }),
    filters: [connectionManager({ routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: say } } }] })],
  });
  const validation = (more: Json = {}): Json => ({ validation_context: { trusted_ca: { filename: ours.file }, ...more } });
  const originate = (name: string, common: Json, more: Json = {}, options: Json = {}) => cluster(name, [nginxPort], { ...upstream(common, more), ...options });
  const auto = httpOptions({ upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true }, explicit_http_config: { http_protocol_options: {} } });
  const outs = ['verified', 'wrong-san', 'wrong-ca', 'unverified', 'auto'];
  proxy = await startProxy(bootstrap([
    httpListener({ name: 'files', routes, chain: downstream({ tls_certificates: [files], alpn_protocols: ['http/1.1'], tls_params: { tls_minimum_protocol_version: 'TLSv1_3' } }) }),
    httpListener({ name: 'mtls', routes, chain: downstream({ tls_certificates: [pem(server)], ...validation({ match_typed_subject_alt_names: [san('spiffe://cluster.local/ns/default/sa/client')] }) }, { require_client_certificate: true }), hcm: { forward_client_cert_details: 'SANITIZE_SET', set_current_client_cert_details: { uri: true } } }),
    { ...httpListener({ name: 'sni' }), listener_filters: [filter('envoy.filters.listener.tls_inspector', typeOf.tlsInspector)], filter_chains: [chain(['one.example'], server, 'one'), chain(['*.wild.example'], server, 'wild'), chain(['two.example'], second, 'two')], default_filter_chain: chain([], server, 'default') },
    httpListener({ name: 'out', routes: outs.map((name) => route({ path: `/${name}` }, name)) }),
    tcpListener('tcp-tls', { cluster: 'verified' }),
  ], [
    cluster('app', [app.port]),
    originate('verified', validation({ match_typed_subject_alt_names: [san('one.example', 'DNS')] }), { sni: 'one.example' }),
    originate('wrong-san', validation({ match_typed_subject_alt_names: [san('other.example', 'DNS')] }), { sni: 'one.example' }),
    originate('wrong-ca', { validation_context: { trusted_ca: inline(theirs.pem) } }),
    originate('unverified', {}, { sni: 'anything.example' }),
    originate('auto', validation(), {}, auto),
  ]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  nginx?.kill('SIGTERM');
  await app.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** One request over TLS; rejects as the handshake or the connection does. */
function secure(listener: string, options: https.RequestOptions = {}): Promise<{ status: number; body: string; peer: string }> {
  return new Promise((resolve, reject) => {
    const sent = https.request({ host: '127.0.0.1', port: proxy.port(listener), path: '/', agent: false, ca: ours.pem, servername: 'one.example', ...options }, (response) => {
      let body = '';
      const peer = (response.socket as tls.TLSSocket).getPeerX509Certificate()?.subjectAltName ?? '';
      response.on('data', (part: Buffer) => { body += part.toString(); }).on('end', () => resolve({ status: response.statusCode ?? 0, body, peer })).on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('TLS from clients', () => {
  test('certificate from files, TLS 1.3 only when asked, verified by openssl', async () => {
    const reply = await secure('files');
    assert.equal(reply.status, 200);
    assert.match(reply.body, /"x-forwarded-proto":"https"/);
    await assert.rejects(secure('files', { maxVersion: 'TLSv1.2' }));
    const shown = spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${proxy.port('files')}`, '-servername', 'one.example', '-CAfile', ours.file, '-verify_return_error', '-alpn', 'http/1.1'], { input: '', encoding: 'utf8', timeout: 10_000 });
    assert.match(shown.stdout, /Verify return code: 0 \(ok\)/);
    assert.match(shown.stdout, /ALPN protocol: http\/1\.1/);
  });
  test('curl speaks to it', async () => {
    const shown = await promisify(execFile)('curl', ['-sS', '--cacert', ours.file, '--resolve', `one.example:${proxy.port('files')}:127.0.0.1`, `https://one.example:${proxy.port('files')}/curl`], { timeout: 10_000 });
    assert.match(shown.stdout, /"url":"\/curl"/, shown.stderr);
  });
  test('mTLS: the right client passes and is named upstream, others are refused', async () => {
    const reply = await secure('mtls', { cert: client.cert, key: client.key });
    assert.match(reply.body, /"x-forwarded-client-cert":"Hash=[0-9a-f]{64};URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/client"/);
    const seen = app.seen.length;
    await assert.rejects(secure('mtls'), 'no certificate');
    const other = ours.issue('other', { uris: ['spiffe://cluster.local/ns/default/sa/other'] });
    await assert.rejects(secure('mtls', { cert: other.cert, key: other.key }), 'wrong name');
    const foreign = theirs.issue('foreign', { uris: ['spiffe://cluster.local/ns/default/sa/client'] });
    await assert.rejects(secure('mtls', { cert: foreign.cert, key: foreign.key }), 'wrong authority');
    await assert.rejects(request(proxy.port('mtls')), 'plaintext');
    assert.equal(app.seen.length, seen);
  });
  test('the filter chain and its certificate follow SNI', async () => {
    const cases: [string, string, RegExp][] = [['one.example', 'one', /one\.example/], ['a.wild.example', 'wild', /one\.example/], ['two.example', 'two', /two\.example/], ['three.example', 'default', /one\.example/]];
    for (const [servername, body, peer] of cases) {
      const reply = await secure('sni', { servername, rejectUnauthorized: false });
      assert.equal(reply.body, body, servername);
      assert.match(reply.peer, peer);
    }
  });
});

describe('TLS towards an https backend (nginx)', () => {
  const out = (path: string, host = 'x') => request(proxy.port('out'), { path, headers: { host } });
  test('verified by CA and name, with the SNI of the cluster', async () => assert.equal((await out('/verified')).body, 'nginx sni=one.example\n'));
  test('a wrong name or a wrong authority is a 503 that says so', async () => {
    for (const path of ['/wrong-san', '/wrong-ca']) {
      const reply = await out(path);
      assert.equal(reply.status, 503);
      assert.match(reply.body, /connection failure.*transport failure reason: TLS_error/);
    }
  });
  test('without a validation context nothing is verified', async () => assert.equal((await out('/unverified')).body, 'nginx sni=anything.example\n'));
  test('auto_sni and auto_san_validation take the name from each request', async () => {
    assert.equal((await out('/auto', 'one.example')).body, 'nginx sni=one.example\n');
    assert.equal((await out('/auto', 'b.wild.example:8443')).body, 'nginx sni=b.wild.example\n');
    const wrong = await out('/auto', 'evil.example');
    assert.equal(wrong.status, 503);
    assert.match(wrong.body, /not_for_evil\.example/);
    assert.equal((await out('/auto', 'one.example')).body, 'nginx sni=one.example\n');
  });
  test('tcp_proxy originates TLS too', async () => assert.equal((await request(proxy.port('tcp-tls'))).body, 'nginx sni=one.example\n'));
});

test('a certificate that cannot be read is refused with its reason', async () => {
  const broken = bootstrap([httpListener({ routes: [], chain: downstream({ tls_certificates: [{ certificate_chain: { filename: join(dir, 'none.pem') }, private_key: inline('x') }] }) })], []);
  const { code, err } = await runToEnd(['-c', writeBootstrap(dir, broken)]);
  assert.equal(code, 1);
  assert.match(err, /web.*none\.pem/);
  const keyless = bootstrap([httpListener({ routes: [], chain: downstream({ tls_certificates: [{ certificate_chain: inline('x') }] }) })], [cluster('a', [endpoint(1)])]);
  assert.match((await runToEnd(['--mode', 'validate', '-c', writeBootstrap(dir, keyless)])).err, /tls_certificates\[0\]\.private_key: is required/);
});
