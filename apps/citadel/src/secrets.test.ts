import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { ApiServerFixture } from '@meltemi/citadel-edge/testing/api-server';
import { claimKeystore, copyKeystore } from '@meltemi/citadel-edge/moving';
import { joinTokenText, mintJoinToken, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';

const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const dir = mkdtempSync(join(tmpdir(), 'citadel-secrets-'));
const path = (name: string): string => join(dir, name);
const quiet = { info: () => undefined, warn: () => undefined };
const children: ChildProcess[] = [];
const agents: IdentityAgent[] = [];
let api: ApiServerFixture;
let url = '';

before(async () => {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path('tls.key'), '-out', path('tls.crt'), '-days', '1', '-subj', '/CN=api', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' });
  api = new ApiServerFixture({ cert: path('tls.crt'), key: path('tls.key') });
  writeFileSync(path('token'), `${api.callerToken}\n`);
  writeFileSync(path('key'), randomBytes(32), { mode: 0o600 });
  url = await api.start();
});
after(async () => {
  for (const agent of agents) agent.stop();
  await Promise.all(children.map((child) => end(child, 'SIGKILL')));
  await api.stop();
  rmSync(dir, { recursive: true, force: true });
});

const seal = ['--keystore-key-file', path('key')];
const server = (): string[] => ['--kubernetes-api-server', url, '--kubernetes-ca-file', path('tls.crt'), '--kubernetes-token-file', path('token')];

interface Started {
  readonly child: ChildProcess;
  readonly code: number | null;
  readonly output: () => string;
  readonly address: string;
  readonly socket: string;
}

/** Resolves when it serves, or has ended. */
async function citadel(name: string, keystore: string, flags: readonly string[]): Promise<Started> {
  const stateDir = path(name);
  const portsFile = join(stateDir, 'ports.json');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  rmSync(portsFile, { force: true });
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), '--state-dir', stateDir, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--ports-file', portsFile, '--keystore', keystore, ...flags], { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  await waitFor('citadel to start or end', () => child.exitCode !== null || existsSync(portsFile), { deadlineMs: 60_000 });
  const grpc = child.exitCode === null ? (JSON.parse(readFileSync(portsFile, 'utf8')) as { ports: { grpc: number } }).ports.grpc : 0;
  return { child, code: child.exitCode, output: () => output, address: `127.0.0.1:${grpc}`, socket: join(stateDir, 'citadel.sock') };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}

async function joined({ address, socket }: Started, token?: string): ReturnType<IdentityAgent['ready']> {
  const agent = startIdentityAgent({ citadelAddress: address, identity: cart, joinToken: joinTokenText(token ?? (await mintJoinToken(socket, cart))), log: quiet });
  agents.push(agent);
  return agent.ready();
}

