import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { waitFor } from '@meltemi/base';

const folder = mkdtempSync(join(tmpdir(), 'meltemi-launch-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A project with its own "pinned" Node and an app that exits as its first argument says, or reports a SIGTERM. */
function project(options: { pinned: boolean }): string {
  const root = mkdtempSync(join(folder, 'project-'));
  cpSync(join(import.meta.dirname, '..', 'bin', 'launch.js'), join(root, 'launch.mjs'));
  writeFileSync(
    join(root, 'main.mjs'),
    `console.log(JSON.stringify({ args: process.argv.slice(2), flags: process.execArgv, pid: process.pid }));
     if (process.argv[2] === 'wait') { process.on('SIGTERM', () => process.exit(7)); process.on('disconnect', () => { process.exit(9); }); setInterval(() => {}, 1000); }
     else process.exitCode = Number(process.argv[2]);`,
  );
  // Pretends to be an old Node, so that the launcher has to look for the pinned one.
  writeFileSync(join(root, 'bin.mjs'), `Object.defineProperty(process.versions, 'node', { value: '20.1.0' }); const { launch } = await import('./launch.mjs'); await launch(new URL('./main.mjs', import.meta.url), { nodeFlags: ['--max-semi-space-size=16'] });`);
  if (options.pinned) {
    const bin = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin');
    mkdirSync(bin, { recursive: true });
    symlinkSync(process.execPath, join(bin, 'node'));
    chmodSync(join(bin, 'node'), 0o755);
  }
  return join(root, 'bin.mjs');
}

function start(bin: string, args: readonly string[]) {
  const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const run = { child, out: '', err: '', exit: once(child, 'close').then(([code]: (number | null)[]) => code) };
  child.stdout.on('data', (data: Buffer) => (run.out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (run.err += data.toString()));
  return run;
}

test('an old Node hands over to the pinned one with arguments, flags and exit code', async () => {
  const run = start(project({ pinned: true }), ['5', '--flag', 'a b']);
  assert.equal(await run.exit, 5, run.err);
  const { args, flags } = JSON.parse(run.out) as { args: string[]; flags: string[] };
  assert.deepEqual(args, ['5', '--flag', 'a b']);
  assert.deepEqual(flags, ['--max-semi-space-size=16']);
});

test('signals reach the program and its exit code comes back', async () => {
  const run = start(project({ pinned: true }), ['wait']);
  await waitFor('the program', () => run.out.includes('pid'));
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 7);
});

test('a killed launcher takes the program with it', async () => {
  const run = start(project({ pinned: true }), ['wait']);
  await waitFor('the program', () => run.out.includes('pid'));
  const { pid } = JSON.parse(run.out) as { pid: number };
  run.child.kill('SIGKILL');
  await waitFor('the program to end', () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
});

test('without a pinned Node it says how to get one', async () => {
  const run = start(project({ pinned: false }), ['0']);
  assert.equal(await run.exit, 1);
  assert.match(run.err, /Node 26 or newer is needed; this is 20\.1\.0[^]*npm ci/);
});

test('what was compiled is kept beside what npm installed, when asked', async () => {
  const root = mkdtempSync(join(folder, 'kept-'));
  cpSync(join(import.meta.dirname, '..', 'bin', 'launch.js'), join(root, 'launch.mjs'));
  writeFileSync(join(root, 'main.mjs'), 'console.log(process.argv[2]);');
  writeFileSync(join(root, 'bin.mjs'), "const { launch } = await import('./launch.mjs'); await launch(new URL('./main.mjs', import.meta.url), { keepCompiled: process.argv[2] === 'kept' });");
  mkdirSync(join(root, 'node_modules'));
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), '{}');
  const cache = join(root, 'node_modules', '.cache', 'meltemi-compiled');
  assert.equal(await start(join(root, 'bin.mjs'), ['no']).exit, 0);
  assert.equal(existsSync(cache), false);
  for (const run of ['first', 'second']) {
    const kept = start(join(root, 'bin.mjs'), ['kept']);
    assert.deepEqual([await kept.exit, kept.out], [0, 'kept\n'], `${run}: ${kept.err}`);
  }
  assert.ok(readdirSync(cache).length > 0);
});
