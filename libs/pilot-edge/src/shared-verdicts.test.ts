import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { systemClock, waitFor } from '@meltemi/base';
import { decode, keyText, memoryConfigStore, type Config, type ConfigKey, type ConfigSource, type ConfigStore, type RawObject } from '@meltemi/config';
import { ConfigCache } from './config-cache.ts';

const key: ConfigKey = { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'a' };

function rule(host: string): RawObject {
  const content = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'a', namespace: 'default' }, spec: { hosts: ['a'], http: [{ route: [{ destination: { host } }] }] } };
  return { key, apiVersion: content.apiVersion, content };
}

/** A pilot's cache over a store that it has not alone. */
class Pilot {
  readonly heard: string[] = [];
  readonly changed: string[] = [];
  readonly cache: ConfigCache;

  constructor(store: ConfigStore, sources: readonly ConfigSource[]) {
    this.cache = new ConfigCache({ store, storeName: 'memory', sources, log: { info() {}, warn() {} }, clock: systemClock, onChange: (changes) => void this.changed.push(...changes.map(({ type, entry }) => `${type} ${keyText(entry.key)}`)), onFailure: (cause) => { throw cause; }, onRefusedElsewhere: (objects) => void this.heard.push(...objects) });
  }

  static async start(store: ConfigStore, sources: readonly ConfigSource[] = []): Promise<Pilot> {
    const pilot = new Pilot(store, sources);
    await pilot.cache.start();
    return pilot;
  }

  /** Waits for the version; its proxies took it. */
  async takes(host: string): Promise<void> {
    this.cache.confirm(new Map([[keyText(key), await this.newest(host)]]), { asked: true });
  }

  async refuses(host: string): Promise<void> {
    this.cache.refuse(await this.newest(host), [{ path: '', message: 'no' }]);
  }

  /** Waits until somebody's proxies are known to have taken the newest version. */
  learns(): Promise<boolean> {
    return waitFor('the newest version to be taken', () => !this.cache.unproven().has(keyText(key)));
  }

  async newest(host: string): Promise<Config> {
    await waitFor(`${host} to be there`, () => hostOf(this.cache.get(key)?.config) === host);
    const config = this.cache.get(key)?.config;
    assert.ok(config);
    return config;
  }

  /** `lastGood`: what there is to go back to from the newest version. */
  holds(lastGood: string | undefined, refused: boolean): Promise<boolean> {
    return waitFor(`${lastGood} to be good before the newest, and the newest ${refused ? 'refused' : 'not refused'}`, () => hostOf(this.cache.lastGood(key)) === lastGood && this.cache.refused().has(keyText(key)) === refused);
  }
}

function hostOf(config: Config | undefined): string | undefined {
  return (config?.spec as { http: { route: { destination: { host: string } }[] }[] } | undefined)?.http[0]?.route[0]?.destination.host;
}

async function put(store: ConfigStore, host: string): Promise<void> {
  assert.ok(decode(rule(host)).ok);
  assert.ok((await store.commit([{ type: 'put', object: rule(host) }])).ok);
}

async function kept(store: ConfigStore): Promise<{ readonly refused: boolean; readonly lastGood: string | undefined }> {
  const record = await store.status.get(key);
  assert.ok(record.ok);
  const raw = record.value?.lastGood;
  const decoded = raw && decode(raw);
  return { refused: record.value?.status['refused'] !== undefined, lastGood: decoded?.ok ? hostOf(decoded.value.config) : undefined };
}

/** Two pilots whose proxies all took `good`. */
async function setUp() {
  const store = memoryConfigStore({ clock: systemClock });
  const [a, b] = [await Pilot.start(store), await Pilot.start(store)];
  await put(store, 'good');
  await Promise.all([a.takes('good'), b.takes('good')]);
  return { store, a, b, stop: () => Promise.all([a.cache.stop(), b.cache.stop()]) };
}

