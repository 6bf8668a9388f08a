import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { ManualClock, waitFor } from '@meltemi/base';
import { memoryConfigStore } from './memory-store.ts';
import { statusLeasedValues } from './status-leased-values.ts';

function setUp() {
  const clock = new ManualClock();
  const store = memoryConfigStore({ clock });
  const failures: string[] = [];
  const open = () => statusLeasedValues({ status: store.status, kind: 'Thing', clock, leaseMs: 10_000, onFailure: (reason) => void failures.push(reason) });
  const kept = async () => {
    const listed = await store.status.list();
    return listed.ok ? listed.value.map(({ key }) => `${key.namespace}/${key.name}`).toSorted() : [];
  };
  return { failures, open, kept };
}

test('a value that the store does not take is named, and keeps no other from being kept', async () => {
  const { failures, open, kept } = setUp();
  const values = open();
  values.hold('ns/one', '1');
  values.hold('ns/bad name', '1');
  values.hold('ns/huge', 'x'.repeat(2_000_000));
  values.hold('ns/two', '2');
  await values.close();
  assert.deepEqual(await kept(), ['ns/one', 'ns/two']);
  assert.equal(failures.length, 2);
  assert.match(failures.join('\n'), /bad name[^]*huge/);
});

test('a watch leaves nothing on its signal, however many values come', async () => {
  const values = setUp().open();
  const ended = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const event of values.watch(ended.signal)) seen.push(event.type === 'synced' ? event.type : `${event.type} ${event.name}`);
  })();
  await waitFor('the start', () => seen.length === 1);
  for (let n = 0; n < 20; n += 1) {
    values.hold('ns/one', String(n));
    await waitFor('the value', () => seen.length === n + 2);
  }
  assert.equal(getEventListeners(ended.signal, 'abort').length, 1);
  ended.abort();
  await reading;
  assert.equal(getEventListeners(ended.signal, 'abort').length, 0);
});
