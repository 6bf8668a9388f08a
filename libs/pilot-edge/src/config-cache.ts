import { ok, type Clock, type FieldError } from '@meltemi/base';
import {
  decode, keyText, mergeSources, problemText,
  type Config, type ConfigKey, type ConfigSource, type ConfigStore, type MergedEvent, type Origin, type RawObject, type ServiceEntrySpec, type SourceProblem, type StoreEvent,
} from '@meltemi/config';
import type { AddressOfHost } from '@meltemi/pilot';
import { LastGoodWriter, type LastGood, type NewestVersion } from './last-good-writer.ts';
import type { CacheLog } from './log.ts';
import { ProcessedVersions } from './processed-versions.ts';

/** One key of the mesh's configuration: its newest version, and what of it is in force. */
export interface CacheEntry {
  readonly key: ConfigKey;
  /** The newest version, good or not. */
  readonly raw: RawObject;
  readonly origin: Origin;
  /** What is in force: the newest version when it is valid, else the last good one, else nothing. */
  readonly config: Config | undefined;
  /** Why the newest version is quarantined; empty when it is in force. */
  readonly errors: readonly FieldError[];
  readonly warnings: readonly FieldError[];
}

/** One change, after it took effect here. */
export interface CacheChange {
  readonly type: 'added' | 'modified' | 'deleted';
  readonly entry: CacheEntry;
}

export interface ConfigCacheOptions {
  readonly store: ConfigStore;
  readonly storeName: string;
  readonly sources: readonly ConfigSource[];
  readonly log: CacheLog;
  readonly clock: Clock;
  /** Called after each whole commit (and once when everything is loaded), with what changed. */
  readonly onChange: (changes: readonly CacheChange[]) => void;
  /** Proxies of other pilots over the same store refused the newest versions of these, which are in force here: key texts. */
  readonly onRefusedElsewhere?: (objects: readonly string[]) => void;
  /** Following ended with an error after the start: a bug, and nothing would change any more. */
  readonly onFailure: (cause: unknown) => void;
}

/** Follows the store and the sources; decodes; quarantines what is wrong alone and keeps its last good version in force. The one writer of its state. */
export class ConfigCache {
  readonly #options: ConfigCacheOptions;
  readonly #entries = new Map<string, CacheEntry>();
  readonly #problems = new Map<string, { source: string; problem: SourceProblem }>();
  readonly #lastGood: LastGoodWriter;
  /** Entries that only memory of an earlier run gave back. */
  readonly #restored = new Map<string, LastGood>();
  /** Entries whose newest version decodes, but of which nobody has said yet that proxies take it. */
  readonly #unconfirmed = new Set<string>();
  readonly #decodedLastGood = new WeakMap<RawObject, { readonly config: Config | undefined }>();
  readonly #stopping = new AbortController();
  readonly #processed = new ProcessedVersions();
  #pending: CacheChange[] = [];
  #synced = false;
  /** Why the store is out of reach, while it is. */
  #outage: { readonly source: string; readonly problem: SourceProblem } | undefined;
  #done: Promise<void> = Promise.resolve();
  #learning: Promise<void> = Promise.resolve();

  constructor(options: ConfigCacheOptions) {
    this.#options = options;
    this.#lastGood = new LastGoodWriter(options.store.status, options.log, options.clock);
  }