test('what a proxy of one pilot refuses is set aside at the others, whose proxies took it, and the version before is the last good one of all', async () => {
  const { store, a, b, stop } = await setUp();
  await put(store, 'bad');
  await b.takes('bad');
  await a.newest('bad');
  await a.learns();
  assert.equal(hostOf(a.cache.lastGood(key)), 'good', 'while it is found out whom a refusal is about, there is a version to go back to');
  await a.refuses('bad');
  await Promise.all([a.holds('good', true), b.holds('good', true)]);
  assert.deepEqual([b.heard, a.heard], [[keyText(key)], []]);
  await waitFor('it to be kept', async () => { const now = await kept(store); return now.refused && now.lastGood === 'good'; });
  const late = await Pilot.start(store);
  await late.holds('good', true);
  await Promise.all([stop(), late.cache.stop()]);
});

test('a pilot that did not know yet does not take a refusal back by writing what its proxies took', async () => {
  const { store, a, b, stop } = await setUp();
  await put(store, 'bad');
  await a.refuses('bad');
  await b.takes('bad');
  await Promise.all([a.holds('good', true), b.holds('good', true)]);
  await waitFor('it to be kept', async () => { const now = await kept(store); return now.refused && now.lastGood === 'good'; });
  await stop();
});

test('a pilot that has started since has the version before from one that knows it still', async () => {
  const { store, a, b, stop } = await setUp();
  await put(store, 'bad');
  await b.takes('bad');
  await waitFor('it to be kept', async () => (await kept(store)).lastGood === 'bad');
  await a.cache.stop();
  const again = await Pilot.start(store);
  await again.holds(undefined, false);
  await again.refuses('bad');
  await Promise.all([again.holds('good', true), b.holds('good', true)]);
  assert.deepEqual(again.heard, [keyText(key)], 'there is something to put in force');
  await Promise.all([stop(), again.cache.stop()]);
});

test('a refused object comes back everywhere when it changes, and the same version is refused anew', async () => {
  const { store, a, b, stop } = await setUp();
  for (let turn = 0; turn < 2; turn += 1) {
    await put(store, 'bad');
    await a.refuses('bad');
    await b.holds('good', true);
    await put(store, 'better');
    await Promise.all([a.takes('better'), b.takes('better')]);
    await Promise.all([a.holds('good', false), b.holds('good', false)]);
    await put(store, 'good');
    await Promise.all([a.takes('good'), b.takes('good')]);
  }
  await put(store, 'gone');
  await b.newest('gone');
  await a.refuses('gone');
  await b.holds('good', true);
  assert.ok((await store.commit([{ type: 'delete', key }])).ok);
  await waitFor('the record to go with its object', async () => { const record = await store.status.get(key); return record.ok && record.value === undefined; });
  await Promise.all([a.holds(undefined, false), b.holds(undefined, false)]);
  await stop();
});

for (const before of ['good', undefined]) test(`a pilot whose reading of objects lags learns of a refusal before it sees the version${before ? '' : ', which is the first there is'}`, async () => {
  const store = memoryConfigStore({ clock: systemClock });
  if (before) await put(store, before);
  const a = await Pilot.start(store);
  if (before) await a.takes(before);
  const held = Promise.withResolvers<void>();
  const late = await Pilot.start(lagging(store, held.promise));
  await put(store, 'bad');
  await a.refuses('bad');
  await waitFor('it to be kept', async () => (await kept(store)).refused);
  held.resolve();
  await late.newest('bad');
  await late.holds(before, true);
  await Promise.all([a.cache.stop(), late.cache.stop()]);
});

