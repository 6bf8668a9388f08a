import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock, waitFor } from '@meltemi/base';
import { decode, keyText, memoryConfigStore, type Config, type ConfigKey, type ConfigStore, type RawObject } from '@meltemi/config';
import { ConfigCache } from './config-cache.ts';

const key: ConfigKey = { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'a' };

function rule(host: string): RawObject {
  const content = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'a', namespace: 'default' }, spec: { hosts: ['a'], http: [{ route: [{ destination: { host } }] }] } };
  return { key, apiVersion: content.apiVersion, content };
}

/** A pilot's cache over a store that it has not alone. */
class Pilot {
  readonly heard: string[] = [];
  readonly cache: ConfigCache;

  constructor(store: ConfigStore) {
    this.cache = new ConfigCache({ store, storeName: 'memory', sources: [], log: { info() {}, warn() {} }, clock: systemClock, onChange: () => undefined, onFailure: (cause) => { throw cause; }, onRefusedElsewhere: (objects) => void this.heard.push(...objects) });
  }

  static async start(store: ConfigStore): Promise<Pilot> {
    const pilot = new Pilot(store);
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
  const late = await Pilot.start({ ...storeOf(store), watch: async function* (options, signal) {
    let synced = false;
    for await (const event of store.watch(options, signal)) {
      if (synced) await held.promise;
      synced ||= event.type === 'synced';
      yield event;
    }
  } });
  await put(store, 'bad');
  await a.refuses('bad');
  await waitFor('it to be kept', async () => (await kept(store)).refused);
  held.resolve();
  await late.newest('bad');
  await late.holds(before, true);
  await Promise.all([a.cache.stop(), late.cache.stop()]);
});

/** Its methods, to replace some. */
function storeOf(store: ConfigStore): ConfigStore {
  return { limits: store.limits, status: store.status, get: (one) => store.get(one), list: (filter) => store.list(filter), commit: (writes) => store.commit(writes), watch: (options, signal) => store.watch(options, signal), close: () => store.close() };
}
