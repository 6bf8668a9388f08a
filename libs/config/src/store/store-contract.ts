import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor, type Result } from '@meltemi/base';
import { keyText, type ConfigKey, type RawObject } from '../object.ts';
import type { ConfigStore, StatusEvent, StatusUpdate, StoreError, StoreEvent, WatchOptions } from './config-store.ts';

/** One implementation, running and empty under every namespace the contract uses. */
export interface StoreUnderTest {
  readonly store: ConfigStore;
  /** Forgets history up to now. */
  compact(): Promise<void>;
  /** A second client of the same data, or the same store where only one may write. */
  another(): Promise<ConfigStore>;
  stop(): Promise<void>;
}

/** What every ConfigStore must do; each implementation runs it in a test of its own. */
export function storeContract(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  void describe(`${name} keeps the store contract:`, () => {
    let under: StoreUnderTest;
    let turn = 0;
    const watches: Recorder[] = [];
    /** A namespace nobody used yet, so that the tests share one store. */
    const fresh = (): string => `contract-${(turn += 1)}`;
    const record = (options: WatchOptions, store: ConfigStore = under.store): Recorder => {
      const recorder = new Recorder(store, options);
      watches.push(recorder);
      return recorder;
    };
    before(async () => {
      under = await makeStore();
    });
    after(async () => {
      for (const watch of watches) await watch.stop();
      await under.stop();
    });

    void test('what is put can be read, and its creation time outlives updates', async () => {
      const namespace = fresh();
      const done = must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1) }]));
      const first = must(await under.store.get(keyOf(namespace, 'a')));
      assert.equal(first?.resourceVersion, done.versions[0]);
      assert.match(first?.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT/);
      assert.equal(weight(first), 1);
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 2) }]));
      const second = must(await under.store.get(keyOf(namespace, 'a')));
      assert.equal(weight(second), 2);
      assert.notEqual(second?.resourceVersion, first?.resourceVersion);
      assert.equal(second?.creationTimestamp, first?.creationTimestamp);
      assert.equal(must(await under.store.get(keyOf(namespace, 'nobody'))), undefined);
    });

    void test('what the caller does to its object later changes nothing, and what is read is frozen', async () => {
      const namespace = fresh();
      const object = route(namespace, 'a', 1);
      must(await under.store.commit([{ type: 'put', object }]));
      (object.content['spec'] as Record<string, unknown>)['weight'] = 9;
      const stored = must(await under.store.get(object.key));
      assert.equal(weight(stored), 1);
      assert.throws(() => Object.assign(stored?.object.content['spec'] as object, { weight: 3 }), TypeError);
    });

    void test('a list is sorted, filtered, and carries a version to watch from', async () => {
      const namespace = fresh();
      must(await under.store.commit(['b', 'a', 'c'].map((each) => ({ type: 'put', object: route(namespace, each, 1) }))));
      must(await under.store.commit([{ type: 'put', object: route(`${namespace}-other`, 'x', 1) }]));
      const list = must(await under.store.list({ namespace }));
      assert.deepEqual(list.objects.map(({ object }) => object.key.name), ['a', 'b', 'c']);
      assert.deepEqual(list.unreadable, []);
      assert.equal(must(await under.store.list({ kind: 'Gateway', namespace })).objects.length, 0);
      assert.equal(must(await under.store.list({ group: 'networking.istio.io', kind: 'VirtualService', namespace, name: 'b' })).objects.length, 1);
      const watch = record({ from: list.version, filter: { namespace } });
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'd', 1) }]));
      await watch.until((each) => each.type === 'put');
      assert.deepEqual(watch.story().filter((line) => line !== 'synced'), ['put d 1']);
    });

    void test('a put that must be the first refuses a second one', async () => {
      const namespace = fresh();
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1), expect: 'absent' }]));
      const refused = await under.store.commit([{ type: 'put', object: route(namespace, 'a', 2), expect: 'absent' }]);
      assert.equal(refused.ok, false);
      assert.equal(!refused.ok && refused.error.code, 'conflict');
      assert.match(refused.ok ? '' : refused.error.message, new RegExp(`${namespace}/a already exists`));
    });

    void test('a write against an old version is refused with the version that is there', async () => {
      const namespace = fresh();
      const [old = ''] = must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1) }])).versions;
      const [current = ''] = must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 2), expect: { version: old } }])).versions;
      for (const write of [
        { type: 'put', object: route(namespace, 'a', 3), expect: { version: old } },
        { type: 'delete', key: keyOf(namespace, 'a'), expect: { version: old } },
      ] as const) {
        const refused = await under.store.commit([write]);
        assert.deepEqual(!refused.ok && refused.error.code === 'conflict' && refused.error.conflicts.map((each) => each.actual), [current]);
      }
      must(await under.store.commit([{ type: 'delete', key: keyOf(namespace, 'a'), expect: { version: current } }]));
      const gone = await under.store.commit([{ type: 'put', object: route(namespace, 'a', 4), expect: { version: current } }]);
      assert.match(gone.ok ? '' : gone.error.message, /is gone/);
    });

    void test('a commit is all or nothing', async () => {
      const namespace = fresh();
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1) }]));
      const watch = record({ filter: { namespace } });
      await watch.until((each) => each.type === 'synced');
      const refused = await under.store.commit([
        { type: 'put', object: route(namespace, 'b', 1) },
        { type: 'put', object: route(namespace, 'a', 2), expect: 'absent' },
        { type: 'delete', key: keyOf(namespace, 'a') },
      ]);
      assert.equal(refused.ok, false);
      const done = must(
        await under.store.commit([
          { type: 'put', object: route(namespace, 'c', 1) },
          { type: 'delete', key: keyOf(namespace, 'a') },
        ]),
      );
      assert.equal(done.versions[1], undefined);
      await watch.until((each) => each.type === 'delete');
      assert.deepEqual(watch.story(), ['put a 1', 'synced', 'put c 1', 'delete a (was 1)']);
      const [, , put, gone] = watch.events;
      assert.equal(put?.type === 'put' && put.lastOfCommit, false);
      assert.equal(gone?.type === 'delete' && gone.lastOfCommit, true);
      assert.equal(gone?.type === 'delete' && gone.version, done.storeVersion);
    });

    void test('deleting what is not there changes nothing and succeeds', async () => {
      const done = must(await under.store.commit([{ type: 'delete', key: keyOf(fresh(), 'a') }]));
      assert.deepEqual(done.versions, [undefined]);
    });

    void test('a commit that names a key twice, or one that makes no sense, is refused', async () => {
      const namespace = fresh();
      const twice = await under.store.commit([
        { type: 'put', object: route(namespace, 'a', 1) },
        { type: 'delete', key: keyOf(namespace, 'a') },
      ]);
      assert.match(twice.ok ? '' : twice.error.message, /appears twice/);
      const slash = await under.store.commit([{ type: 'put', object: route(namespace, 'a/b', 1) }]);
      assert.equal(!slash.ok && slash.error.code, 'invalid');
    });

    void test('what is too large is refused by the name of its limit', async () => {
      const namespace = fresh();
      const { limits } = under.store;
      const big = await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1, 'x'.repeat(limits.maxObjectBytes)) }]);
      assert.match(big.ok ? '' : big.error.message, new RegExp(`an object may have ${limits.maxObjectBytes}`));
      const many = Array.from({ length: limits.maxCommitObjects + 1 }, (_, index) => ({ type: 'put', object: route(namespace, `n${index}`, 1) }) as const);
      const crowd = await under.store.commit(many);
      assert.match(crowd.ok ? '' : crowd.error.message, new RegExp(`at most ${limits.maxCommitObjects} objects`));
      const half = 'x'.repeat(Math.floor(limits.maxCommitBytes * 0.6));
      const heavy = await under.store.commit([
        { type: 'put', object: route(namespace, 'a', 1, half) },
        { type: 'put', object: route(namespace, 'b', 1, half) },
      ]);
      assert.match(heavy.ok ? '' : heavy.error.message, new RegExp(`one commit may have ${limits.maxCommitBytes}`));
      must(await under.store.commit(many.slice(0, limits.maxCommitObjects)));
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'large', 1, 'x'.repeat(limits.maxObjectBytes - 1000)) }]));
    });

    void test('a watch tells what is there, says so, and then every change in order', async () => {
      const namespace = fresh();
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1) }]));
      const watch = record({ filter: { namespace } });
      const other = record({ filter: { namespace } }, await under.another());
      await watch.until((each) => each.type === 'synced');
      await other.until((each) => each.type === 'synced');
      for (let n = 2; n <= 40; n += 1) must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', n) }]));
      must(await under.store.commit([{ type: 'delete', key: keyOf(namespace, 'a') }]));
      const expected = ['put a 1', 'synced', ...Array.from({ length: 39 }, (_, index) => `put a ${index + 2} (was ${index + 1})`), 'delete a (was 40)'];
      for (const each of [watch, other]) {
        await each.until((event) => event.type === 'delete');
        assert.deepEqual(each.story(), expected);
      }
    });

    void test('a watch resumes after the version it names: nothing lost, nothing twice', async () => {
      const namespace = fresh();
      const versions: string[] = [];
      for (let n = 1; n <= 6; n += 1) versions.push(must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', n) }])).storeVersion);
      const watch = record({ from: versions[2] ?? '', filter: { namespace } });
      await watch.until((each) => each.type === 'synced');
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 7) }]));
      await watch.until((each) => each.type === 'put' && weight(each.object) === 7);
      assert.deepEqual(watch.story().map((line) => line.replace(/ \(.*/, '')), ['put a 4', 'put a 5', 'put a 6', 'synced', 'put a 7']);
    });

    void test('a resume from before the compaction starts over with everything', async () => {
      const namespace = fresh();
      const { storeVersion } = must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1) }]));
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 2) }]));
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'b', 1) }]));
      await under.compact();
      for (const from of [storeVersion, 'not-ours', '999999999999']) {
        const watch = record({ from, filter: { namespace } });
        await watch.until((each) => each.type === 'synced');
        must(await under.store.commit([{ type: 'put', object: route(namespace, 'b', 2) }]));
        await watch.until((each) => each.type === 'put');
        const [resync] = watch.events;
        assert.deepEqual(resync?.type === 'resync' && resync.objects.map((each) => each.object.key.name), ['a', 'b']);
        assert.deepEqual(watch.events.map((each) => each.type), ['resync', 'synced', 'put']);
      }
    });

    void test('a compaction does not disturb a watch that is up to date', async () => {
      const namespace = fresh();
      const watch = record({ filter: { namespace } });
      await watch.until((each) => each.type === 'synced');
      for (let n = 1; n <= 5; n += 1) {
        must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', n) }]));
        await watch.until((each) => each.type === 'put' && weight(each.object) === n);
        await under.compact();
      }
      assert.equal(watch.story().length, 6);
    });

    void test('a consumer that is slow loses nothing', async () => {
      const namespace = fresh();
      const abort = new AbortController();
      const iterator = under.store.watch({ filter: { namespace } }, abort.signal)[Symbol.asyncIterator]();
      assert.equal((await iterator.next()).value?.type, 'synced');
      for (let n = 1; n <= 30; n += 1) must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', n) }]));
      for (let n = 1; n <= 30; n += 1) {
        const { value } = await iterator.next();
        assert.equal(value?.type === 'put' && weight(value.object), n);
      }
      abort.abort();
      assert.equal((await iterator.next()).done, true);
    });

    void test('a watch ends when its signal aborts, also before it began', async () => {
      const watch = record({ filter: { namespace: fresh() } });
      await watch.until((each) => each.type === 'synced');
      await watch.stop();
      assert.equal(watch.ended, true);
      const ended: StoreEvent[] = [];
      for await (const event of under.store.watch({}, AbortSignal.abort())) ended.push(event);
      assert.deepEqual(ended, []);
    });

    void test('writers that race lose no update, and a watch sees each one once', async () => {
      const namespace = fresh();
      const watch = record({ filter: { namespace } });
      await watch.until((each) => each.type === 'synced');
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'counter', 0) }]));
      const stores = [under.store, await under.another(), under.store];
      await Promise.all(stores.map((store) => increment(store, keyOf(namespace, 'counter'), 8)));
      await watch.until((each) => each.type === 'put' && weight(each.object) === 24);
      assert.deepEqual(watch.events.flatMap((each) => (each.type === 'put' ? [weight(each.object)] : [])), Array.from({ length: 25 }, (_, n) => n));
    });

    void test('a status whose removal is asked for unless its object is stored stays with the object, and goes without it', async () => {
      const [namespace, status] = [fresh(), under.store.status];
      const [a, b] = [keyOf(namespace, 'a'), keyOf(namespace, 'b')];
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1) }]));
      must(await status.write([a, b].map((key) => ({ key, record: { status: { state: 'good' } } }))));
      const remove = (): StatusUpdate[] => [a, b].map((key) => ({ key, record: undefined, unlessStored: true }));
      must(await status.write(remove()));
      assert.deepEqual([must(await status.get(a)), must(await status.get(b))], [{ status: { state: 'good' } }, undefined]);
      must(await under.store.commit([{ type: 'delete', key: a }]));
      must(await status.write(remove()));
      assert.equal(must(await status.get(a)), undefined);
    });

    void test('status lives beside the object and does not touch its version', async () => {
      const namespace = fresh();
      const key = keyOf(namespace, 'a');
      must(await under.store.commit([{ type: 'put', object: route(namespace, 'a', 1) }]));
      const before = must(await under.store.get(key));
      const watch = record({ filter: { namespace } });
      const statuses: StatusEvent[] = [];
      const abort = new AbortController();
      const pump = (async () => {
        for await (const event of under.store.status.watch(abort.signal)) if (event.type === 'synced' || event.key.namespace === namespace) statuses.push(event);
      })();
      await waitFor('the status watch to sync', () => statuses.length === 1);
      const record1 = { status: { state: 'quarantined', reason: 'no host' }, lastGood: route(namespace, 'a', 0) };
      must(await under.store.status.write([{ key, record: record1 }]));
      must(await under.store.status.write([{ key, record: record1 }]));
      assert.deepEqual(must(await under.store.status.get(key)), record1);
      assert.deepEqual(must(await under.store.status.list()).filter((each) => each.key.namespace === namespace), [{ key, record: record1 }]);
      must(await under.store.status.write([{ key, record: undefined }, { key: keyOf(namespace, 'b'), record: { status: {} } }]));
      assert.equal(must(await under.store.status.get(key)), undefined);
      await waitFor('the status events', () => statuses.length === 4);
      assert.deepEqual(statuses.map((each) => each.type), ['synced', 'put', 'delete', 'put']);
      assert.equal(must(await under.store.get(key))?.resourceVersion, before?.resourceVersion);
      await watch.until((each) => each.type === 'synced');
      assert.deepEqual(watch.story(), ['put a 1', 'synced']);
      abort.abort();
      await pump;
    });
  });

  void test(`${name} ends its watches when closed, and says so to later calls`, async () => {
    const under = await makeStore();
    const watch = new Recorder(under.store, { filter: { namespace: 'closing' } });
    await watch.until((each) => each.type === 'synced');
    await under.store.close();
    await waitFor('the watch to end', () => watch.ended);
    const late = await under.store.commit([{ type: 'put', object: route('closing', 'a', 1) }]);
    assert.equal(!late.ok && late.error.code, 'closed');
    const read = await under.store.get(keyOf('closing', 'a'));
    assert.equal(!read.ok && read.error.code, 'closed');
    await under.stop();
  });
}

