import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxSilentDestinations, silentForMs, SilentDestinations } from './silent-destinations.ts';

test('a silent destination is remembered until it is old or a client speaks first', () => {
  const memory = new SilentDestinations();
  memory.silent('10.0.0.1:25', 0);
  assert.deepEqual([memory.has('10.0.0.1:25', silentForMs - 1), memory.has('10.0.0.1:80', 0)], [true, false]);
  assert.deepEqual([memory.has('10.0.0.1:25', silentForMs), memory.has('10.0.0.1:25', 0)], [false, false]);
  memory.silent('10.0.0.1:25', 0);
  memory.spoke('10.0.0.1:25');
  assert.equal(memory.has('10.0.0.1:25', 0), false);
});

test('the one not seen for longest makes room', () => {
  const memory = new SilentDestinations();
  for (let i = 0; i < maxSilentDestinations; i++) memory.silent(`${i}`, 0);
  memory.silent('0', 1);
  memory.silent('one more', 1);
  assert.deepEqual([memory.has('0', 1), memory.has('1', 1), memory.has('2', 1), memory.has('one more', 1)], [true, false, true, true]);
});
