import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { status, type ServerWritableStream } from '@grpc/grpc-js';
import { ItemResult_Action, type ApplyResponse, type ListResponse, type WatchEvent, type WatchRequest } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { systemClock, waitFor } from '@meltemi/base';
import { defaultMeshConfig, memoryConfigStore, type ConfigStore } from '@meltemi/config';
import { noRoles } from './access/testing/roles.ts';
import { socketOwner } from './access/api-caller.ts';
import { ConfigCache, type CacheChange } from './config-cache.ts';
import { configService } from './config-api.ts';
import type { Discovery } from './discovery.ts';
import { buildPushContext, proxyFromNode, translate, type PushContext } from '@meltemi/pilot';
import { xdsType } from '@meltemi/xds';

const silent = { info() {}, warn() {}, error() {} };
const rule = (name: string, host = 'a') => ({ json: JSON.stringify({ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name }, spec: { hosts: [host], http: [{ route: [{ destination: { host } }] }] } }), expectedResourceVersion: '' });

/** The service over a store in memory. */
async function service(store: ConfigStore = memoryConfigStore({ clock: systemClock }), discovery: Pick<Discovery, 'context' | 'setAside'> = { context: undefined, setAside: [] }) {
  const listeners = new Set<(changes: readonly CacheChange[]) => void>();
  const cache = new ConfigCache({
    store, storeName: 'memory', sources: [], log: silent, clock: systemClock,
    onChange: (changes) => { for (const listener of listeners) listener(changes); },
    onFailure: (cause) => { throw cause; },
  });
  await cache.start();
  const api = configService({ store, cache, discovery: discovery as Discovery, clock: systemClock, log: silent, identify: () => socketOwner, policy: noRoles, audit: { record: () => undefined }, onChange: (listener) => (listeners.add(listener), () => listeners.delete(listener)) });
  const apply = (...items: ReturnType<typeof rule>[]) => new Promise<ApplyResponse>((resolve, reject) => {
    api.apply({ request: { items, defaultNamespace: 'default', dryRun: false } } as never, (error, response) => (response ? resolve(response) : reject(error instanceof Error ? error : Object.assign(new Error(), error))));
  });
  return { api, apply, cache, listeners };
}

/** A stream whose client reads nothing: writes never call back. */
class StuckCall extends EventEmitter {
  readonly request: WatchRequest = { group: '', kind: '', namespace: '' };
  written = 0;
  write(): boolean {
    this.written += 1;
    return false;
  }
}

test('a watcher that reads nothing is cut off with the reason, and costs nothing afterwards', async () => {
  const { api, apply, cache, listeners } = await service();
  await apply(...Array.from({ length: 50 }, (_, n) => rule(`r${n}`)));
  await waitFor('the objects', () => cache.entries().length === 50);
  const call = new StuckCall();
  const errors: { code: number; details: string }[] = [];
  call.on('error', (error: { code: number; details: string }) => void errors.push(error));
  api.watch(call as unknown as ServerWritableStream<WatchRequest, WatchEvent>);
  assert.equal(call.written, 51, 'what is there, then the mark');
  const [entry] = cache.entries();
  assert.ok(entry);
  const [tell] = listeners;
  assert.ok(tell);
  for (let n = 0; n <= 10_000 && listeners.size > 0; n += 1) tell([{ type: 'modified', entry }]);
  assert.equal(errors[0]?.code, status.RESOURCE_EXHAUSTED);
  assert.match(errors[0]?.details ?? '', /reads too slowly/);
  assert.equal(listeners.size, 0);
  await cache.stop();
});

test('an object named twice in one request refuses both, and nothing is written', async () => {
  const { apply, cache } = await service();
  const { results, revision } = await apply(rule('same'), rule('same', 'b'), rule('other'));
  assert.equal(revision, '');
  assert.deepEqual(results.map((result) => result.action), [ItemResult_Action.REFUSED, ItemResult_Action.REFUSED, ItemResult_Action.UNCHANGED]);
  assert.match(results[0]?.errors[0]?.message ?? '', /in this request twice/);
  await cache.stop();
});

test('a commit that lost a race is tried again on what is there now', async () => {
  const store = memoryConfigStore({ clock: systemClock });
  let rivals = 2;
  const racing = replacing(store, {
    commit: async (writes) => {
      const [write] = writes;
      if (rivals-- > 0 && write?.type === 'put') await store.commit([{ type: 'put', object: { ...write.object, content: { ...write.object.content, spec: { hosts: [`rival${rivals}`] } } } }]);
      return store.commit(writes);
    },
  });
  const { apply, cache } = await service(racing);
  const { results } = await apply(rule('contested'));
  assert.equal(results[0]?.action, ItemResult_Action.CONFIGURED);
  const stored = await store.get({ group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'contested' });
  assert.match(JSON.stringify(stored.ok && stored.value?.object.content['spec']), /"hosts":\["a"\]/);
  await cache.stop();
});

