import { formatFieldErrors, type FieldError, type Result } from '@meltemi/base';
import type { ConfigSource, Reference } from '@meltemi/snapshot';
import { shortTypeName, xdsType, type RejectedResource } from '@meltemi/xds';
import type { AdsUpdate } from '@meltemi/xds-edge';
import type { Feed, FeedEvents } from '../sources/feed.ts';
import { SecretFiles } from '../sources/secret-files.ts';
import { compileResource, type CompiledResource } from './compile.ts';
import type { DynamicConfigOptions, DynamicRoots, StaticOwner } from './dynamic-types.ts';
import { FirstAnswers } from './first-answers.ts';
import { takeNameTable } from './name-tables.ts';
import { References, type Wanted } from './references.ts';
import { isWildcard, kindOf, rootPrefix, splitKey, typeOf } from './resource-kinds.ts';
import type { HeldResource } from './resource-store.ts';
import { sharedScopeKeys } from './scope-keys.ts';
import { SourceStats } from './source-stats.ts';
import { emptyUpdate, type ResourceKind, type ResourceUpdate, type WireResource } from './worker-messages.ts';

/** Different warnings that are remembered; beyond it they are dropped. */
const maxWarnings = 1000;
/** A listener may wait long for its routes and secrets. It is accepted all the same: the next version must not wait behind it. */
const listenerAnswerMs = 5000;

interface OpenedFeed {
  readonly feed: Feed;
  readonly source: ConfigSource;
  /** What is asked of it: "clusters/*", "routes/name". */
  readonly keys: Set<string>;
}

interface Good {
  readonly wire: WireResource;
  readonly compiled: CompiledResource;
  readonly wanted: readonly Wanted[];
  readonly version: string;
}

/**
 * Follows whatever the configuration says resources come from, checks what comes, hands the good ones to the workers and answers. Clusters,
 * endpoints and secrets are acknowledged on acceptance (warming needs that), listeners and routes when every worker serves them:
 * "acknowledged" means "traffic follows it". As in Envoy, listeners are asked for once clusters have what they need.
 */
