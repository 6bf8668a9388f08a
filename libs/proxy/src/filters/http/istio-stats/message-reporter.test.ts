import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import type { StreamControls } from '../../../filter.ts';
import { MessageReporter } from './message-reporter.ts';

test('calls that follow one another share one timer, and there is none when a whole interval had no call', () => {
  let armed = 0;
  const clock = new (class extends ManualClock {
    override after(delayMs: number, task: () => void): () => void {
      armed++;
      return super.after(delayMs, task);
    }
  })();
  const reporter = new MessageReporter({ complete: () => {}, messageHandles: () => null }, clock, 5000);
  const call = () => reporter.stream({ info: {} } as StreamControls).destroy({ info: {} } as StreamControls);
  for (let i = 0; i < 10; i++) call();
  assert.equal(armed, 1);
  clock.advance(60_000);
  assert.equal(armed, 1);
  call();
  assert.equal(armed, 2);
});
