import { createHash } from 'node:crypto';
import { keyText, type ConfigKey, type Origin, type RawObject, type StatusRecord, type StatusStore, type StatusUpdate } from '@meltemi/config';
import type { Clock, FieldError } from '@meltemi/base';
import type { AddressOfHost } from '@meltemi/pilot';
import type { CacheLog } from './log.ts';

/** The last version of an object that was good, and the file it stood in; no file: the store. */
export interface LastGood {
  readonly raw: RawObject;
  readonly file: string | undefined;
}

/** A version that a live proxy would not take. */
export interface RefusedVersion {
  readonly key: ConfigKey;
  /** Hash of its content: any other version is another matter. */
  readonly content: string;
  /** Its version in the store, which tells it from the same content applied again; undefined when it stood in a file. */
  readonly version: string | undefined;
  readonly errors: readonly FieldError[];
}

/** An object as it is now: what it says, and which version of the store that is; '' in a file. */
export interface NewestVersion {
  readonly raw: RawObject;
  readonly version: string;
}

const maxBatch = 50;
/** Below the store's limit for one write. */
const maxBatchBytes = 1024 * 1024;
const retryMs = 1000;
/** Workloads change all the time and are told again by whoever runs them; what people write is what must survive. */
const lastingKinds = new Set(['Service', 'Namespace', 'ConfigMap', 'Secret']);

/**
 * Remembers each object's last good version in the store, which version a live proxy refused, so that a restarted pilot and all others over the store know
 * when the newest version is bad, and the addresses that hosts of ServiceEntries were given. Writes in batches, behind; retries while the store is away.
 */
export class LastGoodWriter {
  readonly #status: StatusStore;
  readonly #log: CacheLog;
  readonly #clock: Clock;
  readonly #known = new Map<string, LastGood>();
  /** What was good before the newest good version: a proxy, most often another pilot's, may refuse later what all had taken here. */
  readonly #before = new Map<string, LastGood>();
  readonly #refused = new Map<string, RefusedVersion>();
  readonly #addresses = new Map<string, { readonly key: ConfigKey; readonly given: readonly AddressOfHost[] }>();
  readonly #queue = new Map<string, StatusUpdate>();
  #writing: Promise<void> | undefined;
  #cancelRetry = () => {};
  #stopped = false;

  constructor(status: StatusStore, log: CacheLog, clock: Clock) {
    this.#status = status;
    this.#log = log;
    this.#clock = clock;
  }

  /** Reads what is kept; waits for a store that is away, since starting without would forget what is in force. */
  async load(signal: AbortSignal): Promise<void> {
    for (;;) {
      const listed = await this.#status.list();
      if (listed.ok) return this.#remember(listed.value);
      this.#log.warn({ reason: listed.error.message }, 'last good versions could not be read; trying again');
      if (signal.aborted || listed.error.code !== 'unavailable') return;
      await this.#pause(signal);
    }
  }

