import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@meltemi/base';
import { renewalTime, retryDelayMs } from './renewal.ts';

const day = 86_400_000;

test('renews at half of the life, within one percent, and not all at the same moment', () => {
  const random = seededRandom(1);
  const times = Array.from({ length: 200 }, () => renewalTime({ issuedAt: 1000, notAfter: 1000 + day }, random) - 1000);
  assert.ok(times.every((time) => time >= day * 0.49 && time <= day * 0.51));
  assert.ok(new Set(times).size > 190);
});

test('a certificate that is over is renewed at once', () => {
  assert.equal(renewalTime({ issuedAt: 5000, notAfter: 4000 }, seededRandom(1)), 5000);
});

test('retries double up to 3 s while citadel is silent and 15 s when it refuses', () => {
  const longest = { next: () => 1 };
  const delays = (refused: boolean): number[] => [1, 2, 3, 4, 5, 6, 7, 50].map((count) => retryDelayMs({ count, refused, remainingMs: 0 }, longest));
  assert.deepEqual(delays(false), [250, 500, 1000, 2000, 3000, 3000, 3000, 3000]);
  assert.deepEqual(delays(true), [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
  assert.equal(retryDelayMs({ count: 5, refused: false, remainingMs: 0 }, { next: () => 0 }), 1500);
});

test('a short-lived certificate gets several attempts before its end', () => {
  assert.equal(retryDelayMs({ count: 20, refused: false, remainingMs: 8000 }, { next: () => 1 }), 1000);
  assert.equal(retryDelayMs({ count: 20, refused: false, remainingMs: 80 }, { next: () => 1 }), 250);
});