test('two pilots that read different versions of an object, both refused, do not write its record back and forth', async () => {
  const store = memoryConfigStore({ clock: systemClock });
  let writes = 0;
  const status: ConfigStore['status'] = { get: (one) => store.status.get(one), list: () => store.status.list(), watch: (signal) => store.status.watch(signal), write: async (updates) => { writes += 1; await setImmediate(); return store.status.write(updates); } };
  const read = (host: string): ConfigSource => ({ name: 'files', watch: async function* (signal) {
    yield { type: 'put', object: rule(host), location: { file: 'a.yaml', line: 1 } };
    yield { type: 'synced' };
    if (!signal.aborted) await once(signal, 'abort');
  } });
  const [a, b] = [await Pilot.start({ ...storeOf(store), status }, [read('old')]), await Pilot.start({ ...storeOf(store), status }, [read('new')])];
  await a.refuses('old');
  await waitFor('it to be kept', async () => (await kept(store)).refused);
  await b.refuses('new');
  for (let turn = 0; turn < 100; turn += 1) await setImmediate();
  assert.ok(writes <= 3, `${writes} writes`);
  await Promise.all([a.cache.stop(), b.cache.stop()]);
});

test('a refusal that is still being written when the next version comes does not condemn the version refused, applied again later', async () => {
  const store = memoryConfigStore({ clock: systemClock });
  let held: Promise<void> = Promise.resolve();
  const status: ConfigStore['status'] = { get: (one) => store.status.get(one), list: () => store.status.list(), watch: (signal) => store.status.watch(signal), write: (updates) => held.then(() => store.status.write(updates)) };
  const [a, b] = [await Pilot.start({ ...storeOf(store), status }), await Pilot.start(store)];
  await put(store, 'good');
  await a.takes('good');
  await waitFor('it to be kept', async () => (await kept(store)).lastGood === 'good');
  await put(store, 'bad');
  const writing = Promise.withResolvers<void>();
  held = writing.promise;
  await a.refuses('bad');
  await put(store, 'better');
  await Promise.all([a.newest('better'), b.newest('better')]);
  writing.resolve();
  await Promise.all([a.takes('better'), b.newest('better')]);
  await waitFor('it to be kept', async () => { const now = await kept(store); return now.lastGood === 'better' && !now.refused; });
  await put(store, 'bad');
  await Promise.all([a.holds('better', false), b.holds('better', false)]);
  await Promise.all([a.cache.stop(), b.cache.stop()]);
});

test('what is told of an object after it was deleted is not the last good version of the next one with its name', async () => {
  const store = memoryConfigStore({ clock: systemClock });
  const a = await Pilot.start(store);
  await put(store, 'bad');
  await a.newest('bad');
  assert.ok((await store.commit([{ type: 'delete', key }])).ok);
  await waitFor('it to be gone', () => a.cache.get(key) === undefined);
  const late = { key, record: { status: { refused: { content: 'that', errors: [] } }, lastGood: rule('bad') } };
  assert.ok((await store.status.write([late])).ok);
  await waitFor('it to be learned', () => hostOf(a.cache.lastGood(key)) === 'bad');
  assert.ok((await store.status.write([{ key, record: undefined }])).ok);
  await waitFor('it to be forgotten', () => a.cache.lastGood(key) === undefined);
  await a.cache.stop();
});

test('a pilot that sees late that an object was deleted leaves the record of the one applied since alone', async () => {
  const store = memoryConfigStore({ clock: systemClock });
  await put(store, 'good');
  const a = await Pilot.start(store);
  await a.takes('good');
  const held = Promise.withResolvers<void>();
  const late = await Pilot.start(lagging(store, held.promise));
  assert.ok((await store.commit([{ type: 'delete', key }])).ok);
  await waitFor('the record to go with its object', async () => { const record = await store.status.get(key); return record.ok && record.value === undefined; });
  await put(store, 'better');
  await a.takes('better');
  await waitFor('it to be kept', async () => (await kept(store)).lastGood === 'better');
  await put(store, 'bad');
  await a.refuses('bad');
  await waitFor('it to be kept', async () => (await kept(store)).refused);
  // Nobody is there to write it again.
  await a.cache.stop();
  held.resolve();
  await late.newest('bad');
  await late.holds('better', true);
  await late.cache.stop();
  assert.deepEqual(await kept(store), { refused: true, lastGood: 'better' });
});

