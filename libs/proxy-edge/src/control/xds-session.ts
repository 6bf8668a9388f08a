import { formatFieldErrors, type FieldError } from '@meltemi/base';
import { shortTypeName, xdsType, type RejectedResource } from '@meltemi/xds';
import { startAdsClient, type AdsClient, type AdsClientOptions, type AdsUpdate } from '@meltemi/xds-edge';
import { compileResource, type CompiledResource, type Compiler } from './compile.ts';
import type { HeldResource, ResourceStore } from './resource-store.ts';
import type { PoolLog } from './worker-pool.ts';
import { emptyUpdate, type ResourceKind, type ResourceUpdate, type WireResource, type WorkerRefusal } from './worker-messages.ts';

export interface XdsSessionOptions {
  readonly client: Omit<AdsClientOptions, 'onUpdate' | 'onConnected' | 'onDisconnected'>;
  readonly compiler: Compiler;
  readonly store: ResourceStore;
  /** Resolves when every worker serves the update. */
  readonly apply: (update: ResourceUpdate) => Promise<readonly WorkerRefusal[]>;
  readonly log: PoolLog;
  readonly now: () => number;
  /** Called once clusters and listeners (even none) have arrived and are served. */
  readonly onInitialized: () => void;
  readonly onState: (connected: boolean) => void;
}

/** Different warnings that are remembered; beyond it they are dropped. */
const maxWarnings = 1000;

const kindOf: ReadonlyMap<string, ResourceKind> = new Map([[xdsType.cluster, 'clusters'], [xdsType.endpoint, 'endpoints'], [xdsType.listener, 'listeners'], [xdsType.route, 'routes'], [xdsType.secret, 'secrets']]);

/**
 * The proxy's side of ADS: checks what comes, hands the good ones to the workers and answers. Clusters and endpoints are acknowledged on
 * acceptance (warming needs that), listeners and routes when every worker serves them: "acknowledged" means "traffic follows it".
 */
export class XdsSession {
  readonly #options: XdsSessionOptions;
  readonly #client: AdsClient;
  /** Cluster → the EDS name it waits for; listener → the RDS names it refers to. */
  readonly #edsNames = new Map<string, string>();
  readonly #rdsNames = new Map<string, ReadonlySet<string>>();
  readonly #served = { clusters: false, listeners: false };
  readonly #warned = new Set<string>();
  /** Work for the workers goes out in order. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: XdsSessionOptions) {
    this.#options = options;
    this.#client = startAdsClient({
      ...options.client,
      onUpdate: (update) => this.#update(update),
      onConnected: () => {
        options.onState(true);
        options.log.info({ address: options.client.address }, 'connected to the control plane');
      },
      onDisconnected: (reason) => {
        options.onState(false);
        options.log.warn({ address: options.client.address, reason }, 'not connected to the control plane; the last configuration stays in force');
      },
    });
    this.#client.subscribe(xdsType.cluster, '*');
    this.#client.subscribe(xdsType.listener, '*');
  }

  get connected(): boolean {
    return this.#client.connected;
  }

  /** For a renewed certificate: open streams go on, the next one uses it. */
  stop(): Promise<void> {
    return this.#client.stop();
  }

  #update(update: AdsUpdate): void {
    const kind = kindOf.get(update.typeUrl);
    if (!kind) return update.reject(`resources of type ${update.typeUrl} are not asked for`);
    const good: { wire: WireResource; compiled: CompiledResource; version: string }[] = [];
    const bad: RejectedResource[] = [];
    for (const resource of update.added) {
      const compiled = compileResource(this.#options.compiler, kind, resource.any);
      if (compiled.ok) good.push({ wire: { name: resource.name, bytes: resource.any.value }, compiled: compiled.value, version: resource.version });
      else bad.push({ name: resource.name, reason: formatFieldErrors(compiled.error) });
    }
    this.#accept(kind, update, good, bad);
  }

