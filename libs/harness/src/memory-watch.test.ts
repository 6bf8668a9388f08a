import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryWatch } from './memory-watch.ts';

test('growth is between the medians of the first and the last third, so one spike is none', () => {
  const memory = new MemoryWatch();
  for (const bytes of [10, 900, 11, 12, 12, 12, 11, 12, 10]) memory.add('flat', bytes);
  for (const bytes of [10, 20, 30, 40, 50, 60]) memory.add('leak', bytes);
  memory.add('short', 1);
  assert.deepEqual(memory.growth(), [{ name: 'flat', beforeBytes: 11, afterBytes: 11 }, { name: 'leak', beforeBytes: 20, afterBytes: 60 }]);
});

test('a process that has ended is left out of the samples', () => {
  const memory = new MemoryWatch();
  for (let i = 0; i < 3; i++) memory.sample([{ name: 'me', pid: process.pid }, { name: 'gone', pid: 2 ** 22 + 1 }]);
  assert.deepEqual(memory.growth().map((each) => each.name), ['me']);
});
