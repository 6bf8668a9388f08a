import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import { MeshProcess } from './process.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-process-'));
after(() => rmSync(dir, { recursive: true, force: true }));

/** A process that is gone with the test, also when that fails: one left behind would keep this file from ending. */
function script(t: TestContext, name: string, code: string, more: { portsFile?: string; startDeadlineMs?: number } = {}): MeshProcess {
  const one = new MeshProcess({ name, command: [process.execPath, '-e', code], logFile: join(dir, `${name}.log`), ...more });
  t.after(() => one.kill());
  return one;
}

/** A ports file as programs write it: whole, or not there. */
function writes(portsFile: string, content: string): string {
  return `fs.writeFileSync(${JSON.stringify(`${portsFile}.half`)}, ${JSON.stringify(content)}); fs.renameSync(${JSON.stringify(`${portsFile}.half`)}, ${JSON.stringify(portsFile)});`;
}

test('start waits for the ports file, and stop ends the process', async (t) => {
  const portsFile = join(dir, 'ports.json');
  const one = script(t, 'server', `${writes(portsFile, '{"pid":1,"ports":{"xds":5}}')} setInterval(() => {}, 1000)`, { portsFile });
  await one.start();
  assert.deepEqual([one.ports(), one.running], [{ xds: 5 }, true]);
  await one.stop();
  assert.equal(one.running, false);
});

test('a process that ends at its start is named with its last words', async (t) => {
  const one = script(t, 'broken', 'console.error("no such flag"); process.exit(3)', { portsFile: join(dir, 'never.json') });
  await assert.rejects(one.start(), /broken ended while starting \(exit code 3\):\nno such flag/);
});

test('a process deaf to SIGTERM is killed after the deadline', async (t) => {
  const portsFile = join(dir, 'deaf.json');
  const one = script(t, 'deaf', `process.on('SIGTERM', () => {}); ${writes(portsFile, '{}')} setInterval(() => {}, 1000)`, { portsFile });
  await one.start();
  await one.stop(50);
  assert.equal(one.running, false);
});

test('a mesh does not outlive the program that runs it, however that ends', async () => {
  const parent = join(import.meta.dirname, 'process.ts');
  const code = `import { MeshProcess } from ${JSON.stringify(parent)};
    const child = new MeshProcess({ name: 'child', command: ['sleep', '600'], logFile: ${JSON.stringify(join(dir, 'child.log'))} });
    await child.start(); process.stdout.write(String(child.pid)); throw new Error('nobody catches this');`;
  const run = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code], { encoding: 'utf8', timeout: 20_000 });
  const pid = Number(run.stdout);
  assert.ok(pid > 0, run.stderr);
  await waitFor('the child to be gone', () => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '));
});