for (const again of ['bad', 'good']) test(`a refusal told after the version was replaced does not condemn ${again === 'bad' ? 'the version refused' : 'the one before'}, applied again before the next record is told`, async () => {
  const store = memoryConfigStore({ clock: systemClock });
  const told = Promise.withResolvers<void>();
  let refusals = 0;
  const status = { ...store.status, watch: async function* (signal: AbortSignal): ReturnType<ConfigStore['status']['watch']> {
    for await (const event of store.status.watch(signal)) {
      const isRefusal = event.type === 'put' && event.record?.status['refused'] !== undefined;
      if (isRefusal) await told.promise;
      // What came after the refusal is told only when the test is over.
      else if (refusals > 0) await once(signal, 'abort');
      yield event;
      if (isRefusal) refusals += 1;
    }
  } };
  const [a, b] = [await Pilot.start({ ...storeOf(store), status }), await Pilot.start(store)];
  await put(store, 'good');
  await Promise.all([a.takes('good'), b.takes('good')]);
  await put(store, 'bad');
  await a.refuses('bad');
  await waitFor('it to be kept', async () => (await kept(store)).refused);
  await put(store, 'better');
  await a.takes('better');
  told.resolve();
  await waitFor('the refusal to be told', () => refusals === 1);
  await put(store, again);
  await Promise.all([a.newest(again), b.newest(again)]);
  await Promise.all([a.holds('better', false), b.holds('better', false)]);
  await a.cache.stop();
  await b.cache.stop();
  assert.equal((await kept(store)).refused, false);
});

test('a pilot that sees versions late does not take the refusal of a later one back', async () => {
  const store = memoryConfigStore({ clock: systemClock });
  await put(store, 'good');
  const a = await Pilot.start(store);
  await a.takes('good');
  const held = Promise.withResolvers<void>();
  const late = await Pilot.start(lagging(store, held.promise));
  await put(store, 'better');
  await a.takes('better');
  await put(store, 'bad');
  await a.refuses('bad');
  await waitFor('it to be kept', async () => (await kept(store)).refused);
  await a.cache.stop();
  held.resolve();
  await late.newest('bad');
  await late.holds('better', true);
  await late.cache.stop();
  assert.deepEqual(await kept(store), { refused: true, lastGood: 'better' });
});

test('an object whose file cannot be read at a restart is announced as it last was', async () => {
  const store = memoryConfigStore({ clock: systemClock });
  assert.ok((await store.status.write([{ key, record: { status: { file: 'a.yaml' }, lastGood: rule('good') } }])).ok);
  const pilot = await Pilot.start(store, [{ name: 'files', watch: async function* (signal) {
    yield { type: 'problem', problem: { file: 'a.yaml', line: 1, path: '', message: 'not YAML' } };
    yield { type: 'synced' };
    if (!signal.aborted) await once(signal, 'abort');
  } }]);
  assert.deepEqual(pilot.changed, [`added ${keyText(key)}`]);
  await pilot.cache.stop();
});

/** Its methods, to replace some. */
function storeOf(store: ConfigStore): ConfigStore {
  return { limits: store.limits, status: store.status, get: (one) => store.get(one), list: (filter) => store.list(filter), commit: (writes) => store.commit(writes), watch: (options, signal) => store.watch(options, signal), close: () => store.close() };
}

/** The store as a pilot reads it that is told of no change before `until`. */
function lagging(store: ConfigStore, until: Promise<void>): ConfigStore {
  return { ...storeOf(store), watch: async function* (options, signal) {
    let synced = false;
    for await (const event of store.watch(options, signal)) {
      if (synced) await until;
      synced ||= event.type === 'synced';
      yield event;
    }
  } };
}