  /** Loads everything; resolves when the store and every source have told all they had. */
  async start(): Promise<void> {
    await this.#lastGood.load(this.#stopping.signal);
    return new Promise((resolve, reject) => {
      const failed = (cause: unknown): void => {
        if (this.#synced) this.#options.onFailure(cause);
        else reject(cause instanceof Error ? cause : new Error(String(cause)));
      };
      this.#done = this.#follow(resolve);
      this.#done.catch(failed);
      this.#learning = this.#learn();
      this.#learning.catch(failed);
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled([this.#done, this.#learning]);
    await this.#lastGood.stop();
  }

  get(key: ConfigKey): CacheEntry | undefined {
    return this.#entries.get(keyText(key));
  }

  /** Every entry, in order of its key text. */
  entries(): CacheEntry[] {
    return [...this.#entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  }

  /** How many objects are set aside for what is in them. */
  get quarantinedCount(): number {
    let count = 0;
    for (const { errors } of this.#entries.values()) if (errors.length > 0) count += 1;
    return count;
  }

  /** What is in force. */
  *configs(): Generator<Config> {
    for (const entry of this.#entries.values()) if (entry.config) yield entry.config;
  }

  /** The version of an object that proxies took last, before the newest; undefined when none is known. The same object each time. */
  lastGood(key: ConfigKey): Config | undefined {
    const newest = this.get(key)?.raw;
    return this.#decodedOnce(newest ? this.#lastGood.before(newest) : this.#lastGood.of(key));
  }

  /** These versions are in force, and proxies take them: each becomes its object's last good one. Not `asked`: there are no proxies; what was taken before counts for more. */
  confirm(inForce: ReadonlyMap<string, Config>, { asked }: { readonly asked: boolean }): void {
    for (const text of this.#unconfirmed) {
      const entry = this.#entries.get(text);
      if (entry && entry.errors.length === 0 && (entry.config !== inForce.get(text) || (!asked && !this.#lastGood.isNewOrSame(entry.raw)))) continue;
      this.#unconfirmed.delete(text);
      if (entry && entry.errors.length === 0) this.#lastGood.good(entry.raw, entry.origin);
    }
  }

  /** Remembers what hosts of ServiceEntries were given, unless their objects say it themselves. */
  keepAddresses(given: (entry: Config<ServiceEntrySpec>) => readonly AddressOfHost[]): void {
    for (const { key, raw, config } of this.#entries.values()) {
      if (!config || !isServiceEntry(config)) continue;
      const now = given(config);
      this.#lastGood.keepAddresses(key, hasAddresses(raw.content['status']) ? [] : now);
    }
  }

  /** Rules in force that nobody is known to have taken: key text → the version taken last, if any. Empty when nothing at all is known, as at the very first start. */
  unproven(): ReadonlyMap<string, Config | undefined> {
    const found = new Map<string, Config | undefined>();
    if (this.#lastGood.all().length === 0) return found;
    for (const text of this.#unconfirmed) {
      const entry = this.#entries.get(text);
      if (entry?.config && entry.errors.length === 0 && entry.key.group !== '' && !this.#lastGood.isLastGood(entry.raw)) found.set(text, this.#lastGoodConfig(entry.key));
    }
    return found;
  }

  /** A live proxy would not take this version: remembered across restarts, until the object changes. */
  refuse(config: Config, errors: readonly FieldError[]): void {
    const entry = this.get(config.key);
    if (entry?.config === config && entry.errors.length === 0) this.#lastGood.refuse(versionOf(entry), errors);
  }

  /** Objects whose newest version a live proxy would not take: key text → why. */
  refused(): ReadonlyMap<string, readonly FieldError[]> {
    const found = new Map<string, readonly FieldError[]>();
    for (const { key } of this.#lastGood.refusals()) {
      const entry = this.get(key);
      const errors = entry && this.#lastGood.refusalOf(versionOf(entry));
      if (errors) found.set(keyText(key), errors);
    }
    return found;
  }

  /** What sources could not read, what is shadowed, and that the store is out of reach. */
  problems(): readonly { readonly source: string; readonly problem: SourceProblem }[] {
    return [...(this.#outage ? [this.#outage] : []), ...this.#problems.values()];
  }

  /** Resolves once the commit that made this store version has taken effect here. */
  processed(storeVersion: string, signal: AbortSignal): Promise<void> {
    return this.#processed.wait(storeVersion, signal);
  }

  /** Of the newest write to the store that has taken effect here, which other pilots over it reach, too; empty: none. */
  get writtenVersion(): string {
    return this.#processed.written;
  }

  async #follow(synced: () => void): Promise<void> {
    const { store, storeName, sources } = this.#options;
    const tapped = { watch: (options: Parameters<ConfigStore['watch']>[0], signal: AbortSignal) => this.#tap(store.watch(options, signal)) };
    for await (const event of mergeSources({ store: tapped, storeName, sources }, this.#stopping.signal)) {
      this.#take(event);
      if (event.type === 'synced') {
        this.#synced = true;
        this.#restore();
        this.#deliver();
        synced();
      }
    }
  }

  /** What other pilots over the store found out of versions. */
  async #learn(): Promise<void> {
    for await (const event of this.#options.store.status.watch(this.#stopping.signal)) {
      if (event.type === 'synced') continue;
      const newest = this.get(event.key);
      if (!this.#lastGood.learn(event, newest && versionOf(newest))) continue;
      const object = keyText(event.key);
      this.#options.log.warn({ object }, 'a proxy of another pilot refused an object that is in force here: it is set aside');
      this.#options.onRefusedElsewhere?.([object]);
    }
  }

  /** Code after a yield runs when the consumer comes back, that is, when the event has taken effect. */
  async *#tap(events: AsyncIterable<StoreEvent>): AsyncGenerator<StoreEvent> {
    for await (const event of events) {
      yield event;
      this.#processed.took(event);
    }
  }

  #take(event: MergedEvent): void {
    switch (event.type) {
      case 'put':
        this.#put(event.object, event.origin);
        if (!event.more) this.#deliver();
        return;
      case 'delete':
        this.#delete(event.key);
        if (!event.more) this.#deliver();
        return;
      case 'problem':
        this.#problems.set(problemText(event.problem), event);
        this.#options.log.warn({ source: event.source, ...event.problem }, 'config source has a problem; the last good state stays in force');
        return;
      case 'problem-cleared':
        this.#problems.delete(problemText(event.problem));
        // What is cleared is often told anew in the same breath, a line further down.
        if (this.#restored.size > 0) setImmediate(() => this.#dropRestored());
        return;
      case 'interrupted':
        this.#outage ??= { source: this.#options.storeName, problem: { file: '', line: 0, path: '', message: `out of reach since ${new Date(this.#options.clock.now()).toISOString()}: ${event.reason}; the last state stays in force, and nothing can be applied until it is back` } };
        this.#options.log.warn({ reason: event.reason }, 'the config store is out of reach; the last state stays in force');
        return;
      case 'restored':
        this.#outage = undefined;
        this.#options.log.info({}, 'the config store is back');
        return;
      case 'synced':
        return;
    }
  }

  #put(raw: RawObject, origin: Origin): void {
    const text = keyText(raw.key);
    const before = this.#entries.get(text);
    const decoded = this.#decode(raw);
    const entry: CacheEntry = decoded.ok
      ? { key: raw.key, raw, origin, config: decoded.value.config, errors: [], warnings: decoded.value.warnings }
      : { key: raw.key, raw, origin, config: before?.config ?? this.#lastGoodConfig(raw.key), errors: decoded.error, warnings: [] };
    this.#restored.delete(text);
    this.#lastGood.replaced(versionOf(entry));
    if (decoded.ok) this.#unconfirmed.add(text);
    else this.#options.log.warn({ object: text, errors: decoded.error, origin, lastGoodInForce: entry.config !== undefined }, 'object quarantined');
    this.#entries.set(text, entry);
    this.#pending.push({ type: before ? 'modified' : 'added', entry });
  }

  #delete(key: ConfigKey, text = keyText(key)): void {
    const entry = this.#entries.get(text);
    if (!entry) return;
    this.#entries.delete(text);
    this.#restored.delete(text);
    this.#unconfirmed.delete(text);
    this.#lastGood.gone(versionOf(entry));
    this.#pending.push({ type: 'deleted', entry });
  }

  /** After a start: an object in a file or value that cannot be read now stays in force as it last was; one that vanished from the store meanwhile is gone. */
  #restore(): void {
    for (const lastGood of this.#lastGood.all()) {
      const { raw, file } = lastGood;
      const text = keyText(raw.key);
      if (this.#entries.has(text)) continue;
      const hiding = this.#hiding(lastGood);
      const decoded = this.#decode(raw);
      if (hiding && decoded.ok) {
        const { source, problem } = hiding;
        const origin: Origin = { source, resourceVersion: '', location: { file: problem.file, line: problem.line } };
        const entry: CacheEntry = { key: raw.key, raw, origin, config: decoded.value.config, errors: [{ path: problem.path, message: `cannot be read any more: ${problem.message}` }], warnings: [] };
        this.#entries.set(text, entry);
        this.#restored.set(text, lastGood);
        this.#pending.push({ type: 'added', entry });
      } else if (!hiding && file === undefined) this.#lastGood.gone({ raw, version: '' });
    }
    this.#lastGood.forgetAddresses((key) => !this.#entries.has(keyText(key)));
  }

  /** With the addresses that its hosts were given in an earlier run, as its status. */
  #decode(raw: RawObject): ReturnType<typeof decode> {
    const decoded = decode(raw);
    if (!decoded.ok || !isServiceEntry(decoded.value.config) || hasAddresses(decoded.value.config.status)) return decoded;
    const addresses = this.#lastGood.addresses(raw.key);
    return addresses.length === 0 ? decoded : ok({ ...decoded.value, config: { ...decoded.value.config, status: { ...decoded.value.config.status, addresses } } });
  }

  #dropRestored(): void {
    for (const [text, lastGood] of this.#restored) if (!this.#hiding(lastGood)) this.#delete(lastGood.raw.key, text);
    this.#deliver();
  }

  /** The problem that may hide this object. */
  #hiding({ raw, file }: LastGood): { source: string; problem: SourceProblem } | undefined {
    const text = keyText(raw.key);
    return [...this.#problems.values()].find(({ problem }) => (file === undefined ? problem.key !== undefined && keyText(problem.key) === text : file === problem.file || file.startsWith(`${problem.file}/`)));
  }

  #lastGoodConfig(key: ConfigKey): Config | undefined {
    return this.#decodedOnce(this.#lastGood.of(key));
  }

  #decodedOnce(raw: RawObject | undefined): Config | undefined {
    if (!raw) return undefined;
    const known = this.#decodedLastGood.get(raw);
    if (known) return known.config;
    const decoded = this.#decode(raw);
    const config = decoded.ok ? decoded.value.config : undefined;
    this.#decodedLastGood.set(raw, { config });
    return config;
  }

  #deliver(): void {
    if (!this.#synced || this.#pending.length === 0) return;
    const changes = this.#pending;
    this.#pending = [];
    this.#options.onChange(changes);
  }
}

function versionOf({ raw, origin }: CacheEntry): NewestVersion {
  return { raw, version: origin.resourceVersion };
}

function isServiceEntry(config: Config): config is Config<ServiceEntrySpec> {
  return config.key.kind === 'ServiceEntry' && config.key.group === 'networking.istio.io';
}

function hasAddresses(status: unknown): boolean {
  const { addresses } = (status ?? {}) as { readonly addresses?: unknown };
  return Array.isArray(addresses) && addresses.length > 0;
}
