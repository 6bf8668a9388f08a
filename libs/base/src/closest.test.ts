import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest, editDistance } from './closest.ts';

const cases: readonly [string, string, number][] = [
  ['host', 'host', 0],
  ['hsot', 'host', 1],
  ['hots', 'host', 1],
  ['host', 'hosts', 1],
  ['htst', 'host', 1],
  ['wieght', 'weight', 1],
  ['ca', 'abc', 3],
  ['ab', '', 2],
  ['timeout', 'tmieuot', 2],
];

test('two letters that changed places are one edit, like one added, dropped or replaced', () => {
  for (const [a, b, edits] of cases) {
    assert.equal(editDistance(a, b, 10), edits, `${a} ${b}`);
    assert.equal(editDistance(b, a, 10), edits, `${b} ${a}`);
  }
});

test('no more is counted than asked for', () => {
  for (const [a, b, edits] of cases) for (let limit = 1; limit < 9; limit++) assert.equal(editDistance(a, b, limit), Math.min(edits, limit), `${a} ${b} up to ${limit}`);
});

test('a suggestion is the nearest name, and none when a third of the letters or more is wrong', () => {
  assert.equal(closest('hsot', ['port', 'host', 'hosts']), 'host');
  assert.equal(closest('wieghts', ['weight']), 'weight');
  assert.equal(closest('usbset', ['subnet', 'subset']), 'subset');
  assert.equal(closest('perTryTimeout', ['retries', 'timeout']), undefined);
  assert.equal(closest('x'.repeat(101), ['x'.repeat(101)]), undefined);
});
