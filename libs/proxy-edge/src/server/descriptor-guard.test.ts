import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlatStats } from '@meltemi/observe';
import { DescriptorGuard, descriptors } from './descriptor-guard.ts';

function guard(system: { limit: number; free: number }) {
  const said: string[] = [];
  const log = { info: (_fields: object, message: string) => void said.push(message), warn: (fields: object, message: string) => void said.push(`${JSON.stringify(fields)} ${message}`), error: () => {} };
  return { said, refused: new FlatStats().counter('refused'), guard: new DescriptorGuard(log, { limit: () => system.limit, lowestFree: () => system.free }) };
}

test('an eighth of the descriptors is kept, 32 at least, half at most', () => {
  for (const [limit, last] of [[1024, 895], [128, 95], [40, 19], [1_048_576, 917_503]] as const) {
    const { guard: one, refused } = guard({ limit, free: 0 });
    assert.deepEqual([one.admits(last, refused), one.admits(last + 1, refused)], [true, false], String(limit));
  }
});

test('the log hears of it once in a while, not for each connection; a limit that was raised holds soon', () => {
  const system = { limit: 64, free: 60 };
  const { said, guard: one, refused } = guard(system);
  for (let i = 0; i < 100; i++) one.admits(60, refused);
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /"limit":64.*file descriptors run out/);
  one.tick();
  assert.equal(said.length, 1, 'there are none yet');
  system.limit = 4096;
  one.tick();
  assert.equal(one.admits(60, refused), true);
  assert.equal(said[1], 'file descriptors are free again');
});

test('the system tells the limit, and which descriptor is free', () => {
  assert.ok(descriptors.limit() > descriptors.lowestFree() && descriptors.lowestFree() > 2);
});

test('without a limit to be read nobody is turned away', () => {
  const { guard: one, refused } = guard({ limit: Infinity, free: 5 });
  assert.equal(one.admits(1_000_000, refused), true);
});