export class DynamicConfig {
  readonly #options: DynamicConfigOptions;
  readonly #feeds = new Map<string, OpenedFeed>();
  readonly #references = new References();
  /** Which feed a name is asked of now. */
  readonly #asked = new Map<string, OpenedFeed>();
  readonly #answers: FirstAnswers;
  readonly #stats: SourceStats;
  readonly #secretFiles: SecretFiles;
  readonly #warned = new Set<string>();
  #roots: DynamicRoots = { lds: null, cds: null };
  #phase: 'starting' | 'clusters' | 'listeners' | 'done' = 'starting';
  /** Work for the workers goes out in order. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: DynamicConfigOptions) {
    this.#options = options;
    this.#stats = new SourceStats(options.flat);
    this.#answers = new FirstAnswers((key) => this.#timedOut(key), () => this.#advance());
    this.#secretFiles = new SecretFiles({
      onChange: (name, bytes) => this.#secretRotated(name, bytes),
      onError: (name, reason) => options.log.warn({ type: 'SDS', name, reason }, 'files of a secret cannot be used; those read before stay in force'),
    });
  }

  get connected(): boolean {
    return this.#stats.anyConnected;
  }

  /** Begins to follow; what cannot be followed comes back with its path, and then the caller stops. */
  start(roots: DynamicRoots, owners: readonly StaticOwner[]): FieldError[] {
    this.#roots = roots;
    const errors: FieldError[] = [];
    const changed = new Set<string>();
    for (const { kind, name, path, references } of owners) {
      const owner = `${kind}/${name}`;
      const wanted = this.#resolve(owner, references, null);
      if (!wanted.ok) errors.push(...wanted.error.map((error) => ({ path: `${path}.${error.path}`, message: error.message })));
      else for (const key of this.#references.set(owner, wanted.value)) changed.add(key);
    }
    for (const [field, source, type] of [['cds_config', roots.cds, xdsType.cluster], ['lds_config', roots.lds, xdsType.listener]] as const) {
      const opened = source && this.#feed(source, type);
      if (opened && !opened.ok) errors.push(...opened.error.map(({ message }) => ({ path: `dynamic_resources.${field}`, message })));
    }
    if (errors.length > 0) return errors;
    this.#follow(changed);
    this.#phase = 'clusters';
    if (roots.cds) this.#askRoot('clusters', roots.cds);
    if (this.#options.takeNames) this.#feeds.get('ads')?.feed.subscribe(xdsType.nameTable, '*');
    this.#advance();
    return [];
  }

  async stop(): Promise<void> {
    this.#answers.stop();
    this.#secretFiles.stop();
    await Promise.all([...this.#feeds.values()].map(({ feed }) => feed.stop()));
  }

  /** Resolves when everything handed to the workers so far is served. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  // Sources

  #askRoot(kind: 'clusters' | 'listeners', source: ConfigSource): void {
    const opened = this.#feed(source, typeOf[kind]);
    if (opened.ok) this.#ask(`${kind}/*`, opened.value, source.initialFetchTimeoutMs);
  }

  #feed(source: ConfigSource, typeUrl: string): Result<OpenedFeed> {
    const key = source.spec.kind === 'ads' ? 'ads' : `${source.key} ${typeUrl}`;
    const known = this.#feeds.get(key);
    if (known) return { ok: true, value: known };
    const opened = this.#options.open(source.spec, typeUrl, this.#events(key));
    if (!opened.ok) return opened;
    const entry = { feed: opened.value, source, keys: new Set<string>() };
    this.#feeds.set(key, entry);
    return { ok: true, value: entry };
  }

  #events(key: string): FeedEvents {
    const entry = () => this.#feeds.get(key);
    return {
      onUpdate: (update) => {
        const opened = entry();
        if (opened) this.#update(opened, update);
        else update.reject('this source is not followed any more');
      },
      onFailure: (failure) => {
        const opened = entry();
        if (opened) this.#failed(opened, failure);
      },
      onState: (up) => {
        const opened = entry();
        if (!opened) return;
        const before = this.connected;
        this.#stats.connected(key, up);
        if (!up) for (const each of opened.keys) this.#stats.count(this.#prefixOf(each), 'update_failure');
        if (this.connected !== before) this.#options.onState(this.connected);
      },
    };
  }

  #ask(key: string, opened: OpenedFeed, timeoutMs: number): void {
    const [kind, name] = splitKey(key);
    opened.keys.add(key);
    this.#asked.set(key, opened);
    this.#answers.expect(key, timeoutMs);
    this.#stats.count(this.#prefixOf(key), 'update_attempt');
    opened.feed.subscribe(typeOf[kind], name === '*' ? '*' : [name]);
  }

  /** Asks for what is needed now, each where it comes from, and for nothing else. */
  #follow(changed: Iterable<string>): void {
    for (const key of changed) {
      const wanted = this.#references.get(key);
      const [kind, name] = splitKey(key);
      const opened = wanted && this.#feed(wanted.source, typeOf[kind]);
      const now = opened?.ok ? opened.value : undefined;
      const before = this.#asked.get(key);
      if (before === now) continue;
      if (before) this.#leave(key, before, now === undefined);
      if (wanted && now) this.#ask(key, now, wanted.source.initialFetchTimeoutMs);
      else if (before) this.#forget(kind, name);
    }
    for (const [key, { feed, keys }] of this.#feeds) {
      if (keys.size > 0 || key === 'ads' || this.#phase === 'starting' || this.#isRoot(key)) continue;
      this.#feeds.delete(key);
      void feed.stop();
    }
  }

  #isRoot(key: string): boolean {
    return [this.#roots.cds && `${this.#roots.cds.key} ${xdsType.cluster}`, this.#roots.lds && `${this.#roots.lds.key} ${xdsType.listener}`].includes(key);
  }

  #leave(key: string, { feed, keys }: OpenedFeed, answered: boolean): void {
    const [kind, name] = splitKey(key);
    keys.delete(key);
    this.#asked.delete(key);
    feed.unsubscribe(typeOf[kind], name === '*' ? '*' : [name]);
    if (answered) this.#answers.answered(key);
  }

  #forget(kind: ResourceKind, name: string): void {
    if (kind === 'secrets') this.#secretFiles.drop(name);
    if (name === '*') return this.#forgetAll(kind);
    if (this.#options.store.remove(kind, name)) void this.#options.apply({ ...emptyUpdate, [kind]: { set: [], removed: [name] } });
  }

  #forgetAll(kind: ResourceKind): void {
    const { store } = this.#options;
    const removed = store.held(kind).map(({ name }) => name).filter((name) => store.remove(kind, name));
    const changed = new Set(removed.flatMap((name) => [...this.#references.set(`${kind}/${name}`, [])]));
    if (removed.length > 0) void this.#options.apply({ ...emptyUpdate, [kind]: { set: [], removed } });
    this.#follow(changed);
  }

  /** What a resource refers to, with `self` replaced by where the resource itself came from. */
  #resolve(owner: string, references: readonly Reference[], from: ConfigSource | null): Result<Wanted[]> {
    const errors: FieldError[] = [];
    const found: Wanted[] = [];
    for (const reference of references) {
      if (reference.kind === 'secrets' && this.#options.isOwnSecret(reference)) continue;
      const source = reference.source.spec.kind === 'self' ? from && { ...from, initialFetchTimeoutMs: reference.source.initialFetchTimeoutMs } : reference.source;
      if (!source) errors.push({ path: reference.path, message: '`self` needs a resource that came from a config source: name the source' });
      else {
        const wanted = { reference, source };
        const conflict = this.#references.conflict(owner, wanted);
        const opened = conflict === undefined ? this.#feed(source, typeOf[reference.kind]) : undefined;
        if (conflict !== undefined) errors.push({ path: reference.path, message: conflict });
        else if (opened && !opened.ok) errors.push(...opened.error.map(({ message }) => ({ path: reference.path, message })));
        else found.push(wanted);
      }
    }
    return errors.length > 0 ? { ok: false, error: errors } : { ok: true, value: found };
  }

  // Updates

  #update(opened: OpenedFeed, update: AdsUpdate): void {
    const kind = kindOf.get(update.typeUrl);
    if (update.typeUrl === xdsType.nameTable && this.#options.takeNames) return takeNameTable(update, this.#options.takeNames);
    if (!kind) return update.reject(`resources of type ${update.typeUrl} are not asked for`);
    const good: Good[] = [];
    const bad: RejectedResource[] = [];
    for (const resource of update.added) {
      const taken = this.#take(kind, opened.source, resource);
      if (taken.ok) good.push({ ...taken.value, version: opened.feed.stateOfTheWorld ? update.version : resource.version });
      else bad.push({ name: resource.name, reason: formatFieldErrors(taken.error) });
    }
    if (kind === 'scopes') this.#dropSharedKeys(update, good, bad);
    this.#countUpdate(opened, kind, update, bad);
    this.#accept(kind, update, good, bad);
    if (opened.feed.stateOfTheWorld) this.#options.store.keepRefusals(kind, (name) => bad.some((each) => each.name === name) || !opened.keys.has(isWildcard(kind) ? `${kind}/*` : `${kind}/${name}`));
    this.#answered(opened, kind, update);
  }

  /** Takes scopes out of `good` whose key another one has. */
  #dropSharedKeys(update: AdsUpdate, good: Good[], bad: RejectedResource[]): void {
    const touched = new Set([...good.map(({ wire }) => wire.name), ...update.removed]);
    for (const refusal of sharedScopeKeys(good.map(({ wire, compiled }) => ({ name: wire.name, scopeKey: compiled.scopeKey })), this.#options.store.held('scopes').filter(({ name }) => !touched.has(name)))) {
      good.splice(good.findIndex(({ wire }) => wire.name === refusal.name), 1);
      bad.push(refusal);
    }
  }

  #take(kind: ResourceKind, source: ConfigSource, resource: AdsUpdate['added'][number]): Result<Omit<Good, 'version'>> {
    const compiled = compileResource(this.#options.compiler, kind, resource.any);
    if (!compiled.ok) return compiled;
    const misfit = compiled.value.typeUrl === undefined ? undefined : this.#references.misfit(`${kind}/${resource.name}`, compiled.value.typeUrl);
    if (misfit !== undefined) return { ok: false, error: [{ path: 'typed_config', message: misfit }] };
    const wanted = this.#resolve(`${kind}/${resource.name}`, this.#withRoutesSource(kind, compiled.value.references, source), source);
    if (!wanted.ok) return wanted;
    const bytes = kind === 'secrets' ? this.#secretFiles.take(resource.name, resource.any.value) : { ok: true as const, value: resource.any.value };
    if (!bytes.ok) return bytes;
    return { ok: true, value: { wire: { name: resource.name, bytes: bytes.value, modules: compiled.value.modules }, compiled: compiled.value, wanted: wanted.value } };
  }

  /** Routes that scopes name come from where the connection manager says that follows the scopes; else from where the scopes come from. */
  #withRoutesSource(kind: ResourceKind, references: readonly Reference[], source: ConfigSource): readonly Reference[] {
    if (kind !== 'scopes') return references;
    const routesFrom = this.#references.get('scopes/*')?.reference.routesFrom;
    return references.map((reference) => ({ ...reference, source: routesFrom === undefined || routesFrom.spec.kind === 'self' ? source : routesFrom }));
  }

  #accept(kind: ResourceKind, update: AdsUpdate, good: readonly Good[], bad: readonly RejectedResource[]): void {
    const { store, log } = this.#options;
    const at = this.#options.now();
    for (const { name, reason } of bad) {
      store.refuse(kind, name, { version: update.version, atMs: at, message: reason });
      this.#options.onRefused?.({ path: `${shortTypeName(update.typeUrl)} ${name}`, message: reason });
      log.warn({ type: shortTypeName(update.typeUrl), name, reason }, 'resource refused; its last good version stays in force');
    }
    const before = new Map(good.map(({ wire }) => [wire.name, store.get(kind, wire.name)]));
    const set = good.filter(({ wire, compiled: { scopeKey }, version }) => store.put(kind, { ...wire, version, scopeKey, lastUpdatedMs: at, origin: 'dynamic' }));
    const changed = new Set<string>();
    for (const { wire, compiled, wanted } of set) {
      for (const warning of compiled.warnings) this.#warnOnce(shortTypeName(update.typeUrl), wire.name, warning);
      for (const key of this.#references.set(`${kind}/${wire.name}`, wanted)) changed.add(key);
    }
    const removed = update.removed.filter((name) => store.remove(kind, name));
    for (const name of removed) for (const key of this.#references.set(`${kind}/${name}`, [])) changed.add(key);
    if (kind === 'secrets') for (const name of removed) this.#secretFiles.drop(name);
    const modified = set.filter(({ wire }) => before.get(wire.name) !== undefined).length;
    this.#stats.changed(kind, { added: set.length - modified, modified, removed: removed.length, total: store.held(kind).length });
    this.#follow(changed);
    this.#hand(kind, update, { ...emptyUpdate, [kind]: { set: set.map(({ wire }) => wire), removed } }, { bad, before });
  }

  #hand(kind: ResourceKind, update: AdsUpdate, change: ResourceUpdate, { bad, before }: { bad: readonly RejectedResource[]; before: ReadonlyMap<string, HeldResource | undefined> }): void {
    let answered = false;
    const answer = (refusals: readonly RejectedResource[]) => {
      if (answered) return;
      answered = true;
      if (refusals.length === 0) update.accept();
      else update.reject(refusals);
    };
    if (change[kind].set.length + change[kind].removed.length === 0) return answer(bad);
    // Posting keeps the order; only the answer waits.
    const applied = this.#options.apply(change);
    this.#tail = applied;
    const answersAtOnce = kind === 'clusters' || kind === 'endpoints' || kind === 'secrets';
    const timer = kind === 'listeners' ? setTimeout(() => answer(bad), listenerAnswerMs) : undefined;
    if (answersAtOnce) answer(bad);
    applied.then((refusals) => {
      clearTimeout(timer);
      const worker = refusals.filter((refusal) => refusal.kind === kind).map(({ name, message }) => ({ name, reason: message }));
      answer([...bad, ...worker]);
      for (const refusal of worker) {
        this.#options.log.error({ type: shortTypeName(update.typeUrl), ...refusal }, 'a worker could not put a resource in force; its last good version stays');
        this.#options.store.restore(kind, refusal.name, before.get(refusal.name), { version: update.version, atMs: this.#options.now(), message: refusal.reason });
      }
    }, (cause: unknown) => {
      clearTimeout(timer);
      this.#options.log.error({ err: cause, type: shortTypeName(update.typeUrl) }, 'update not applied');
      if (!answered) update.reject(cause instanceof Error ? cause.message : String(cause));
      answered = true;
    });
  }

  /** Every cluster may carry the same setting: once is enough to know. */
  #warnOnce(type: string, name: string, warning: FieldError): void {
    const key = `${type} ${warning.path.replace(/\[\d+\]/g, '[]')} ${warning.message}`;
    if (this.#warned.has(key) || this.#warned.size >= maxWarnings) return;
    this.#warned.add(key);
    this.#options.log.warn({ type, name, field: warning.path, reason: warning.message }, 'setting not acted on (said once, also of other resources)');
  }

  #secretRotated(name: string, bytes: Uint8Array): void {
    const { store, log } = this.#options;
    const held = store.get('secrets', name);
    if (!held) return;
    store.put('secrets', { ...held, bytes, lastUpdatedMs: this.#options.now() });
    log.info({ type: 'SDS', name }, 'files of a secret were replaced; new handshakes use them');
    this.#tail = this.#options.apply({ ...emptyUpdate, secrets: { set: [{ name, bytes }], removed: [] } }).then((refusals) => {
      for (const { message } of refusals) log.error({ type: 'SDS', name, reason: message }, 'a worker could not use the new files of a secret');
    });
  }

  // First answers, statistics

  #answered({ source, keys }: OpenedFeed, kind: ResourceKind, update: AdsUpdate): void {
    if (isWildcard(kind)) return this.#answers.answered(`${kind}/*`);
    // A file that is read is the whole answer; a server may send what is missing later.
    if (source.spec.kind === 'path') for (const key of keys) this.#answers.answered(key);
    else for (const name of [...update.added.map((each) => each.name), ...update.removed]) this.#answers.answered(`${kind}/${name}`);
  }

  #failed({ feed, keys }: OpenedFeed, { reason, rejected, final }: { reason: string; rejected: boolean; final: boolean }): void {
    this.#options.log.warn({ source: feed.label, reason }, rejected ? 'update refused as a whole; what is in force stays' : 'source cannot be read; what is in force stays');
    this.#options.onRefused?.({ path: feed.label, message: reason });
    for (const key of keys) {
      this.#stats.count(this.#prefixOf(key), rejected ? 'update_rejected' : 'update_failure');
      const [kind, name] = splitKey(key);
      if (name !== '*') this.#options.store.refuse(kind, name, { version: '', atMs: this.#options.now(), message: reason });
      else this.#options.store.refuseAll(kind, { version: '', atMs: this.#options.now(), message: reason });
      if (final) this.#answers.answered(key);
    }
  }

  #timedOut(key: string): void {
    const [kind, name] = splitKey(key);
    this.#stats.count(this.#prefixOf(key), 'init_fetch_timeout');
    this.#options.log.warn({ type: shortTypeName(typeOf[kind]), name, source: this.#asked.get(key)?.feed.label }, 'no first answer within initial_fetch_timeout; going on without');
  }