test('a citadel keeps everything in sealed Secrets: one is enough, its token is replaced under it, and the next one goes on', async () => {
  const first = await citadel('first', 'kubernetes:meltemi-system', [...server(), ...seal]);
  assert.equal(first.code, null, first.output());
  const { trust } = await joined(first);
  const kept = await mintJoinToken(first.socket, cart);

  const second = await citadel('second', 'kubernetes:meltemi-system/meltemi-citadel', [...server(), ...seal]);
  assert.equal(second.code, 1);
  assert.match(second.output(), /Secrets meltemi-citadel in namespace meltemi-system at https:\/\/localhost:\d+: a citadel runs on it \(.*only one may: stop it first/);

  api.callerToken = 'the-token-after-that';
  writeFileSync(path('token'), `${api.callerToken}\n`);
  assert.equal((await joined(first)).trust.pem, trust.pem);

  const names = [...api.secrets.stored.keys()];
  for (const name of ['authority', 'sealing', 'running', 'jwtkeys']) assert.ok(names.includes(`meltemi-system/meltemi-citadel.${name}`), names.join());
  const texts = [...api.secrets.stored.values()].map(({ data }) => Buffer.from(data?.['value'] ?? '', 'base64').toString());
  assert.doesNotMatch(texts.join('\n'), /PRIVATE|CERTIFICATE/);

  await end(first.child, 'SIGTERM');
  assert.ok(!api.secrets.stored.has('meltemi-system/meltemi-citadel.running'));
  const next = await citadel('next', 'kubernetes:meltemi-system', [...server(), ...seal]);
  assert.equal(next.code, null, next.output());
  assert.equal((await joined(next, kept)).trust.pem, trust.pem);
  await end(next.child, 'SIGTERM');
  assert.doesNotMatch(first.output() + next.output(), /PRIVATE KEY|the-token-after-that/);
});

test('a keystore is copied to Secrets and back, and a citadel goes on with the copy', async () => {
  const flags = { 'kubernetes-api-server': url, 'kubernetes-ca-file': path('tls.crt'), 'kubernetes-token-file': path('token') };
  const places = [{ url: `dir:${path('folder')}`, flags }, { url: 'kubernetes:meltemi-system/moved', keyFile: path('key'), flags }, { url: `dir:${path('back')}`, flags }] as const;
  const before = await citadel('before', `dir:${path('folder')}`, []);
  assert.equal(before.code, null, before.output());
  const { trust } = await joined(before);
  await end(before.child, 'SIGTERM');
  for (const [from, to] of [[places[0], places[1]], [places[1], places[2]]] as const) {
    const source = await claimKeystore(from, { source: true });
    const target = await claimKeystore(to, { source: false });
    assert.equal((await copyKeystore(source, target)).authority, true);
    await Promise.all([source.close(), target.close()]);
  }
  for (const [name, keystore, more] of [['secrets', 'kubernetes:meltemi-system/moved', [...server(), ...seal]], ['plain', `dir:${path('back')}`, []]] as const) {
    const after = await citadel(name, keystore, more);
    assert.equal(after.code, null, after.output());
    assert.equal((await joined(after)).trust.pem, trust.pem);
    await end(after.child, 'SIGTERM');
  }
});

test('what is missing or refused is said with the flag, or with what the service account needs', async () => {
  writeFileSync(path('old-token'), 'expired');
  const cases: readonly (readonly [keystore: string, flags: readonly string[], code: number, reason: RegExp])[] = [
    ['kubernetes', seal, 2, /--keystore: kubernetes: this is no Pod, so name the namespace of the Secrets, too: kubernetes:NAMESPACE/],
    ['kubernetes:a', seal, 2, /--keystore: kubernetes: this is no Pod \(KUBERNETES_SERVICE_HOST is not set\); give --kubernetes-api-server/],
    ['kubernetes:a', ['--kubernetes-api-server', url, ...seal], 2, /--kubernetes-api-server needs --kubernetes-ca-file and --kubernetes-token-file/],
    ['kubernetes:a', ['--kubernetes-api-server', 'http://a', ...seal], 2, /--kubernetes-api-server http:\/\/a: must be an https URL/],
    ['kubernetes:Not-a-name', [...server(), ...seal], 2, /kubernetes:Not-a-name: a namespace and a name are 1 to 63/],
    ['kubernetes:a/b/c', [...server(), ...seal], 2, /kubernetes:NAMESPACE\/NAME/],
    ['kubernetes:a', server(), 2, /give --keystore-key-file or --keystore-passphrase-file, too: Kubernetes must not hold keys/],
    [`dir:${path('x')}`, server(), 2, /need --kubernetes-callers or --keystore kubernetes/],
    ['kubernetes:a', [...server().slice(0, 4), '--kubernetes-token-file', path('old-token'), ...seal], 1, /GET answers 401: it does not know the token in .*old-token: it must be of this cluster/],
    ['kubernetes:a', [...server().slice(0, 4), '--kubernetes-token-file', path('none'), ...seal], 1, /none is missing/],
  ];
  for (const [index, [keystore, flags, code, reason]] of cases.entries()) {
    const refused = await citadel(`refused-${index}`, keystore, flags);
    assert.equal(refused.code, code, refused.output());
    assert.match(refused.output(), reason);
  }
});
