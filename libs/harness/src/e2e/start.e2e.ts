import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { waitFor, withDeadline } from '@meltemi/base';
import { startEtcdCluster } from '@meltemi/config-edge/testing';
import { get, repository } from '../index.ts';
import { isWhole } from './bookinfo-mesh.ts';

const url = 'http://127.0.0.1:8080/productpage';

/** `npm start` as a user runs it, in a process group of its own, as a terminal gives it. */
class Start {
  readonly child: ChildProcess;
  readonly #exit: Promise<number | null>;
  output = '';

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, [join(repository, 'tools/start/start.mjs'), ...args], { cwd: repository, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_TEST_CONTEXT: undefined } });
    this.#exit = once(this.child, 'exit').then(([code]) => code as number | null);
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.on('data', (part: Buffer) => (this.output += part.toString('utf8')));
  }

  /** When the closing block is printed. */
  async ready(): Promise<this> {
    await waitFor('the closing block', () => {
      if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}:\n${this.output}`);
      return /Stop .*Ctrl-C/.test(this.output);
    }, { deadlineMs: 120_000, everyMs: 100 }).catch((cause: unknown) => assert.fail(`${String(cause)}\n${this.output}`));
    return this;
  }

  exit(): Promise<number | null> {
    return withDeadline(this.#exit, 30_000, 'npm start to end');
  }

  /** Ctrl-C: the terminal sends SIGINT to the whole group. */
  ctrlC(): Promise<number | null> {
    process.kill(-(this.child.pid ?? 0), 'SIGINT');
    return this.exit();
  }

  /** What is left of its group: pid and command line. */
  leftovers(): string[] {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
        return group === this.child.pid ? [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`] : [];
      } catch {
        return [];
      }
    });
  }

  /** For the end of a failed test. */
  async end(): Promise<void> {
    if (this.leftovers().length > 0) process.kill(-(this.child.pid ?? 0), 'SIGKILL');
    await this.#exit;
  }
}

/** The launcher that npx runs. */
function meltemi(workDir: string, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(repository, 'apps/cli/bin/meltemi.js'), ...args], { cwd: repository, encoding: 'utf8', timeout: 60_000, env: { ...process.env, MELTEMI_CONTEXT: join(workDir, 'context.json') } });
}