  #countUpdate({ keys }: OpenedFeed, kind: ResourceKind, update: AdsUpdate, bad: readonly RejectedResource[]): void {
    const refused = new Set(bad.map(({ name }) => name));
    if (isWildcard(kind)) return this.#stats.count(this.#prefixOf(`${kind}/*`), bad.length > 0 ? 'update_rejected' : 'update_success');
    for (const name of [...update.added.map((each) => each.name), ...update.removed])
      if (keys.has(`${kind}/${name}`)) this.#stats.count(this.#prefixOf(`${kind}/${name}`), refused.has(name) ? 'update_rejected' : 'update_success');
    return undefined;
  }

  #prefixOf(key: string): string {
    const [kind] = splitKey(key);
    return rootPrefix[kind] ?? this.#references.get(key)?.reference.statPrefix ?? `${kind}.`;
  }

  /** Clusters with what they need first, then listeners with what they need, then done. */
  #advance(): void {
    const waiting = this.#waiting('clusters');
    this.#stats.warming(new Set(waiting.flatMap((key) => [...this.#references.owners(key)])).size);
    if (this.#phase === 'clusters' && waiting.length === 0) {
      this.#phase = 'listeners';
      this.#options.onClustersReady();
      if (this.#roots.lds) this.#askRoot('listeners', this.#roots.lds);
    }
    if (this.#phase !== 'listeners' || this.#waiting('listeners').length > 0) return;
    this.#phase = 'done';
    void this.#tail.then(() => this.#options.onInitialized(), () => this.#options.onInitialized());
  }

  /** What of a kind, and of what it needs, has no first answer yet. */
  #waiting(kind: 'clusters' | 'listeners'): string[] {
    return [...this.#answers.keys()].filter((key) => key === `${kind}/*` || [...this.#references.owners(key)].some((owner) => owner.startsWith(`${kind}/`) || (kind === 'listeners' && owner.startsWith('scopes/'))));
  }
}
