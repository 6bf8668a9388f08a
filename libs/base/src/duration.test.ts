import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, parseDurationMs } from './duration.ts';

test('durations read as Go and proto3 JSON write them', () => {
  for (const [text, ms] of [['1.5s', 1500], ['100ms', 100], ['1h30m', 5_400_000], ['0', 0], ['-2s', -2000], ['.5s', 500], ['3.000000001s', 3000.000001]] as const)
    assert.deepEqual(parseDurationMs(text), { ok: true, value: ms }, text);
});

test('a duration without a unit, or with an unknown one, is refused with examples', () => {
  for (const text of ['', '5', '1.5', 's', '1d', '1s ', '1 s', '--1s']) {
    const result = parseDurationMs(text);
    assert.equal(result.ok, false, text);
    assert.match(result.ok ? '' : (result.error[0]?.message ?? ''), /500ms/);
  }
});

test('milliseconds are written as proto3 JSON seconds', () => {
  assert.equal(formatDuration(1500), '1.5s');
  assert.equal(formatDuration(0), '0s');
  assert.equal(formatDuration(25), '0.025s');
});
