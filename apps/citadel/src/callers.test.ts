import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { ApiServerFixture } from '@meltemi/citadel-edge/testing/api-server';
import { Issuer, keySetOf } from '@meltemi/identity/jwt/testing';
import { joinTokenFile, joinTokenText, mintJoinToken, rootFile, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';

const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const dir = mkdtempSync(join(tmpdir(), 'citadel-callers-'));
const path = (name: string): string => join(dir, name);
const quiet = { info: () => undefined, warn: () => undefined };
const idp = new Issuer('ES256');
const agents: IdentityAgent[] = [];
let api: ApiServerFixture;
let keys: Server;
let keysAnswer = 503;
let issuer = '';
let citadel: ChildProcess;
let output = '';
let address = '';

before(async () => {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path('tls.key'), '-out', path('tls.crt'), '-days', '1', '-subj', '/CN=api', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  api = new ApiServerFixture({ cert: path('tls.crt'), key: path('tls.key') });
  writeFileSync(path('api-token'), api.callerToken);
  keys = createServer((request, response) => {
    const discovery = request.url === '/.well-known/openid-configuration';
    response.writeHead(keysAnswer).end(discovery ? JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }) : keySetOf(idp));
  });
  await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(keys.address() as AddressInfo).port}`;
  writeFileSync(path('issuers.json'), JSON.stringify({ issuers: [{ issuer, audiences: ['meltemi'], identities: [{ when: { team: 'shop' }, namespace: 'shop', serviceAccount: '{app}' }] }] }));
  const flags = ['--state-dir', path('state'), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--ports-file', path('ports.json')];
  const kubernetes = ['--kubernetes-callers', '--kubernetes-api-server', await api.start(), '--kubernetes-ca-file', path('tls.crt'), '--kubernetes-token-file', path('api-token')];
  citadel = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...flags, ...kubernetes, '--oidc-issuers', path('issuers.json'), '--audit-log', path('audit.log')], { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [citadel.stdout, citadel.stderr]) stream?.on('data', (data: Buffer) => (output += data.toString()));
  await waitFor('citadel to start', () => {
    assert.equal(citadel.exitCode, null, output);
    return existsSync(path('ports.json'));
  }, { deadlineMs: 30_000 });
  address = `127.0.0.1:${(JSON.parse(readFileSync(path('ports.json'), 'utf8')) as { ports: { grpc: number } }).ports.grpc}`;
});

after(async () => {
  for (const agent of agents) agent.stop();
  citadel.kill('SIGTERM');
  await once(citadel, 'exit');
  await api.stop();
  keys.closeAllConnections();
  keys.close();
  rmSync(dir, { recursive: true, force: true });
});

function agent(tokenFile: string, identity = cart): IdentityAgent {
  const started = startIdentityAgent({ citadelAddress: address, identity, joinToken: joinTokenFile(tokenFile), roots: rootFile(path('root-cert.pem')), log: quiet });
  agents.push(started);
  return started;
}

const failureOf = (of: IdentityAgent, expected: RegExp): Promise<unknown> => waitFor(`failure ${expected}`, () => expected.test(of.lastFailure() ?? ''), { deadlineMs: 10_000 });

test('without the root certificate no token is sent; with it a service account token gives its identity', async () => {
  api.add('a.b.c', { namespace: 'shop', name: 'cart' });
  writeFileSync(path('kube-token'), 'a.b.c\n');
  const workload = agent(path('kube-token'));
  await failureOf(workload, /give the file of the root certificate/);
  assert.doesNotMatch(output, /certificate issued|certificate refused/);

  const bootstrap = startIdentityAgent({ citadelAddress: address, identity: cart, joinToken: joinTokenText(await mintJoinToken(join(path('state'), 'citadel.sock'), cart)), log: quiet });
  agents.push(bootstrap);
  writeFileSync(path('root-cert.pem'), (await bootstrap.ready()).trust.pem);
  assert.equal((await workload.ready()).spiffeId, cart);
  assert.match(output, /"provedBy":"service account token".*"subject":"system:serviceaccount:shop:cart"/);
});

test('a token that Kubernetes replaces is read again, and one that it refuses for now may be good later', async () => {
  writeFileSync(path('late-token'), 'l.a.te');
  const workload = agent(path('late-token'));
  await failureOf(workload, /Kubernetes does not accept the service account token/);
  assert.equal(workload.current(), undefined);
  api.add('l.a.te', { namespace: 'shop', name: 'cart' });
  await workload.ready();
});

test('a token gives nobody another name', async () => {
  await failureOf(agent(path('kube-token'), 'spiffe://cluster.local/ns/bank/sa/vault'), /asks for "spiffe:\/\/cluster\.local\/ns\/bank\/sa\/vault", but the caller is spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart/);
  const audited = readFileSync(path('audit.log'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.ok(audited.some((line) => line['message'] === 'certificate refused' && line['code'] === 'denied' && line['caller'] === cart && line['provedBy'] === 'service account token'));
  assert.ok(audited.some((line) => line['message'] === 'certificate issued' && line['spiffeId'] === cart && typeof line['serial'] === 'string'));
});

test("an OIDC token joins once the issuer's keys can be fetched", async () => {
  const now = Math.floor(Date.now() / 1000);
  writeFileSync(path('oidc-token'), idp.token({ iss: issuer, sub: 'vm-7', aud: 'meltemi', iat: now, exp: now + 600, team: 'shop', app: 'cart' }));
  const workload = agent(path('oidc-token'));
  await failureOf(workload, /keys are not known yet; try again/);
  keysAnswer = 200;
  assert.equal((await workload.ready()).spiffeId, cart);
  assert.match(output, /"provedBy":"OIDC token".*"subject":"http:[^"]* vm-7"/);
  assert.ok(!output.includes(readFileSync(path('oidc-token'), 'utf8')) && !output.includes('a.b.c'));
});
