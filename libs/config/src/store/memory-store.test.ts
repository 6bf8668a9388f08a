import assert from 'node:assert/strict';
import { test } from 'node:test';
import { err, ManualClock, ok } from '@meltemi/base';
import { memoryConfigStore } from './memory-store.ts';
import { maxQueuedWrites, RevisionStore } from './revision-store.ts';
import { keyOf, must, Recorder, route, storeContract, weight } from './store-contract.ts';

storeContract('the memory store', async () => {
  const store = memoryConfigStore({ clock: new ManualClock(1_700_000_000_000) });
  return { store, compact: async () => store.compact(), another: async () => store, stop: () => store.close() };
});

test('a watch that falls out of the history gets the difference, once', async () => {
  const store = memoryConfigStore({ clock: new ManualClock(), maxHistory: 3 });
  must(await store.commit([{ type: 'put', object: route('n', 'gone', 1) }]));
  const abort = new AbortController();
  const watch = store.watch({}, abort.signal)[Symbol.asyncIterator]();
  assert.equal((await watch.next()).value?.type, 'put');
  assert.equal((await watch.next()).value?.type, 'synced');
  must(await store.commit([{ type: 'delete', key: keyOf('n', 'gone') }]));
  for (let n = 1; n <= 9; n += 1) must(await store.commit([{ type: 'put', object: route('n', 'a', n) }]));
  const gone = (await watch.next()).value;
  assert.equal(gone?.type === 'delete' && gone.key.name, 'gone');
  const put = (await watch.next()).value;
  assert.equal(put?.type === 'put' && weight(put.object), 9);
  must(await store.commit([{ type: 'put', object: route('n', 'a', 10) }]));
  const next = (await watch.next()).value;
  assert.equal(next?.type === 'put' && weight(next.object), 10);
  abort.abort();
});

test('creation time is the clock of the first write, not what the writer claims', async () => {
  const clock = new ManualClock(Date.UTC(2026, 0, 2));
  const store = memoryConfigStore({ clock });
  const claimed = route('n', 'a', 1);
  const content = { ...claimed.content, metadata: { name: 'a', namespace: 'n', creationTimestamp: '1999-01-01T00:00:00Z' } };
  must(await store.commit([{ type: 'put', object: { ...claimed, content } }]));
  clock.advance(60_000);
  must(await store.commit([{ type: 'put', object: { ...claimed, content } }]));
  const stored = must(await store.get(keyOf('n', 'a')));
  assert.equal(stored?.creationTimestamp, '2026-01-02T00:00:00.000Z');
  assert.deepEqual(stored?.object.content['metadata'], { name: 'a', namespace: 'n', creationTimestamp: '2026-01-02T00:00:00.000Z' });
});

test('a filtered watch keeps commit boundaries among the events it shows', async () => {
  const store = memoryConfigStore({ clock: new ManualClock() });
  const watch = new Recorder(store, { filter: { namespace: 'mine' } });
  await watch.until((each) => each.type === 'synced');
  must(
    await store.commit([
      { type: 'put', object: route('mine', 'a', 1) },
      { type: 'put', object: route('theirs', 'b', 1) },
    ]),
  );
  const put = await watch.until((each) => each.type === 'put');
  assert.equal(put.type === 'put' && put.lastOfCommit, true);
  await watch.stop();
});

test('writes that wait for a slow journal are refused beyond a limit, and all before it happen', async () => {
  let release = (): void => undefined;
  const slow = new Promise<void>((resolve) => {
    release = resolve;
  });
  const store = new RevisionStore({ clock: new ManualClock(), journal: { append: () => slow.then(() => ok(undefined)), close: async () => undefined } });
  const waiting = Array.from({ length: maxQueuedWrites }, (_, n) => store.commit([{ type: 'put', object: route('n', 'a', n) }]));
  const refused = await store.commit([{ type: 'put', object: route('n', 'a', -1) }]);
  assert.match(refused.ok ? '' : refused.error.message, /1000 writes are waiting already/);
  release();
  for (const each of waiting) must(await each);
  assert.equal(weight(must(await store.get(keyOf('n', 'a')))), maxQueuedWrites - 1);
});

test('a step that could not be made durable did not happen', async () => {
  const store = new RevisionStore({
    clock: new ManualClock(),
    journal: { append: async () => err({ code: 'unavailable', message: 'disk full', outcomeUnknown: false }), close: async () => undefined },
  });
  const refused = await store.commit([{ type: 'put', object: route('n', 'a', 1) }]);
  assert.equal(!refused.ok && refused.error.message, 'disk full');
  assert.deepEqual(must(await store.list()), { objects: [], unreadable: [], version: '0' });
});
