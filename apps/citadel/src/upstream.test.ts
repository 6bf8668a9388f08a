import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { joinTokenText, mintJoinToken, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';

const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const delegate = 'spiffe://cluster.local/ns/istio-system/sa/meltemi-ra';
const dir = mkdtempSync(join(tmpdir(), 'citadel-upstream-'));
const path = (name: string): string => join(dir, name);
const quiet = { info: () => undefined, warn: () => undefined };
const children: ChildProcess[] = [];
const agents: IdentityAgent[] = [];

after(async () => {
  for (const agent of agents) agent.stop();
  for (const child of children) await end(child);
  rmSync(dir, { recursive: true, force: true });
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

interface Started {
  readonly child: ChildProcess;
  output: string;
}

function run(name: string, ...args: string[]): Started {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), '--state-dir', path(name), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--ports-file', path(`${name}.json`), ...args], { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const started: Started = { child, output: '' };
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => (started.output += data.toString()));
  return started;
}

async function addressOf(name: string, started: Started): Promise<string> {
  await waitFor(`${name} to start`, () => {
    assert.equal(started.child.exitCode, null, started.output);
    return existsSync(path(`${name}.json`));
  }, { deadlineMs: 30_000 });
  return `127.0.0.1:${(JSON.parse(readFileSync(path(`${name}.json`), 'utf8')) as { ports: { grpc: number } }).ports.grpc}`;
}

async function joined(name: string, citadelAddress: string, identity: string): Promise<IdentityAgent> {
  const agent = startIdentityAgent({ citadelAddress, identity, joinToken: joinTokenText(await mintJoinToken(join(path(name), 'citadel.sock'), identity)), log: quiet, validityMs: 3_600_000 });
  agents.push(agent);
  return agent;
}

test('a citadel sends requests on to another, checks what comes back, and says what it waits for when that one is away', async () => {
  const above = run('above', '--registration-authorities', delegate);
  const aboveAddress = await addressOf('above', above);
  const proof = await (await joined('above', aboveAddress, delegate)).ready();
  for (const [name, text] of [['root.pem', proof.trust.pem], ['ra.pem', proof.certChainPem], ['ra.key', proof.privateKeyPem]] as const) writeFileSync(path(name), text, { mode: 0o600 });
  const flags = ['--upstream-ca-address', aboveAddress, '--upstream-ca-root', path('root.pem'), '--upstream-ca-cert', path('ra.pem'), '--upstream-ca-key', path('ra.key')];

  const below = run('below', ...flags);
  const belowAddress = await addressOf('below', below);
  const workload = await joined('below', belowAddress, cart);
  const { certChainPem, trust, notAfter } = await workload.ready();
  assert.equal(trust.pem, proof.trust.pem);
  assert.ok(notAfter <= Date.now() + 3_600_000);
  writeFileSync(path('leaf.pem'), certChainPem);
  assert.match(execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', 'root.pem', '-untrusted', 'leaf.pem', 'leaf.pem'], { cwd: dir, encoding: 'utf8' }), /OK/);
  assert.match(above.output, new RegExp(`"spiffeId":"${cart}".*"caller":"${delegate}"`));
  assert.equal(existsSync(join(path('below'), 'authority.json')), false);

  await end(above.child);
  const late = await joined('below', belowAddress, cart);
  await waitFor('the reason', () => /the authority that signs for this citadel gives no certificate now; try again/.test(late.lastFailure() ?? ''), { deadlineMs: 20_000 });
  assert.equal(late.current(), undefined);
  const again = run('again', ...flags);
  const [code] = (await once(again.child, 'exit')) as [number];
  assert.equal(code, 1);
  assert.match(again.output, /--upstream-ca-address 127\.0\.0\.1:\d+: the authority that signs for this citadel gives no certificate now/);
});

test('flags that do not go together are refused in words', async () => {
  for (const [args, expected] of [
    [['--upstream-ca-root', 'x'], /--upstream-ca-root needs --upstream-ca-address/],
    [['--upstream-ca-address', 'a:1', '--cacerts', 'x', '--upstream-ca-root', 'x', '--upstream-ca-token-file', 'x'], /either another authority signs/],
    [['--upstream-ca-address', 'a:1', '--upstream-ca-root', 'x'], /needs either --upstream-ca-token-file or/],
  ] as const) {
    const started = run('flags', ...args);
    const [code] = (await once(started.child, 'close')) as [number];
    assert.equal(code, 2);
    assert.match(started.output, expected);
  }
});
