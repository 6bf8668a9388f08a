import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { Debounce } from './debounce.ts';

test('a burst becomes one run, a quiet time after its last event, with every reason once', () => {
  const clock = new ManualClock();
  const runs: (readonly string[])[] = [];
  const debounce = new Debounce({ clock, quietMs: 100, maxMs: 1000, task: (reasons) => runs.push(reasons) });
  debounce.event('a');
  clock.advance(60);
  debounce.event('b');
  debounce.event('a');
  clock.advance(99);
  assert.deepEqual(runs, []);
  clock.advance(1);
  assert.deepEqual(runs, [['a', 'b']]);
});

test('events that never pause still run after the maximum', () => {
  const clock = new ManualClock();
  let runs = 0;
  const debounce = new Debounce({ clock, quietMs: 100, maxMs: 300, task: () => { runs += 1; } });
  for (let i = 0; i < 10; i++) {
    debounce.event('x');
    clock.advance(50);
  }
  assert.equal(runs, 1);
});