/** Follows a watch and keeps what it said. */
export class Recorder {
  readonly events: StoreEvent[] = [];
  ended = false;
  readonly #abort = new AbortController();
  readonly #pump: Promise<void>;

  constructor(store: ConfigStore, options: WatchOptions) {
    this.#pump = this.#run(store.watch(options, this.#abort.signal));
  }

  /** Resolves with the first event that `wanted` accepts. */
  until(wanted: (event: StoreEvent) => boolean, deadlineMs = 15_000): Promise<StoreEvent> {
    return waitFor(`an event; so far: ${this.story().slice(-5).join(', ')}`, () => this.events.find(wanted), { deadlineMs });
  }

  /** "put a 2 (was 1)", "delete a (was 2)", "synced": one line per event. */
  story(): string[] {
    return this.events.map((event) => {
      if (event.type !== 'put' && event.type !== 'delete') return event.type;
      const was = event.previous === undefined ? '' : ` (was ${weight(event.previous)})`;
      return event.type === 'put' ? `put ${event.object.object.key.name} ${weight(event.object)}${was}` : `delete ${event.key.name}${was}`;
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#pump;
  }

  async #run(events: AsyncIterable<StoreEvent>): Promise<void> {
    for await (const event of events) this.events.push(event);
    this.ended = true;
  }
}

/** A VirtualService-shaped object whose spec.weight is `n`; `ballast` makes it heavy. */
export function route(namespace: string, name: string, n: number, ballast = ''): RawObject {
  const key = keyOf(namespace, name);
  const apiVersion = 'networking.istio.io/v1';
  return { key, apiVersion, content: { apiVersion, kind: key.kind, metadata: { name, namespace }, spec: { weight: n, ballast } } };
}

export function keyOf(namespace: string, name: string): ConfigKey {
  return { group: 'networking.istio.io', kind: 'VirtualService', namespace, name };
}

/** What `route` put into spec.weight. */
export function weight(stored: { readonly object: RawObject } | undefined): number {
  const spec = stored?.object.content['spec'] as { weight?: number } | undefined;
  return spec?.weight ?? -1;
}

/** The value, or a failed test that says the reason. */
export function must<T>(result: Result<T, StoreError>): T {
  if (!result.ok) assert.fail(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

async function increment(store: ConfigStore, key: ConfigKey, times: number): Promise<void> {
  for (let done = 0; done < times; ) {
    const stored = must(await store.get(key));
    assert.ok(stored, `${keyText(key)} is there`);
    const result = await store.commit([{ type: 'put', object: route(key.namespace, key.name, weight(stored) + 1), expect: { version: stored.resourceVersion } }]);
    if (result.ok) done += 1;
    else assert.equal(result.error.code, 'conflict');
  }
}
