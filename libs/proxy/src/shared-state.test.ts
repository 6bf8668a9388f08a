import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { AtomicState, LocalState, sharedStateBuffer } from './shared-state.ts';

test('the same name is the same number, another name another one', () => {
  const buffer = sharedStateBuffer();
  for (const [one, other] of [[new AtomicState(buffer), new AtomicState(buffer)], [new LocalState(), null]] as const) {
    assert.equal(one.cell('a').load(), 0);
    assert.equal(one.cell('a').swap(0, 1.5), true);
    assert.equal(one.cell('a').swap(0, 2), false);
    assert.equal((other ?? one).cell('a').load(), 1.5);
    assert.equal((other ?? one).cell('b').load(), 0);
  }
});

test('a full table leaves each thread its own numbers', () => {
  const buffer = sharedStateBuffer();
  const [one, other] = [new AtomicState(buffer), new AtomicState(buffer)];
  for (let i = 0; i < 16_384; i++) one.cell(`fill ${i}`);
  one.cell('late').swap(0, 7);
  assert.deepEqual([one.cell('late').load(), other.cell('late').load()], [7, 0]);
  assert.equal(one.cell('fill 9').swap(0, 3), true);
  assert.equal(other.cell('fill 9').load(), 3);
});

test('threads that add to a number at once lose nothing', async () => {
  const buffer = sharedStateBuffer();
  const code = `
    const { workerData } = require('node:worker_threads');
    import(workerData.module).then(({ AtomicState }) => {
      const cell = new AtomicState(workerData.buffer).cell('sum');
      for (let i = 0; i < 20000; i++) for (let was = cell.load(); !cell.swap(was, was + 1); was = cell.load());
    });`;
  const module = new URL('./shared-state.ts', import.meta.url).href;
  await Promise.all([1, 2].map(() => once(new Worker(code, { eval: true, workerData: { buffer, module } }), 'exit')));
  assert.equal(new AtomicState(buffer).cell('sum').load(), 40_000);
});
