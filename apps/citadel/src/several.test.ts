import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { startEtcdCluster, type EtcdCluster } from '@meltemi/config-edge/testing';
import { joinTokenText, mintJoinToken, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';

const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
const dir = mkdtempSync(join(tmpdir(), 'citadels-'));
const agents: IdentityAgent[] = [];
let etcd: EtcdCluster;

/** One of several citadels, in a process of its own. */
class Citadel {
  readonly #dir: string;
  readonly #keyFile: string;
  #child: ChildProcess | undefined;
  #ports = { grpc: 0, admin: 0 };
  output = '';

  constructor(name: string, keyFile: string) {
    this.#dir = join(dir, name);
    this.#keyFile = keyFile;
  }

  get address(): string {
    return `127.0.0.1:${this.#ports.grpc}`;
  }

  /** Resolves with the ports bound, or with the code it ended with. */
  async start(...flags: string[]): Promise<number | undefined> {
    mkdirSync(this.#dir, { recursive: true });
    const portsFile = join(this.#dir, 'ports.json');
    rmSync(portsFile, { force: true });
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'main.ts'), '--state-dir', this.#dir, '--listen', this.address, '--admin-listen', '127.0.0.1:0', '--ports-file', portsFile, '--keystore', `etcd://${etcd.endpoints.join()}`, ...(this.#keyFile === '' ? [] : ['--keystore-key-file', this.#keyFile]), ...flags],
      { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (this.output += data.toString()));
    await waitFor('citadel to start or end', () => child.exitCode !== null || existsSync(portsFile), { deadlineMs: 30_000 });
    if (child.exitCode !== null) return child.exitCode;
    this.#ports = (JSON.parse(readFileSync(portsFile, 'utf8')) as { ports: { grpc: number; admin: number } }).ports;
    return undefined;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  mint(): Promise<string> {
    return mintJoinToken(join(this.#dir, 'citadel.sock'), reviews);
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#ports.admin}/metrics`)).text();
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  }

  async leads(): Promise<boolean> {
    return (await this.metric('citadel_server_leader')) === 1;
  }
}

const keyFile = join(dir, 'key');
writeFileSync(keyFile, randomBytes(32), { mode: 0o600 });
const [first, second] = [new Citadel('first', keyFile), new Citadel('second', keyFile)];

before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => {
  for (const agent of agents) agent.stop();
  await Promise.all([first.kill(), second.kill()]);
  await etcd.stop();
  rmSync(dir, { recursive: true, force: true });
});

function joinAt(citadel: Citadel, token: string, validityMs?: number): { agent: IdentityAgent; said: string[] } {
  const said: string[] = [];
  const say = (fields: object, message: string): void => void said.push(`${message} ${JSON.stringify(fields)}`);
  const agent = startIdentityAgent({ citadelAddress: citadel.address, identity: reviews, joinToken: joinTokenText(token), ...(validityMs !== undefined && { validityMs }), log: { info: say, warn: say } });
  agents.push(agent);
  return { agent, said };
}

test('two citadels that start at once on an empty etcd are one authority: both issue, and a token of one works once at the other', async () => {
  assert.deepEqual(await Promise.all([first.start(), second.start()]), [undefined, undefined], first.output + second.output);
  const [token, other] = [await first.mint(), await second.mint()];
  const [atSecond, atFirst] = [await joinAt(second, token).agent.ready(), await joinAt(first, other).agent.ready()];
  assert.equal(atSecond.trust.pem, atFirst.trust.pem);
  for (const citadel of [first, second]) {
    const { said } = joinAt(citadel, token);
    await waitFor('the refusal', () => said.some((line) => line.includes('has been used already')));
  }
});

test('one of them leads; when it is killed, the other leads within the lease, and workloads renew there', async () => {
  await waitFor('a leader', async () => (await first.leads()) || (await second.leads()));
  const [leader, other] = (await first.leads()) ? [first, second] : [second, first];
  assert.equal(await other.leads(), false);
  const { agent } = joinAt(other, await leader.mint(), 6000);
  const { serial, trust } = await agent.ready();
  const killedAt = performance.now();
  await leader.kill();
  await waitFor('the other to lead', () => other.leads());
  assert.ok(performance.now() - killedAt < 13_000);
  const renewed = await waitFor('the renewal', () => agent.current()?.serial !== serial && agent.current(), { deadlineMs: 15_000 });
  assert.equal(renewed.trust.pem, trust.pem);

  assert.equal(await leader.start(), undefined, leader.output);
  assert.equal((await joinAt(leader, await other.mint()).agent.ready()).trust.pem, trust.pem);
  assert.equal(await leader.leads(), false);
  // Drained, it hands over at once instead of after the lease.
  await other.kill('SIGTERM');
  await waitFor('the first to lead again', () => leader.leads(), { deadlineMs: 5000 });
});

test('etcd and the logs hold no secret; without the key, or with another, no citadel starts', async () => {
  const all = execFileSync('etcdctl', [`--endpoints=${etcd.endpoints.join()}`, 'get', '--prefix', '/'], { encoding: 'utf8', env: { PATH: process.env['PATH'], ETCDCTL_API: '3' } });
  assert.match(all, /^\/meltemi-citadel\/authority\n\{"sealed":1/m);
  assert.doesNotMatch(all, /PRIVATE|CERTIFICATE/);
  // Who follows the roots is no secret; everything else is.
  const sealed = all.replaceAll(/^\/meltemi-citadel\/reports\/.*\n.*\n/gm, '');
  assert.match(sealed, /^\/meltemi-citadel\/tokens\//m);
  assert.doesNotMatch(sealed, /spiffe/);
  const otherKey = join(dir, 'other-key');
  writeFileSync(otherKey, randomBytes(32), { mode: 0o600 });
  for (const [key, code, reason] of [['', 2, /--keystore etcd at .*: give --keystore-key-file/], [otherKey, 1, /--keystore etcd at .*this key file does not open the keystore/]] as const) {
    const stranger = new Citadel('stranger', key);
    assert.equal(await stranger.start(), code, stranger.output);
    assert.match(stranger.output, reason);
  }
  assert.doesNotMatch(first.output + second.output, /PRIVATE KEY|meltemi\.join\.v1/);
});