test('an EnvoyFilter shows which of its patches proxies do without; the rest is in force', async () => {
  const discovery: { context: PushContext | undefined; setAside: [] } = { context: undefined, setAside: [] };
  const { api, apply, cache } = await service(undefined, discovery);
  const value = { name: 'last', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer', max_request_bytes: 1 } };
  const spec = { configPatches: [{ applyTo: 'HTTP_FILTER', patch: { operation: 'INSERT_FIRST', value } }, { applyTo: 'HTTP_FILTER', patch: { operation: 'ADD', value } }] };
  await apply({ json: JSON.stringify({ apiVersion: 'networking.istio.io/v1alpha3', kind: 'EnvoyFilter', metadata: { name: 'two' }, spec }), expectedResourceVersion: '' });
  await waitFor('the object', () => cache.entries().length === 1);
  discovery.context = buildPushContext({ configs: cache.entries().flatMap(({ config }) => config ?? []), meshConfig: defaultMeshConfig() });
  const proxy = proxyFromNode({
    id: 'sidecar~10.0.0.1~a-0.default~default.svc.cluster.local', cluster: '', metadata: { MELTEMI_VERSION: '0.1.0', MELTEMI_HTTP2: 'true' }, dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [],
  });
  assert.ok(proxy.ok);
  translate(discovery.context, proxy.value, { typeUrl: xdsType.listener });
  const shown = await new Promise<{ objects: { quarantine?: { errors: { path: string; message: string }[] } | undefined; lastGoodInForce: boolean }[] }>((resolve, reject) => {
    api.list({ request: { group: '', kind: '', namespace: '' } } as never, (error, response) => (response ? resolve(response) : reject(error instanceof Error ? error : Object.assign(new Error(), error))));
  });
  const [object] = shown.objects;
  assert.equal(object?.lastGoodInForce, true);
  assert.deepEqual([...new Set(object?.quarantine?.errors.map(({ path }) => path))], ['spec.configPatches[1]']);
  await cache.stop();
});

test('a Secret comes out without its values, and cannot be put back so', async () => {
  const { api, apply, cache } = await service();
  const written = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'cert', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":{"key":"c2VjcmV0"}}' } }, data: { key: 'c2VjcmV0' } };
  await apply({ json: JSON.stringify(written), expectedResourceVersion: '' });
  await waitFor('the Secret', () => cache.entries().length === 1);
  const shown = await new Promise<string>((resolve, reject) => {
    api.get({ request: { key: { group: '', kind: 'Secret', namespace: 'default', name: 'cert' } } } as never, (error, response) => (response ? resolve(response.json) : reject(Object.assign(new Error(), error))));
  });
  assert.doesNotMatch(shown, /c2VjcmV0/);
  const [back] = (await apply({ json: shown, expectedResourceVersion: '' })).results;
  assert.equal(back?.action, ItemResult_Action.REFUSED);
  assert.match(back.errors[0]?.message ?? '', /every value is blank/);
  await cache.stop();
});

test('a store that is out of reach is listed as a problem, since when and why, until it is back', async () => {
  const store = memoryConfigStore({ clock: systemClock });
  const gate = { cut: (_reason: string): void => undefined, mend: (): void => undefined };
  const flaky = replacing(store, {
    async *watch(options, signal) {
      const reason = new Promise<string>((resolve) => void (gate.cut = resolve));
      const mended = new Promise<void>((resolve) => void (gate.mend = resolve));
      for await (const event of store.watch(options, AbortSignal.any([signal, whenever(reason)]))) yield event;
      if (signal.aborted) return;
      yield { type: 'interrupted', reason: await reason };
      await mended;
      yield* store.watch(options, signal);
    },
  });
  const { api, apply, cache } = await service(flaky);
  await apply(rule('kept'));
  await waitFor('the object', () => cache.entries().length === 1);
  gate.cut('connection refused');
  const list = () => new Promise<ListResponse>((resolve, reject) => {
    api.list({ request: { group: '', kind: '', namespace: '' } } as never, (error, response) => (response ? resolve(response) : reject(error instanceof Error ? error : Object.assign(new Error(), error))));
  });
  await waitFor('the problem', async () => (await list()).problems.length === 1);
  const { problems: [problem], objects } = await list();
  assert.equal(problem?.source, 'memory');
  assert.match(problem?.message ?? '', /^out of reach since \d{4}-.*Z: connection refused; the last state stays in force, and nothing can be applied/);
  assert.equal(objects.length, 1);
  gate.mend();
  await waitFor('the problem gone', async () => (await list()).problems.length === 0);
  await cache.stop();
});

function whenever(promise: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  void promise.then(() => controller.abort());
  return controller.signal;
}

/** The store with some of its methods replaced. */
function replacing(store: ConfigStore, methods: Partial<ConfigStore>): ConfigStore {
  return new Proxy(store, {
    get(target, name) {
      if (name in methods) return Reflect.get(methods, name) as unknown;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}
