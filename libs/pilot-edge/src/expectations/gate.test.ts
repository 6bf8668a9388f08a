import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { toRawObject, type RawObject, type StoreWrite } from '@meltemi/config';
import { expectationGate } from './gate.ts';
import { runTestProgram, type TestRun } from './test-program.ts';

function object(kind: string, name: string, about = ''): RawObject {
  const raw = toRawObject({ apiVersion: kind === 'MeshTest' ? 'meltemi.io/v1alpha1' : 'networking.istio.io/v1', kind, metadata: { name }, spec: { about } });
  assert.ok(raw.ok);
  return raw.value;
}

const put = (raw: RawObject): StoreWrite => ({ type: 'put', object: raw });
const fails = (...names: string[]): TestRun => ({ failed: names.map((name) => ({ name, call: 'GET a/', differences: ['cluster: expected "a", is "b"'] })) });
const [tests, route] = [object('MeshTest', 'tests'), object('VirtualService', 'route')];

test('an expectation that held and would not hold any more is named with its call and what would come', async () => {
  const gate = expectationGate('enforce', (objects) => Promise.resolve(objects.includes(route) ? fails('tests: a') : fails()));
  assert.deepEqual(await gate.brokenBy({ now: [tests], writes: [put(route)] }), ['breaks the expectation "tests: a" (GET a/): cluster: expected "a", is "b"']);
  assert.deepEqual(await gate.brokenBy({ now: [tests, route], writes: [{ type: 'delete', key: route.key }] }), []);
});

test('what failed before is not held against a change, unless the change writes the expectation', async () => {
  const gate = expectationGate('enforce', () => Promise.resolve(fails('tests: a')));
  assert.deepEqual(await gate.brokenBy({ now: [tests], writes: [put(route)] }), []);
  assert.equal((await gate.brokenBy({ now: [tests], writes: [put(object('MeshTest', 'tests', 'changed'))] })).length, 1);
  assert.equal((await gate.brokenBy({ now: [], writes: [put(tests)] })).length, 1);
});

test('without expectations nothing is run', async () => {
  const gate = expectationGate('enforce', () => Promise.reject(new Error('ran')));
  assert.deepEqual(await gate.brokenBy({ now: [route], writes: [put(route)] }), []);
});

test('expectations that cannot be run break, with the reason', async () => {
  const gate = expectationGate('enforce', (objects) => runTestProgram(objects, { program: '/nowhere/meltemi', timeoutMs: 5000 }));
  assert.match((await gate.brokenBy({ now: [tests], writes: [put(route)] })).join(), /could not be run: \/nowhere\/meltemi: spawn \/nowhere\/meltemi ENOENT/);
});

test('a run ends with its time, and so does what it started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'meltemi-gate-'));
  try {
    const [program, started] = [join(folder, 'program'), join(folder, 'pid')];
    writeFileSync(program, `#!/bin/sh\nsleep 300 &\necho $! > ${started}\nwait\n`, { mode: 0o755 });
    const run = await runTestProgram([tests], { program, timeoutMs: 1000 });
    assert.deepEqual(run, { failure: 'they took longer than 1000 ms' });
    const pid = Number(readFileSync(started, 'utf8'));
    await waitFor('the process to be gone', () => !existsSync(`/proc/${pid}`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('changes are taken one after the other, also after one that failed', async () => {
  const gate = expectationGate('warn', () => Promise.resolve(fails()));
  const order: string[] = [];
  const step = (name: string, fail = false) => gate.inTurn(async () => {
    order.push(`${name} starts`);
    await Promise.resolve();
    order.push(`${name} ends`);
    if (fail) throw new Error(name);
  });
  await Promise.allSettled([step('a', true), step('b'), step('c')]);
  assert.deepEqual(order, ['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
});
