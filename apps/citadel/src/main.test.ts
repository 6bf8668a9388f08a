import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { claimDirectory } from '@meltemi/citadel-edge';
import { joinTokenText, mintJoinToken, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';

const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
const launcher = join(import.meta.dirname, '..', 'bin', 'meltemi-citadel.js');

let dir = '';
const children: ChildProcess[] = [];
const agents: IdentityAgent[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'citadel-app-'));
});
afterEach(async () => {
  for (const agent of agents.splice(0)) agent.stop();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(dir, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  output: string;
  /** Resolves with the exit code. */
  readonly exit: Promise<number | null>;
}

function run(command: string, ...args: string[]): Run {
  const child = spawn(process.execPath, [command, ...args], { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const exit = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
  const result: Run = { child, output: '', exit };
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => (result.output += data.toString()));
  return result;
}

/** Starts the program itself, without the launcher, so that SIGKILL hits it. */
async function citadel(...args: string[]): Promise<Run & { grpc: number; admin: number }> {
  const portsFile = join(dir, 'ports.json');
  rmSync(portsFile, { force: true });
  const started = run(join(import.meta.dirname, 'main.ts'), '--state-dir', join(dir, 'state'), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--ports-file', portsFile, ...args);
  await waitFor('citadel to start', () => {
    assert.equal(started.child.exitCode, null, started.output);
    return existsSync(portsFile);
  }, { deadlineMs: 30_000 });
  const { ports } = JSON.parse(readFileSync(portsFile, 'utf8')) as { ports: { grpc: number; admin: number } };
  return Object.assign(started, ports);
}

const socket = (): string => join(dir, 'state', 'citadel.sock');

test('issues by token, survives SIGKILL with authority, tokens and port, drains on SIGTERM', async () => {
  const first = await citadel();
  assert.equal((statSync(socket()).mode & 0o777).toString(8), '600');
  assert.equal((await fetch(`http://127.0.0.1:${first.admin}/healthz/ready`)).status, 200);
  const token = await mintJoinToken(socket(), reviews);
  const unused = await mintJoinToken(socket(), reviews);
  const agent = startIdentityAgent({ citadelAddress: `127.0.0.1:${first.grpc}`, identity: reviews, joinToken: joinTokenText(token), validityMs: 6000, log: { info: () => undefined, warn: () => undefined } });
  agents.push(agent);
  const { serial, trust } = await agent.ready();
  first.child.kill('SIGKILL');
  await first.exit;

  const second = await citadel('--listen', `127.0.0.1:${first.grpc}`);
  const renewed = await waitFor('the renewal', () => agent.current()?.serial !== serial && agent.current(), { deadlineMs: 15_000 });
  assert.equal(renewed.trust.pem, trust.pem);
  const late = startIdentityAgent({ citadelAddress: `127.0.0.1:${second.grpc}`, identity: reviews, joinToken: joinTokenText(unused), log: { info: () => undefined, warn: () => undefined } });
  agents.push(late);
  await late.ready();
  const metrics = await (await fetch(`http://127.0.0.1:${second.admin}/metrics`)).text();
  assert.match(metrics, /^citadel_server_success_cert_issuance_count [2-9]$/m);
  assert.match(metrics, /^citadel_server_csr_count [2-9]$/m);

  second.child.kill('SIGTERM');
  assert.equal(await second.exit, 0, second.output);
  assert.equal(existsSync(socket()), false);
  assert.doesNotMatch(first.output + second.output, /PRIVATE KEY|meltemi\.join\.v1/);
});

test('a second citadel over the same socket, a damaged keystore and bad flags are refused in words', async () => {
  const first = await citadel();
  const same = ['--state-dir', join(dir, 'state'), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'];
  const second = run(launcher, ...same);
  assert.equal(await second.exit, 1);
  assert.match(second.output, /^meltemi-citadel: --socket: another citadel already serves .*citadel\.sock/m);
  const busy = run(launcher, '--state-dir', join(dir, 'other'), '--listen', `127.0.0.1:${first.grpc}`, '--admin-listen', '127.0.0.1:0');
  assert.equal(await busy.exit, 1);
  assert.match(busy.output, /--listen: cannot listen on .*the port is busy/);
  first.child.kill('SIGTERM');
  await first.exit;

  writeFileSync(join(dir, 'state', 'authority.json'), '{"rootKeyPem": "half of a k');
  const damaged = run(launcher, ...same);
  assert.equal(await damaged.exit, 1);
  assert.match(damaged.output, /--state-dir .*authority\.json: is not JSON/);
  const wrong = run(launcher, '--state-dir', dir, '--workload-cert-ttl', '3000h');
  assert.equal(await wrong.exit, 2);
  assert.match(wrong.output, /longer than --max-workload-cert-ttl/);
  const missing = run(launcher);
  assert.equal(await missing.exit, 2);
  assert.match(missing.output, /--state-dir/);
});

test('--cacerts signs with what an operator plugs in, and says what is wrong with it', async () => {
  const cacerts = join(dir, 'cacerts');
  mkdirSync(cacerts);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: cacerts, stdio: 'ignore' });
  const args = ['--state-dir', join(dir, 'state'), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--cacerts', cacerts];
  const empty = run(launcher, ...args);
  assert.equal(await empty.exit, 1);
  assert.match(empty.output, /--cacerts .*ca-cert\.pem is missing/);

  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca-key.pem', '-out', 'ca-cert.pem', '-days', '6', '-subj', '/O=corp/CN=root', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
  copyFileSync(join(cacerts, 'ca-cert.pem'), join(cacerts, 'root-cert.pem'));
  const started = await citadel('--cacerts', cacerts);
  const { grpc } = started;
  await waitFor('the warning of its end', () => /"role":"root",.*"withinDays":7.*the root ends within 7 days/.test(started.output));
  assert.match(await (await fetch(`http://127.0.0.1:${started.admin}/metrics`)).text(), /^citadel_ca_cert_ends_within_days\{role="root"\} 7$/m);
  const agent = startIdentityAgent({ citadelAddress: `127.0.0.1:${grpc}`, identity: reviews, joinToken: joinTokenText(await mintJoinToken(socket(), reviews)), log: { info: () => undefined, warn: () => undefined } });
  agents.push(agent);
  const { trust } = await agent.ready();
  assert.equal(trust.pem.trim(), readFileSync(join(cacerts, 'root-cert.pem'), 'utf8').trim());
  assert.equal(existsSync(join(dir, 'state', 'authority.json')), false);
});

test('a keystore is sealed by the first start with a passphrase, and refused without it or with a file others can read', async () => {
  const [passphrase, other] = [join(dir, 'passphrase'), join(dir, 'other')];
  writeFileSync(passphrase, 'correct horse battery staple\n', { mode: 0o600 });
  writeFileSync(other, 'another passphrase\n', { mode: 0o600 });
  const plain = await citadel();
  const token = await mintJoinToken(socket(), reviews);
  plain.child.kill('SIGKILL');
  await plain.exit;
  const root = (JSON.parse(readFileSync(join(dir, 'state', 'authority.json'), 'utf8')) as { rootCertificatePem: string }).rootCertificatePem;

  const sealed = await citadel('--keystore-passphrase-file', passphrase);
  const agent = startIdentityAgent({ citadelAddress: `127.0.0.1:${sealed.grpc}`, identity: reviews, joinToken: joinTokenText(token), log: { info: () => undefined, warn: () => undefined } });
  agents.push(agent);
  assert.equal((await agent.ready()).trust.pem.trim(), root.trim());
  assert.doesNotMatch(readFileSync(join(dir, 'state', 'authority.json'), 'utf8'), /PRIVATE|CERTIFICATE/);
  sealed.child.kill('SIGTERM');
  assert.equal(await sealed.exit, 0, sealed.output);

  const args = ['--state-dir', join(dir, 'state'), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'];
  chmodSync(passphrase, 0o644);
  for (const [flags, reason] of [
    [[], /--state-dir .*: the keystore is sealed: give what it was sealed with/],
    [['--keystore-passphrase-file', other], /--state-dir .*: this passphrase does not open the keystore/],
    [['--keystore-passphrase-file', passphrase], /--keystore-passphrase-file: .* has mode 0644: others can read or change it/],
  ] as const) {
    const refused = run(launcher, ...args, ...flags);
    assert.equal(await refused.exit, 1);
    assert.match(refused.output, reason);
    assert.doesNotMatch(refused.output, /horse|another passphrase/);
  }
});

test('--help names every flag, --version the version', async () => {
  const help = run(launcher, '--help');
  assert.equal(await help.exit, 0);
  for (const flag of ['--listen', '--socket', '--state-dir', '--keystore-passphrase-file', '--keystore-key-file', '--keystore-previous-passphrase-file', '--keystore-previous-key-file', '--cacerts', '--ca-key-algorithm', '--kubernetes-callers', '--oidc-issuers', '--registration-authorities', '--upstream-ca-address', '--trust-domain', '--workload-cert-ttl', '--max-workload-cert-ttl', '--admin-listen', '--ports-file', '--log-level', '--keystore', '--etcd-cacert', '--etcd-username']) assert.ok(help.output.includes(flag), flag);
  const version = run(launcher, '--version');
  assert.equal(await version.exit, 0);
  assert.match(version.output, /\d+\.\d+\.\d+/);
});

test('nobody else uses the keystore while a citadel runs on it, however it is reached; one that was killed holds nothing', async () => {
  const running = await citadel();
  await assert.rejects(claimDirectory(join(dir, 'state')), /a citadel runs on the keystore in .* as process \d+: stop it first/);
  const second = run(join(import.meta.dirname, 'main.ts'), '--state-dir', join(dir, 'other'), '--keystore', `dir:${join(dir, 'state')}`, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0');
  assert.notEqual(await second.exit, 0);
  assert.match(second.output, /a citadel runs on the keystore in .*stop it first/);
  running.child.kill('SIGKILL');
  await running.exit;
  await (await claimDirectory(join(dir, 'state')))();
});
