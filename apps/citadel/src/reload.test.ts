import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { credentials, Metadata } from '@grpc/grpc-js';
import { RootRotationClient, type RotationStatus } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { waitFor } from '@meltemi/base';
import { Issuer, keySetOf } from '@meltemi/identity/jwt/testing';
import { joinTokenText, mintJoinToken, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';

const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const dir = mkdtempSync(join(tmpdir(), 'citadel-reload-'));
const path = (name: string): string => join(dir, name);
const quiet = { info: () => undefined, warn: () => undefined };
const idp = new Issuer('ES256');
const agents: IdentityAgent[] = [];
let citadel: ChildProcess;
let output = '';
let ports: { readonly grpc: number; readonly admin: number };
let follower: IdentityAgent;

function replace(name: string, value: unknown): void {
  writeFileSync(path(`${name}.new`), typeof value === 'string' ? value : JSON.stringify(value));
  renameSync(path(`${name}.new`), path(name));
}

const issuers = (...names: string[]) => ({ issuers: names.map((issuer) => ({ issuer, audiences: ['meltemi'], jwks: JSON.parse(keySetOf(idp)) as unknown, identities: [{ when: {}, namespace: 'shop', serviceAccount: '{app}' }] })) });
const mesh = (...caCertificates: unknown[]) => ({ trustDomain: 'cluster.local', caCertificates });

function rootOf(name: string): string {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path('ca.key'), '-out', path('ca.crt'), '-days', '1', '-subj', `/CN=${name}`, '-addext', 'keyUsage=critical,keyCertSign'], { stdio: 'ignore' });
  return readFileSync(path('ca.crt'), 'utf8');
}

before(async () => {
  replace('issuers.json', issuers('https://first.example'));
  replace('mesh.yaml', mesh());
  const flags = ['--state-dir', path('state'), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--ports-file', path('ports.json')];
  citadel = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...flags, '--mesh-config', path('mesh.yaml'), '--oidc-issuers', path('issuers.json')], { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [citadel.stdout, citadel.stderr]) stream?.on('data', (data: Buffer) => (output += data.toString()));
  await waitFor('citadel to start', () => {
    assert.equal(citadel.exitCode, null, output);
    return existsSync(path('ports.json'));
  }, { deadlineMs: 60_000 });
  ({ ports } = JSON.parse(readFileSync(path('ports.json'), 'utf8')) as { ports: typeof ports });
  follower = agent(await mintJoinToken(path('state/citadel.sock'), cart));
  await follower.ready();
});

after(async () => {
  for (const each of agents) each.stop();
  citadel.kill('SIGTERM');
  await once(citadel, 'exit');
  rmSync(dir, { recursive: true, force: true });
});

function agent(token: string): IdentityAgent {
  const started = startIdentityAgent({ citadelAddress: `127.0.0.1:${ports.grpc}`, identity: cart, joinToken: joinTokenText(token), roots: async () => follower.current()?.trust.pem, log: quiet });
  agents.push(started);
  return started;
}

function tokenOf(issuer: string): string {
  const now = Math.floor(Date.now() / 1000);
  return idp.token({ iss: issuer, sub: 'vm', aud: 'meltemi', iat: now, exp: now + 600, app: 'cart' });
}

async function metric(name: string): Promise<string | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
  return text.split('\n').find((line) => line.startsWith(name))?.split(' ')[1];
}

const health = async () => (await fetch(`http://127.0.0.1:${ports.admin}/healthz/ready`)).text();

async function problems(): Promise<string[]> {
  const client = new RootRotationClient(`unix:${path('state/citadel.sock')}`, credentials.createInsecure());
  try {
    const status = await new Promise<RotationStatus>((resolve, reject) => client.status({}, new Metadata(), { deadline: Date.now() + 10_000 }, (error, reply) => (error ? reject(error) : resolve(reply))));
    return status.problems;
  } finally {
    client.close();
  }
}

const federated = (): string[] => (follower.current()?.trust.federated ?? []).map(({ trustDomain }) => trustDomain);

test("other trust domains come and go with the file, at everybody who follows; a broken file leaves them and is named in log, health, status and metric", async () => {
  const pem = rootOf('b.example');
  replace('mesh.yaml', mesh({ trustDomains: ['b.example'], pem }));
  await waitFor('b.example at the follower', () => federated().join() === 'b.example', { deadlineMs: 15_000 });
  for (const [broken, reason] of [[mesh({ trustDomains: ['b.example'], pem: 'no certificate' }), /b\.example: /], ['', /there is no MeshConfig/], [mesh({ trustDomains: ['b.example'], spiffeBundleUrl: 'http://b.example' }), /must be an https URL/]] as const) {
    replace('mesh.yaml', broken);
    await waitFor(`${reason} in health`, async () => reason.test(await health()), { deadlineMs: 15_000 });
    assert.match(await health(), /^ready\nbut: --mesh-config cannot be used, what it said before is in force: /);
    assert.match((await problems()).join(), reason);
    assert.equal(await metric('citadel_server_settings_stale{flag="mesh-config"}'), '1');
  }
  assert.match(output, /must be an https URL[^}]*"msg":"a file of settings cannot be used; what it said before stays in force/);
  assert.deepEqual(federated(), ['b.example']);
  replace('mesh.yaml', mesh({ trustDomains: ['c.example'], pem }));
  await waitFor('c.example in its place', () => federated().join() === 'c.example', { deadlineMs: 15_000 });
  assert.deepEqual([await health(), await problems(), await metric('citadel_server_settings_stale{flag="mesh-config"}')], ['ready\n', [], '0']);
});

test('an issuer is believed as soon as the file names it, and no more when it does not; a broken file changes nothing', async () => {
  const [early, second] = [agent(tokenOf('https://first.example')), agent(tokenOf('https://second.example'))];
  await early.ready();
  await waitFor('the refusal', () => /no JSON web tokens|not a join token|not accepted/.test(second.lastFailure() ?? ''), { deadlineMs: 10_000 });
  replace('issuers.json', issuers('https://second.example'));
  await second.ready();
  const late = agent(tokenOf('https://first.example'));
  await waitFor('the first to be refused', () => late.lastFailure() !== undefined, { deadlineMs: 10_000 });
  replace('issuers.json', { issuers: [] });
  await waitFor('the reason', async () => /--oidc-issuers cannot be used.*1 to 100 issuers/.test(await health()), { deadlineMs: 15_000 });
  await agent(tokenOf('https://second.example')).ready();
  assert.equal(late.current(), undefined);
});
