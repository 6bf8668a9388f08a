import type { Clock } from '@meltemi/base';
import type { Entropy } from '../entropy.ts';
import type { IssuedStore } from '../keystore.ts';
import type { IssuedRecord } from './issued-record.ts';

export interface IssuedLogOptions {
  readonly store: IssuedStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Records cannot be kept, or had to be forgotten. Said once for as long as it lasts. */
  readonly onProblem: (reason: string) => void;
}

/** All that is known of certificates that have not ended, whichever citadel issued them. */
export interface KnownIssued {
  readonly bySerial: ReadonlyMap<string, IssuedRecord>;
  /** What may be missing, for people; "" when nothing is. */
  readonly missing: string;
}

/** Of listing what is kept again. */
const maxRounds = 10;
/** For whoever can do without. */
const soonMs = 2000;
/** What a kill can lose. */
const flushMs = 1000;
const retryMs = 10_000;
const pruneMs = 600_000;
/** While the store is away. */
const maxPending = 20_000;
/** Of one batch: a value of at most 256 KiB, sealed. */
const maxBatchRecords = 1000;
const maxBatchChars = 180_000;
/** So many small batches become one. */
const mergedAt = 64;
/** Over all citadels of a keystore. */
const maxKept = 100_000;

interface Batch {
  readonly name: string;
  readonly records: readonly IssuedRecord[];
}

/**
 * Which certificates were issued, kept for as long as they live, so that an identity's can be revoked after a restart and at any citadel. Issuance never waits
 * for it: records are written together a second later, one value each time; small values are merged, ended ones go by their name. What a kill loses, the last
 * second, does not renew once its identity is revoked, and can be revoked by serial.
 */
export class IssuedLog {
  readonly #options: IssuedLogOptions;
  #pending: IssuedRecord[] = [];
  #small: Batch[] = [];
  #writing: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;
  #pruneAt = 0;
  #problem = '';
  #capped = false;
  #stopped = false;

  constructor(options: IssuedLogOptions) {
    this.#options = options;
  }