  #accept(kind: ResourceKind, update: AdsUpdate, good: readonly { wire: WireResource; compiled: CompiledResource; version: string }[], bad: readonly RejectedResource[]): void {
    const { store, log } = this.#options;
    const at = this.#options.now();
    for (const { name, reason } of bad) {
      store.refuse(kind, name, { version: update.version, atMs: at, message: reason });
      log.warn({ type: shortTypeName(update.typeUrl), name, reason }, 'resource refused; its last good version stays in force');
    }
    const before = new Map(good.map(({ wire }) => [wire.name, store.get(kind, wire.name)]));
    const set = good.filter(({ wire, version }) => store.put(kind, { ...wire, version, lastUpdatedMs: at, origin: 'dynamic' }));
    for (const { wire, compiled } of set) {
      for (const warning of compiled.warnings) this.#warnOnce(shortTypeName(update.typeUrl), wire.name, warning);
      this.#refers(kind, wire.name, compiled);
    }
    const removed = update.removed.filter((name) => store.remove(kind, name));
    for (const name of removed) this.#refers(kind, name, undefined);
    this.#resubscribe(kind);
    this.#hand(kind, update, { ...emptyUpdate, [kind]: { set: set.map(({ wire }) => wire), removed } }, { bad, before });
  }

  #hand(kind: ResourceKind, update: AdsUpdate, change: ResourceUpdate, { bad, before }: { bad: readonly RejectedResource[]; before: ReadonlyMap<string, HeldResource | undefined> }): void {
    const answer = (refusals: readonly RejectedResource[]) => (refusals.length === 0 ? update.accept() : update.reject(refusals));
    // Posting keeps the order; only the answer waits.
    const applied = this.#options.apply(change);
    this.#tail = applied;
    const answersAtOnce = kind === 'clusters' || kind === 'endpoints' || kind === 'secrets';
    if (answersAtOnce) answer(bad);
    applied.then((refusals) => {
      const worker = refusals.filter((refusal) => refusal.kind === kind).map(({ name, message }) => ({ name, reason: message }));
      if (!answersAtOnce) answer([...bad, ...worker]);
      for (const refusal of worker) {
        this.#options.log.error({ type: shortTypeName(update.typeUrl), ...refusal }, 'a worker could not put a resource in force; its last good version stays');
        this.#options.store.restore(kind, refusal.name, before.get(refusal.name), { version: update.version, atMs: this.#options.now(), message: refusal.reason });
      }
      this.#initialized(kind);
    }, (cause: unknown) => {
      this.#options.log.error({ err: cause, type: shortTypeName(update.typeUrl) }, 'update not applied');
      if (!answersAtOnce) update.reject(cause instanceof Error ? cause.message : String(cause));
    });
  }

  /** Every cluster may carry the same setting: once is enough to know. */
  #warnOnce(type: string, name: string, warning: FieldError): void {
    const key = `${type} ${warning.path.replace(/\[\d+\]/g, '[]')} ${warning.message}`;
    if (this.#warned.has(key) || this.#warned.size >= maxWarnings) return;
    this.#warned.add(key);
    this.#options.log.warn({ type, name, field: warning.path, reason: warning.message }, 'setting not acted on (said once, also of other resources)');
  }

  #initialized(kind: ResourceKind): void {
    if (this.#served.clusters && this.#served.listeners) return;
    if (kind === 'clusters' || kind === 'listeners') this.#served[kind] = true;
    if (this.#served.clusters && this.#served.listeners) this.#options.onInitialized();
  }

  #refers(kind: ResourceKind, name: string, compiled: CompiledResource | undefined): void {
    if (kind === 'clusters') {
      if (compiled?.edsName) this.#edsNames.set(name, compiled.edsName);
      else this.#edsNames.delete(name);
    } else if (kind === 'listeners') {
      if (compiled && compiled.rdsNames.size > 0) this.#rdsNames.set(name, compiled.rdsNames);
      else this.#rdsNames.delete(name);
    }
  }

  #resubscribe(kind: ResourceKind): void {
    if (kind === 'clusters') this.#follow(xdsType.endpoint, 'endpoints', new Set(this.#edsNames.values()));
    else if (kind === 'listeners') this.#follow(xdsType.route, 'routes', new Set([...this.#rdsNames.values()].flatMap((names) => [...names])));
  }

  readonly #subscribed: Record<string, ReadonlySet<string>> = {};

  #follow(typeUrl: string, kind: ResourceKind, names: ReadonlySet<string>): void {
    const before = this.#subscribed[typeUrl] ?? new Set<string>();
    this.#subscribed[typeUrl] = names;
    const added = [...names].filter((name) => !before.has(name));
    const gone = [...before].filter((name) => !names.has(name));
    if (added.length > 0) this.#client.subscribe(typeUrl, added);
    if (gone.length === 0) return;
    this.#client.unsubscribe(typeUrl, gone);
    const removed = gone.filter((name) => this.#options.store.remove(kind, name));
    if (removed.length > 0) void this.#options.apply({ ...emptyUpdate, [kind]: { set: [], removed } });
  }

  /** Resolves when everything handed to the workers so far is served. */
  async settled(): Promise<void> {
    await this.#tail;
  }
}