describe('npm start', () => {
  const workDir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-start-'));
  const started: Start[] = [];
  const start = (...args: string[]): Start => {
    const one = new Start(...args);
    started.push(one);
    return one;
  };
  after(async () => {
    for (const one of started) await one.end();
    rmSync(workDir, { recursive: true, force: true });
  });

  test('says what is wrong with its flags, and ends with 2', async () => {
    for (const [args, reason] of [[['--store', 'redis://127.0.0.1'], /--store redis:\/\/127\.0\.0\.1: write etcd:\/\//], [['--sotre', 'x'], /--sotre/], [['--manifests', '/nowhere'], /no such file/]] as const) {
      const refused = start(...args);
      assert.equal(await refused.exit(), 2, refused.output);
      assert.match(refused.output, reason);
    }
  });

  test('says who needs a busy port and how to find who has it, and ends with 1', async () => {
    const squatter = createServer().listen(8080, '127.0.0.1');
    await once(squatter, 'listening');
    try {
      const refused = start('--work-dir', workDir);
      assert.equal(await refused.exit(), 1, refused.output);
      assert.match(refused.output, /Port 8080 of 127\.0\.0\.1 is taken, and the ingress gateway needs it\. .*ss -ltnp/);
    } finally {
      await new Promise((resolve) => squatter.close(resolve));
    }
  });

  test('brings up the mesh and ends with what to open, what to try and how to stop', async () => {
    const mesh = await start('--work-dir', workDir).ready();
    assert.match(mesh.output, /Open +http:\/\/127\.0\.0\.1:8080\/productpage/);
    assert.equal([...mesh.output.matchAll(/npx meltemi /g)].length, 3);
    assert.ok(isWhole(await get(url)));
    const status = meltemi(workDir, 'proxy-status', '-o', 'json');
    assert.equal(status.status, 0, status.stderr);
    assert.equal((JSON.parse(status.stdout) as unknown[]).length, 7);
  });

  test('analyze finds nothing doubtful in what it runs, and a request is explained from the gateway on', () => {
    const analyzed = meltemi(workDir, 'analyze');
    assert.deepEqual([analyzed.status, analyzed.stdout], [0, ''], analyzed.stdout + analyzed.stderr);
    const { stdout, stderr } = meltemi(workDir, 'explain', '--from', 'istio-system/istio-ingressgateway', 'GET', url);
    assert.match(stdout, /^istio-ingressgateway.*\n[^]*\nproductpage-v1.*\n[^]*→ routed\n/, stdout + stderr);
  });

  test('the three commands it names work as they stand', () => {
    const commands = [...(started.at(-1)?.output ?? '').matchAll(/npx meltemi ([^\n(]+)/g)].map((match) => (match[1] ?? '').trim().split(/\s+/));
    for (const command of commands) {
      const result = meltemi(workDir, ...command);
      assert.equal(result.status, 0, `${command.join(' ')}: ${result.stderr}`);
    }
  });

  test('a second one beside it says so, and leaves the first alone', async () => {
    const second = start('--work-dir', workDir);
    assert.equal(await second.exit(), 1, second.output);
    assert.match(second.output, /Another npm start runs here already \(pid \d+\)/);
    assert.ok(isWhole(await get(url)));
  });

  test('Ctrl-C stops everything and leaves no process', async () => {
    const mesh = started.find((one) => one.child.exitCode === null) ?? assert.fail('none runs');
    assert.ok(mesh.leftovers().length > 15, 'the mesh is many processes');
    assert.equal(await mesh.ctrlC(), 0, mesh.output);
    assert.match(mesh.output, /nothing is left running/);
    assert.deepEqual(mesh.leftovers(), []);
    await assert.rejects(get(url), /ECONNREFUSED/);
  });

  test('the next start remembers what was applied, and SIGTERM stops it as well', async () => {
    const mesh = await start('--work-dir', workDir).ready();
    const jason = await get(url, { headers: { cookie: 'session=jason' } });
    assert.match(jason.body, /class="stars black"/);
    for (let i = 0; i < 6; i++) assert.doesNotMatch((await get(url)).body, /class="stars/);
    mesh.child.kill('SIGTERM');
    assert.equal(await mesh.exit(), 0, mesh.output);
    assert.deepEqual(mesh.leftovers(), []);
  });

  for (const moment of ['citadel: ', 'workload: productpage', 'waiting until'])
    test(`Ctrl-C at "${moment.trim()}" stops a start half-way and leaves no process`, async () => {
      const mesh = start('--work-dir', workDir);
      await waitFor(`"${moment}"`, () => mesh.output.includes(moment), { deadlineMs: 60_000, everyMs: 5 });
      assert.equal(await mesh.ctrlC(), 0, mesh.output);
      await waitFor('nothing to be left', () => mesh.leftovers().length === 0, { deadlineMs: 2000 }).catch(() => assert.fail(mesh.leftovers().join('\n')));
      assert.match(mesh.output, /nothing is left running/);
    });

  test('--store etcd://… keeps the configuration in etcd', async () => {
    const etcd = await startEtcdCluster();
    try {
      const mesh = await start('--work-dir', workDir, '--fresh', '--store', `etcd://${etcd.endpoints[0]}`).ready();
      assert.ok(isWhole(await get(url)));
      const applied = meltemi(workDir, 'apply', '--wait', '-f', 'deploy/samples/bookinfo/networking/virtual-service-reviews-v3.yaml');
      assert.equal(applied.status, 0, applied.stderr);
      for (let i = 0; i < 6; i++) assert.match((await get(url)).body, /class="stars red"/);
      const keys = spawnSync('etcdctl', ['--endpoints', etcd.endpoints[0] ?? '', 'get', '', '--prefix', '--keys-only'], { encoding: 'utf8', env: { ...process.env, ETCDCTL_API: '3' } });
      assert.match(keys.stdout, /config\/.*VirtualService.*\/reviews/i, keys.stderr);
      assert.ok(!existsSync(join(workDir, 'state/pilot/store')), 'nothing is kept beside etcd');
      assert.equal(await mesh.ctrlC(), 0, mesh.output);
      assert.deepEqual(mesh.leftovers(), []);
    } finally {
      await etcd.stop();
    }
  });
});