  add(record: IssuedRecord): void {
    this.#pending.push(record);
    if (this.#pending.length > maxPending) {
      this.#pending = this.#pending.slice(-maxPending / 2);
      this.#say(`more than ${maxPending} issued certificates wait for the keystore: the oldest are forgotten, and can be revoked by serial alone`);
    }
    if (!this.#stopped) this.#cancel ??= this.#options.clock.after(flushMs, () => void this.flush());
  }

  /** Writes what is not written yet. Resolves also when that fails: it is tried again. */
  flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Everything that has not ended, of what was issued before the call. Rejects when the store cannot be reached. */
  async known(now: number): Promise<KnownIssued> {
    await this.#writing;
    const records = [...this.#pending];
    const damaged = new Set<string>();
    const read = new Set<string>();
    // Listed again until nothing new comes: another citadel may merge what was listed before it is read here.
    let names = await this.#unread(read, now);
    for (let round = 0; names.length > 0 && round < maxRounds; round += 1) {
      const loaded = await this.#options.store.loadIssued(names);
      for (const name of names) read.add(name);
      for (const name of loaded.damaged) damaged.add(name);
      records.push(...loaded.records);
      names = await this.#unread(read, now);
    }
    const missing = [
      ...(damaged.size === 0 ? [] : [`${damaged.size} values of the keystore that say what was issued cannot be read: certificates in them were not found`]),
      ...(names.length === 0 ? [] : ['others wrote what they issued all the while: revoke again to be sure that nothing is missing']),
    ].join('; ');
    return { bySerial: new Map(records.filter(({ notAfter }) => notAfter > now).map((record) => [record.serial, record])), missing };
  }

  /** The same for whoever can do without: undefined, or why it is not known within 2 s. */
  async knownSoon(now: number): Promise<KnownIssued | { readonly bySerial: undefined; readonly missing: string }> {
    const unknown = (why: string) => ({ bySerial: undefined, missing: `what was issued could not be read${why}: whether these were is not known` });
    const known = this.known(now).catch((cause: unknown) => unknown(` (${cause instanceof Error ? cause.message : String(cause)})`));
    let cancel = (): void => undefined;
    const late = new Promise<ReturnType<typeof unknown>>((resolve) => {
      cancel = this.#options.clock.after(soonMs, () => resolve(unknown(` within ${soonMs} ms`)));
    });
    return Promise.race([known, late]).finally(() => cancel());
  }

  async #unread(read: ReadonlySet<string>, now: number): Promise<readonly string[]> {
    return (await this.#options.store.issuedNames()).filter((name) => endOf(name) > now && !read.has(name));
  }

  /** Forgets what has ended, now and then; to be called more often. Rejects when the store cannot be reached. */
  async prune(now: number): Promise<void> {
    const { store, clock } = this.#options;
    if (clock.monotonic() < this.#pruneAt) return;
    this.#pruneAt = clock.monotonic() + pruneMs;
    const names = (await store.issuedNames()).toSorted();
    const alive = names.filter((name) => endOf(name) > now);
    let surplus = alive.reduce((sum, name) => sum + countOf(name), 0) - maxKept;
    // What ends first does the least harm.
    const excess = alive.filter((name) => surplus > 0 && ((surplus -= countOf(name)), true));
    if (excess.length > 0 && !this.#capped) this.#options.onProblem(`more than ${maxKept} certificates are alive: those that end first are forgotten, and can be revoked by serial alone`);
    this.#capped = excess.length > 0;
    const gone = new Set([...names.filter((name) => endOf(name) <= now), ...excess]);
    this.#small = this.#small.filter(({ name }) => !gone.has(name));
    if (gone.size > 0) await store.removeIssued([...gone]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.flush();
    this.#cancel?.();
  }

  async #write(): Promise<void> {
    for (let batch = this.#next(); batch; batch = this.#next()) {
      const taken = new Set(batch.records);
      try {
        await this.#options.store.addIssued(batch.name, batch.records);
      } catch (cause) {
        this.#say(`which certificates were issued cannot be kept: ${cause instanceof Error ? cause.message : String(cause)}`);
        if (!this.#stopped) this.#cancel ??= this.#options.clock.after(retryMs, () => void this.flush());
        return;
      }
      this.#pending = this.#pending.filter((record) => !taken.has(record));
      this.#problem = '';
      this.#small.push(batch);
    }
    // A merge that fails costs room, not records.
    await this.#merge().catch(() => undefined);
  }

  #next(): Batch | undefined {
    const [first] = this.#pending;
    if (!first) return undefined;
    const now = this.#options.clock.now();
    const wanted = spanOf(first, now);
    return this.#batch(fitting(this.#pending.filter((record) => spanOf(record, now) === wanted)));
  }

  async #merge(): Promise<void> {
    const now = this.#options.clock.now();
    for (const small of Map.groupBy(this.#small, ({ records: [first] }) => (first ? spanOf(first, now) : 0)).values()) {
      const records = small.flatMap((batch) => batch.records);
      if (small.length < mergedAt && records.length < maxBatchRecords / 2) continue;
      const merged = new Set(small);
      this.#small = this.#small.filter((batch) => !merged.has(batch));
      if (small.length === 1) continue;
      for (let rest = records; rest.length > 0; ) {
        const batch = this.#batch(fitting(rest));
        rest = rest.slice(batch.records.length);
        await this.#options.store.addIssued(batch.name, batch.records);
      }
      await this.#options.store.removeIssued(small.map(({ name }) => name));
    }
  }

  #batch(records: readonly IssuedRecord[]): Batch {
    const end = Math.ceil(Math.max(...records.map(({ notAfter }) => notAfter)) / 1000);
    return { name: `${String(end).padStart(11, '0')}n${records.length}r${this.#options.entropy.bytes(8).toString('hex')}`, records };
  }

  #say(reason: string): void {
    if (reason === this.#problem) return;
    this.#problem = reason;
    this.#options.onProblem(reason);
  }
}

/** Certificates of one batch end at similar times, so that it goes as a whole: within a factor of two of what they have left. */
function spanOf({ notAfter }: IssuedRecord, now: number): number {
  return Math.floor(Math.log2(Math.max(1, (notAfter - now) / 60_000)));
}

function fitting(records: readonly IssuedRecord[]): readonly IssuedRecord[] {
  let chars = 0;
  let count = 0;
  for (const { serial, spiffeId } of records) {
    chars += serial.length + spiffeId.length + 24;
    if (count === maxBatchRecords || (count > 0 && chars > maxBatchChars)) break;
    count += 1;
  }
  return records.slice(0, count);
}

/** When the last of a batch ends, milliseconds since the epoch; a name that is none of ours never does. */
function endOf(name: string): number {
  const [, seconds] = /^(\d{11})n\d+r[0-9a-f]+$/.exec(name) ?? [];
  return seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1000;
}

function countOf(name: string): number {
  return Number(/n(\d+)r/.exec(name)?.[1] ?? 0);
}
