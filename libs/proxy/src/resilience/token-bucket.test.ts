import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { localCell } from '../shared-cell.ts';
import { TokenBucket } from './token-bucket.ts';

const start = 1_790_000_000_000;

test('a full bucket, then one token each part of the interval', () => {
  const bucket = new TokenBucket({ maxTokens: 3, tokensPerFill: 2, fillIntervalMs: 100 }, localCell());
  assert.deepEqual([bucket.take(start), bucket.take(start), bucket.take(start), bucket.take(start)], [true, true, true, false]);
  assert.deepEqual([bucket.remaining(start), bucket.msToNext(start)], [0, 50]);
  assert.deepEqual([bucket.take(start + 49), bucket.take(start + 50), bucket.take(start + 50)], [false, true, false]);
  assert.equal(bucket.remaining(start + 10_000), 3);
});

test('a clock that is set back stops the flow only until the next token', () => {
  const bucket = new TokenBucket({ maxTokens: 2, tokensPerFill: 1, fillIntervalMs: 100 }, localCell());
  bucket.take(start);
  assert.equal(bucket.take(start - 5000), false);
  assert.equal(bucket.take(start - 4900), true);
});

test('never more passes than the bucket and its refill hold, nor much less', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 }), fc.integer({ min: 50, max: 5000 }), fc.array(fc.nat(200), { minLength: 1, maxLength: 200 }), (maxTokens, tokensPerFill, fillIntervalMs, gaps) => {
    const bucket = new TokenBucket({ maxTokens, tokensPerFill, fillIntervalMs }, localCell());
    let now = start;
    let passed = 0;
    for (const gap of gaps) {
      now += gap;
      if (bucket.take(now)) passed++;
    }
    const most = maxTokens + ((now - start) * tokensPerFill) / fillIntervalMs;
    assert.ok(passed <= most + 0.1, `${passed} of ${most}`);
    assert.ok(passed >= Math.min(gaps.length, maxTokens));
  }));
});
