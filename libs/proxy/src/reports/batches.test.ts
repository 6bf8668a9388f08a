import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { Batches } from './batches.ts';

function gathering() {
  const clock = new ManualClock();
  const sent: string[] = [];
  const overs: (() => void)[] = [];
  let timers = 0;
  const batches = new Batches<string>({
    maxHeld: 5, maxItems: 3, maxBytes: 10, sizeOf: (item) => item.length, flushMs: 100, clock, onTimer: () => (timers += 1),
    send: (batch, over) => {
      sent.push(batch.join());
      overs.push(over);
    },
  });
  return { clock, sent, overs, batches, timers: () => timers };
}

test('a batch goes when it has enough items, enough bytes, or waited long enough', () => {
  const { clock, sent, batches, timers } = gathering();
  for (const item of ['a', 'b', 'c']) batches.add(item);
  assert.deepEqual(sent, ['a,b,c']);
  batches.add('0123456789');
  assert.deepEqual(sent, ['a,b,c', '0123456789']);
  clock.advance(100);
  assert.equal(timers(), 0, 'the time of a batch that is gone');
  batches.add('d');
  clock.advance(99);
  assert.equal(sent.length, 2);
  clock.advance(1);
  assert.deepEqual([sent[2], timers()], ['d', 1]);
});

test('what is under way counts against the bound until it is over', () => {
  const { overs, batches } = gathering();
  for (const item of ['a', 'b', 'c', 'd', 'e']) batches.add(item);
  assert.equal(batches.full, true);
  overs[0]?.();
  assert.equal(batches.full, false);
});

test('finished sends what waits, and resolves when everything is over', async () => {
  const { sent, overs, batches } = gathering();
  await batches.finished();
  batches.add('a');
  let finished = false;
  const end = batches.finished().then(() => (finished = true));
  assert.deepEqual(sent, ['a']);
  await Promise.resolve();
  assert.equal(finished, false);
  overs[0]?.();
  await end;
});
