import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateByKey, TokenBucket } from './token-bucket.ts';

test('a burst is let through, then so many a second; the wait it names is the right one', () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0);
  assert.deepEqual([0, 0, 0, 0].map((now) => bucket.take(now)), [0, 0, 0, 100]);
  assert.equal(bucket.take(99) > 0, true);
  assert.equal(bucket.take(100), 0);
  assert.equal(bucket.spend(5, 100), 500);
  assert.equal(bucket.take(599) > 0, true);
  assert.equal(bucket.full(10_000), true);
});

test('keys do not take from each other, and no more of them are remembered than may be', () => {
  const rates = new RateByKey({ perSecond: 1, burst: 1 }, 100);
  assert.equal(rates.take('greedy', 0), 0);
  assert.equal(rates.take('greedy', 0), 1000);
  assert.equal(rates.take('honest', 0), 0);
  for (let n = 0; n < 10_000; n += 1) rates.take(`k${n}`, 0);
  assert.equal(rates.take('k9999', 0) > 0, true);
  assert.equal(rates.take('greedy', 0), 0, 'long forgotten');
});
