import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DrainPace } from './drain-pace.ts';

test('gradual: the share of responses that ask to leave grows with the time, to all of them at the end', () => {
  const pace = new DrainPace('gradual', 1000, 8000);
  assert.deepEqual([1000, 3000, 5000, 9000, 20_000].map((now) => pace.share(now)), [0, 0.25, 0.5, 1, 1]);
  assert.deepEqual([1000, 3000, 20_000].map((now) => pace.leftMs(now)), [8000, 6000, 0]);
});

test('immediate, or no drain time: every response asks to leave from the start', () => {
  assert.equal(new DrainPace('immediate', 1000, 8000).share(1000), 1);
  assert.equal(new DrainPace('gradual', 1000, 0).share(1000), 1);
});
