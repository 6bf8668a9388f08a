import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import type { PortsFile } from './ports-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'meltemi-frame-'));
const tiny = join(import.meta.dirname, 'testing', 'tiny-program.ts');
const children: ChildProcess[] = [];
let files = 0;

after(() => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly portsFile: string;
  out: string;
  err: string;
  readonly exit: Promise<number | null>;
}

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Run {
  const portsFile = join(folder, `ports-${files++}.json`);
  const child = spawn(process.execPath, [tiny, '--ports-file', portsFile, ...args], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const exit = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
  const result: Run = { child, portsFile, out: '', err: '', exit };
  child.stdout?.on('data', (data: Buffer) => (result.out += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (result.err += data.toString()));
  return result;
}

function started({ portsFile, child, err }: Run): Promise<PortsFile> {
  return waitFor('the ports file', () => {
    assert.equal(child.exitCode, null, err);
    return existsSync(portsFile) && (JSON.parse(readFileSync(portsFile, 'utf8')) as PortsFile);
  }, { deadlineMs: 20_000 });
}

test('flags win over the environment, which wins over defaults; secrets stay out of the log', async () => {
  const program = run(['--names', 'a,b', '--names=c', '--loud', '-c', '5'], { MELTEMI_COUNT: '4', TINY_COUNT: '2' });
  const other = run([], { TINY_COUNT: '2', MELTEMI_LOUD: 'yes', MELTEMI_LOG_FORMAT: 'text' });
  await Promise.all([started(program), started(other)]);
  for (const { child } of [program, other]) child.kill('SIGTERM');
  assert.deepEqual(await Promise.all([program.exit, other.exit]), [0, 0]);
  const values = program.err.split('\n').find((line) => line.includes('"values"')) ?? '';
  const { level, count, names, loud, joinToken, nested } = JSON.parse(values) as Record<string, unknown>;
  assert.deepEqual({ level, count, names, loud, joinToken, nested }, { level: 'info', count: 5, names: ['a', 'b', 'c'], loud: true, joinToken: '[redacted]', nested: { password: '[redacted]' } });
  assert.match(other.err, /info {2}meltemi-tiny: values count=2 names=\[\] loud=true joinToken=\[redacted\]/);
  assert.doesNotMatch(program.err + other.err, /hunter2/);
});

test('--help shows defaults and environment names, --version the version', async () => {
  const help = run(['--help']);
  const version = run(['--version']);
  assert.deepEqual(await Promise.all([help.exit, version.exit]), [0, 0]);
  assert.match(help.out.replaceAll(/\s+/g, ' '), /-c, --count <number> a number \(default 3; env MELTEMI_COUNT, TINY_COUNT\)/);
  assert.match(help.out, /--admin-listen <host:port>/);
  assert.match(version.out, /^meltemi-tiny \d+\.\d+\.\d+\n$/);
});

test('a mistyped flag exits 2 with a suggestion; wrong values are all named', async () => {
  const typo = run(['--lisen', '127.0.0.1:0']);
  const values = run(['--count', '12', '--listen', '8080', '--mode', 'odd'], { MELTEMI_LOUD: 'maybe' });
  const operand = run(['surplus']);
  assert.deepEqual(await Promise.all([typo.exit, values.exit, operand.exit]), [2, 2, 2]);
  assert.match(typo.err, /unknown option '--lisen'[^]*--listen/);
  for (const expected of [/--count: 12 is outside 1 to 9/, /--listen: "8080" is not an address: write HOST:PORT/, /--mode: "odd" is not one of good/, /MELTEMI_LOUD: "maybe" is not true or false/]) assert.match(values.err, expected);
});

test('admin answers health, metrics, version and index, and SIGTERM drains and exits 0', async () => {
  const program = run([]);
  const { ports, pid } = await started(program);
  assert.equal(pid, program.child.pid);
  assert.ok((ports['main'] ?? 0) > 0);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${ports['admin']}${path}`);
    return { status: response.status, body: await response.text() };
  };
  assert.deepEqual(await get('/healthz/ready'), { status: 200, body: 'ready\n' });
  assert.equal((await get('/healthz/live')).status, 200);
  assert.match((await get('/metrics')).body, /istio_build\{component="tiny",tag="\d[^"]*"\} 1/);
  assert.match((await get('/version')).body, /"component": "meltemi-tiny"/);
  assert.match((await get('/')).body, /href="\/metrics"/);
  program.child.kill('SIGTERM');
  assert.equal(await program.exit, 0);
  assert.match(program.err, /drain called/);
  assert.equal(existsSync(program.portsFile), false);
});

test('not ready names what it waits for', async () => {
  const program = run(['--mode', 'wait']);
  const { ports } = await started(program);
  const response = await fetch(`http://127.0.0.1:${ports['admin']}/healthz/ready`);
  assert.equal(response.status, 503);
  assert.equal(await response.text(), 'waiting for: the moon\n');
});

for (const [how, timeout] of [['', '60s'], [', with a timeout beyond what timers hold too', '1000h']] as const) test(`while draining ready is 503, and a second signal ends at once${how}`, async () => {
  const program = run(['--mode', 'hang-drain', '--drain-timeout', timeout]);
  const { ports } = await started(program);
  program.child.kill('SIGTERM');
  await waitFor('the drain', async () => {
    const response = await fetch(`http://127.0.0.1:${ports['admin']}/healthz/ready`);
    return response.status === 503 && (await response.text()) === 'draining\n';
  });
  program.child.kill('SIGINT');
  assert.equal(await program.exit, 130);
});

for (const [who, args] of [['that was given', ['--mode', 'hang-drain', '--drain-timeout', '50ms']], ['that the program knows', ['--mode', 'own-deadline']]] as const) test(`a drain that hangs ends at the deadline ${who}`, async () => {
  const program = run([...args]);
  await started(program);
  program.child.kill('SIGTERM');
  assert.equal(await program.exit, 0);
  assert.match(program.err, /drain did not finish/);
});

test('a busy port names the flag, the address and the way out', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as AddressInfo;
  const main = run(['--listen', `127.0.0.1:${port}`]);
  const admin = run(['--admin-listen', `127.0.0.1:${port}`]);
  assert.deepEqual(await Promise.all([main.exit, admin.exit]), [1, 1]);
  assert.match(main.err, new RegExp(`--listen: cannot listen on 127\\.0\\.0\\.1:${port}: the port is busy.*MELTEMI_LISTEN; port 0`));
  assert.match(admin.err, new RegExp(`--admin-listen: cannot listen on 127\\.0\\.0\\.1:${port}: the port is busy.*MELTEMI_ADMIN_LISTEN`));
  holder.close();
});

test('an uncaught exception is logged and exits 1', async () => {
  const program = run([]);
  const { ports } = await started(program);
  await fetch(`http://127.0.0.1:${ports['admin']}/crash`, { method: 'POST' });
  assert.equal(await program.exit, 1);
  assert.match(program.err, /"level":"fatal"[^\n]*boom[^\n]*uncaught exception/);
});