  /**
   * Another pilot over the store, or this one, wrote this of an object whose newest version, as far as it is seen here, is `current`. True when that version was
   * refused, and this is news, or tells what was good before. Whoever did not know of either and wrote last has not taken it back: it is written again. Not so
   * over a refusal of another version: two pilots that read different ones would write in turns without end.
   */
  learn({ key, record }: Pick<StatusUpdate, 'key' | 'record'>, current: NewestVersion | undefined): boolean {
    const text = keyText(key);
    if (!record && !current) {
      for (const kept of [this.#known, this.#before, this.#refused]) kept.delete(text);
      return false;
    }
    const mine = this.#refused.get(text);
    const told = record && refusedIn(key, record);
    // Told late, of a version that was replaced by then: whoever wrote it has forgotten it since.
    const theirs = told && current && isBefore(told.version, current.version) ? undefined : told;
    const good = record?.lastGood;
    if (!mine && !theirs && (!good || !current)) return false;
    const mineHolds = mine !== undefined && current !== undefined && isOf(mine, current);
    const isNews = theirs !== undefined && (!mine || isBefore(mine.version, theirs.version) || (theirs.content !== mine.content && !mineHolds));
    if (isNews) this.#setRefused(theirs);
    else if (!theirs && mine && !mineHolds && !isBefore(current?.version, mine.version)) this.#refused.delete(text);
    const refused = this.#refused.get(text);
    const known = this.#known.get(text);
    const goodIsRefused = good !== undefined && refused !== undefined && contentHash(good) === refused.content;
    // What waits to be written is the later word, and nothing is newer than the newest version.
    if (good && !goodIsRefused && !this.#queue.has(text) && !(current && this.isLastGood(current.raw))) this.#setKnown({ raw: good, file: this.#known.get(text)?.file ?? fileOf(record.status) });
    if (!refused || !current || !isOf(refused, current)) return false;
    if (!theirs || (isOf(theirs, current) && (goodIsRefused || (!good && this.#shared(key))))) this.#keep(key);
    return isNews || (!known && this.#known.has(text));
  }

  of(key: ConfigKey): RawObject | undefined {
    return this.#known.get(keyText(key))?.raw;
  }

  /** What was good before this version; the last good one, unless it is this. */
  before(raw: RawObject): RawObject | undefined {
    return this.isLastGood(raw) ? this.#before.get(keyText(raw.key))?.raw : this.of(raw.key);
  }

  all(): readonly LastGood[] {
    return [...this.#known.values()];
  }

  good(raw: RawObject, origin: Origin): void {
    const text = keyText(raw.key);
    const file = origin.location === undefined || origin.location.file === '' ? undefined : origin.location.file;
    const known = this.#known.get(text);
    if (!lasts(raw.key) || this.refusalOf({ raw, version: origin.resourceVersion }) !== undefined || (known?.file === file && JSON.stringify(known?.raw.content) === JSON.stringify(raw.content))) return;
    this.#setKnown({ raw, file });
    this.#keep(raw.key);
  }

  /** True when this very content was taken last. */
  isLastGood(raw: RawObject): boolean {
    const known = this.of(raw.key);
    return known !== undefined && JSON.stringify(known.content) === JSON.stringify(raw.content);
  }

  /** True when no other content is known to be good. */
  isNewOrSame(raw: RawObject): boolean {
    return this.of(raw.key) === undefined || this.isLastGood(raw);
  }

  /** A live proxy would not take this version. */
  refuse({ raw, version }: NewestVersion, errors: readonly FieldError[]): void {
    this.#setRefused({ key: raw.key, content: contentHash(raw), version: version || undefined, errors });
    if (lasts(raw.key)) this.#keep(raw.key);
  }

  /** What is known against this very version. */
  refusalOf(newest: NewestVersion): readonly FieldError[] | undefined {
    const refused = this.#refused.get(keyText(newest.raw.key));
    return refused && isOf(refused, newest) ? refused.errors : undefined;
  }

  /** Versions refused; most objects have none. */
  refusals(): readonly RefusedVersion[] {
    return [...this.#refused.values()];
  }

  /** There is another version now. What is known against a later one that is not seen here yet holds. */
  replaced(newest: NewestVersion): void {
    const refused = this.#refused.get(keyText(newest.raw.key));
    if (!refused || isOf(refused, newest) || isBefore(newest.version, refused.version)) return;
    this.#refused.delete(keyText(newest.raw.key));
    this.#keep(newest.raw.key);
  }

  /** What the hosts of an entry were given. */
  addresses(key: ConfigKey): readonly AddressOfHost[] {
    return this.#addresses.get(keyText(key))?.given ?? [];
  }

  keepAddresses(key: ConfigKey, given: readonly AddressOfHost[]): void {
    if (JSON.stringify(given) === JSON.stringify(this.addresses(key))) return;
    if (given.length > 0) this.#addresses.set(keyText(key), { key, given });
    else this.#addresses.delete(keyText(key));
    this.#keep(key);
  }

  /** Those of objects that are gone. */
  forgetAddresses(isGone: (key: ConfigKey) => boolean): void {
    for (const { key } of [...this.#addresses.values()].filter((each) => isGone(each.key))) this.keepAddresses(key, []);
  }

  /** Its object is gone, which may be seen here late: what is known of one with its name that was applied since stays, here and in the store. */
  gone({ raw, version }: NewestVersion): void {
    const text = keyText(raw.key);
    const [known, refused] = [this.#known.get(text), this.#refused.get(text)];
    this.#before.delete(text);
    const isLater = known !== undefined && createdAt(known.raw) !== createdAt(raw);
    const had = [!isLater && this.#known.delete(text), !isBefore(version, refused?.version) && this.#refused.delete(text), this.#addresses.delete(text)];
    if (had.includes(true)) this.#enqueue({ key: raw.key, record: undefined, unlessStored: true });
  }

  #setKnown(good: LastGood): void {
    const text = keyText(good.raw.key);
    const known = this.#known.get(text);
    const isSame = known !== undefined && JSON.stringify(known.raw.content) === JSON.stringify(good.raw.content);
    if (known && !isSame) this.#before.set(text, known);
    // What was made of it is kept by the object.
    this.#known.set(text, isSame ? { raw: known.raw, file: good.file } : good);
  }

  #setRefused(refused: RefusedVersion): void {
    const text = keyText(refused.key);
    this.#refused.set(text, refused);
    const [known, before] = [this.#known.get(text), this.#before.get(text)];
    if (!known || contentHash(known.raw) !== refused.content) return;
    // It was taken for good before everybody was asked.
    if (before) this.#known.set(text, before);
    else this.#known.delete(text);
    this.#before.delete(text);
  }

  #keep(key: ConfigKey): void {
    const [known, refused, addresses] = [this.#shared(key), this.#refused.get(keyText(key)), this.#addresses.get(keyText(key))];
    const status = { ...(addresses ? { addresses: addresses.given } : {}), ...(known?.file === undefined ? {} : { file: known.file }), ...(refused ? { refused: { content: refused.content, version: refused.version, errors: refused.errors } } : {}) };
    this.#enqueue({ key, record: known || refused || addresses ? { status, ...(known ? { lastGood: known.raw } : {}) } : undefined });
  }

  /** The last good version, as far as the store may have it: keys in a file are no business of the store. */
  #shared(key: ConfigKey): LastGood | undefined {
    const known = this.#known.get(keyText(key));
    return isSecret(key) && known?.file !== undefined ? undefined : known;
  }

  /** Writes what waits, once. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry();
    await this.#writing;
    await this.#drain();
  }

  #remember(kept: readonly { readonly key: ConfigKey; readonly record: StatusRecord }[]): void {
    for (const { key, record } of kept) {
      const given = addressesIn(record.status['addresses']);
      if (given.length > 0) this.#addresses.set(keyText(key), { key, given });
      if (record.lastGood) this.#known.set(keyText(key), { raw: record.lastGood, file: fileOf(record.status) });
      const refused = refusedIn(key, record);
      if (refused) this.#refused.set(keyText(key), refused);
    }
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(retryMs, resolve);
      signal.addEventListener('abort', () => (cancel(), resolve()), { once: true });
    });
  }

  #enqueue(update: StatusUpdate): void {
    this.#queue.set(keyText(update.key), update);
    this.#start();
  }

  #start(): void {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  async #drain(): Promise<void> {
    while (this.#queue.size > 0) {
      const batch = this.#take();
      const written = await this.#status.write(batch);
      if (written.ok) {
        this.#log.info({ objects: batch.map(({ key }) => keyText(key)) }, 'last good versions kept');
        continue;
      }
      const { code, message } = written.error;
      this.#log.warn({ reason: message, objects: batch.map(({ key }) => keyText(key)) }, 'last good versions could not be kept; they stay in memory');
      if (code !== 'unavailable' || this.#stopped) continue;
      for (const update of batch) if (!this.#queue.has(keyText(update.key))) this.#queue.set(keyText(update.key), update);
      this.#cancelRetry = this.#clock.after(retryMs, () => this.#start());
      return;
    }
  }

  #take(): StatusUpdate[] {
    const batch: StatusUpdate[] = [];
    let bytes = 0;
    for (const [text, update] of this.#queue) {
      bytes += JSON.stringify(update).length;
      if (batch.length > 0 && (batch.length >= maxBatch || bytes > maxBatchBytes)) break;
      batch.push(update);
      this.#queue.delete(text);
    }
    return batch;
  }
}

function refusedIn(key: ConfigKey, { status }: StatusRecord): RefusedVersion | undefined {
  const { content, version, errors } = (status['refused'] ?? {}) as { readonly content?: unknown; readonly version?: unknown; readonly errors?: unknown };
  return typeof content === 'string' && Array.isArray(errors) ? { key, content, version: typeof version === 'string' ? version : undefined, errors: errors as FieldError[] } : undefined;
}

function isOf(refused: RefusedVersion, { raw, version }: NewestVersion): boolean {
  return (refused.version === undefined || refused.version === version) && refused.content === contentHash(raw);
}

/** Versions of one store count up; of objects in files nothing can be said. */
function isBefore(version: string | undefined, other: string | undefined): boolean {
  return !!version && !!other && Number(version) < Number(other);
}

/** Tells an object from one of its name that was deleted: the store stamps it. */
function createdAt({ content }: RawObject): unknown {
  return (content['metadata'] as { readonly creationTimestamp?: unknown } | undefined)?.creationTimestamp;
}

function fileOf({ file }: StatusRecord['status']): string | undefined {
  return typeof file === 'string' ? file : undefined;
}

function addressesIn(value: unknown): readonly AddressOfHost[] {
  return Array.isArray(value) ? value.filter((each): each is AddressOfHost => typeof (each as Partial<AddressOfHost> | null)?.value === 'string' && typeof (each as Partial<AddressOfHost>).host === 'string') : [];
}

function contentHash({ content }: RawObject): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('base64url');
}

function isSecret({ group, kind }: ConfigKey): boolean {
  return group === '' && kind === 'Secret';
}

function lasts({ group, kind }: ConfigKey): boolean {
  return group.endsWith('.istio.io') || group === 'gateway.networking.k8s.io' || (group === '' && lastingKinds.has(kind));
}
