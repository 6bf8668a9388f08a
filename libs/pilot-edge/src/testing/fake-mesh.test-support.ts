import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { WaitProgress } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { ManualClock, waitFor } from '@meltemi/base';
import { decode, defaultMeshConfig, keyText, parseYamlDocuments, type Config, type ConfigKey } from '@meltemi/config';
import { StatsRegistry } from '@meltemi/observe';
import { resourceSet, xdsType, type ResourceSet } from '@meltemi/xds';
import type { AdsConnection, ClientHandler, ClientHello, Push } from '@meltemi/xds-edge';
import type { CacheEntry } from '../config-cache.ts';
import { Discovery } from '../discovery.ts';
import type { DiscoveryOptions } from '../discovery-types.ts';
import { pilotStats } from '../stats.ts';
import { waitForRevision, type WaitAsk } from '../wait.ts';

const silent = { info() {}, warn() {}, error() {} };
const sets = new Map<string, ResourceSet>();

/** A discovery whose proxies answer when the test says so. */
export class FakeMesh {
  readonly clock = new ManualClock();
  readonly pushes: [proxy: string, revision: string][] = [];
  readonly handed: Push[] = [];
  readonly discovery: Discovery;
  contextFails = false;
  translationFailsFor = '';
  /** What was written: key text → entry. */
  readonly entries = new Map<string, CacheEntry>();
  /** WorkloadEntries of proxies that registered themselves. */
  registered: Config[] = [];
  #connections = 0;
  #versions = 0;

  constructor(changes: Partial<DiscoveryOptions> = {}, { started = true } = {}) {
    this.discovery = new Discovery({
      configs: () => {
        if (this.contextFails) throw new Error('two services quarrel');
        return this.configs();
      },
      mesh: defaultMeshConfig, authorize: () => undefined, clock: this.clock, log: silent, stats: pilotStats(new StatsRegistry()),
      translate: (_push, proxy, { typeUrl }) => {
        if (proxy.name === this.translationFailsFor) throw new Error('no such thing');
        const set = sets.get(typeUrl) ?? resourceSet(typeUrl, []);
        sets.set(typeUrl, set);
        return set;
      },
      ...changes,
    });
    if (started) this.discovery.start();
  }

  configs(): Config[] {
    return [...this.entries.values(), ...this.registered.map((config) => ({ config }))].flatMap(({ config }) => config ?? []);
  }

  /** Stores the objects of some YAML; returns their keys. */
  write(yaml: string): ConfigKey[] {
    const keys = parseYamlDocuments(yaml, 'test').documents.flatMap(({ raw }) => {
      if (!raw) return [];
      const decoded = decode(raw);
      if (!decoded.ok) throw new Error(JSON.stringify(decoded.error));
      this.entries.set(keyText(raw.key), { key: raw.key, raw, origin: { source: 'test', resourceVersion: String(++this.#versions) }, config: decoded.value.config, errors: [], warnings: [] });
      return [raw.key];
    });
    this.discovery.changed('written', keys.map(keyText));
    return keys;
  }

  remove(key: ConfigKey): void {
    this.entries.delete(keyText(key));
    this.discovery.changed('removed', [keyText(key)]);
  }

  /** Past the time after the start when anybody may be on the way back. */
  settled(): this {
    this.clock.advance(60_000);
    return this;
  }

  /** `name` or `name.namespace`. */
  connect(name: string): ClientHandler {
    const [pod = '', namespace = 'default'] = name.split('.');
    const node = { id: `sidecar~127.0.0.1~${pod}.${namespace}~${namespace}.svc.cluster.local`, cluster: '', metadata: {}, userAgentName: '' } as unknown as Node;
    const hello: ClientHello = { node, peer: { listener: 'xds', address: '127.0.0.1:1', identity: undefined }, protocol: 'delta', connectionId: String(++this.#connections) };
    const connection: AdsConnection = {
      hello, push: (push: Push) => {
        this.pushes.push([name, push.revision]);
        this.handed.push(push);
      }, amend() {}, followedRevision: () => undefined, close() {},
      status: () => [{ typeUrl: xdsType.route, state: 'STALE', sentVersion: '1', ackedVersion: '', lastNack: undefined, lagging: false, names: undefined }],
      subscriptions: () => new Map(),
    };
    const handler = this.discovery.connect(hello, connection);
    if ('refuse' in handler) throw new Error(handler.refuse.message);
    handler.onSubscribe?.(xdsType.route, { wildcard: false, names: new Set() });
    return handler;
  }

  /** What the API's functions take. */
  get parts() {
    return { cache: { processed: () => Promise.resolve(), get: (key: ConfigKey) => this.entries.get(keyText(key)) }, registered: () => this.registered, discovery: this.discovery, clock: this.clock };
  }

  pushed(name: string, revision: string): Promise<boolean> {
    return waitFor(`revision ${revision} at ${name}`, () => this.pushes.some(([proxy, pushed]) => proxy === name && pushed === revision));
  }

  /** Waits in the background; `seen` grows, `end` resolves with the last message. */
  wait(options: { version?: string; signal?: AbortSignal; ask?: Partial<WaitAsk> } = {}): { seen: WaitProgress[]; end: Promise<WaitProgress | undefined> } {
    const seen: WaitProgress[] = [];
    const run = async () => {
      for await (const progress of waitForRevision(this.parts, { storeVersion: options.version ?? 'w1', ...options.ask }, options.signal ?? new AbortController().signal)) seen.push(progress);
      return seen.at(-1);
    };
    return { seen, end: run() };
  }
}
