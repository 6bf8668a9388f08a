import type { IEvent, IKeyValue, IWatchRequest, IWatchResponse } from 'etcd3';
import { withDeadline } from '@meltemi/base';
import { prefixEnd } from './etcd-keys.ts';
import type { EtcdClient, Listing } from './etcd-client.ts';

/** `kv` undefined: deleted. */
export interface KeyChange {
  readonly key: string;
  readonly kv: IKeyValue | undefined;
}

/**
 * base: everything, at the start (`told`: the consumer has it already, since it resumes). reset: everything, because etcd no longer has the history since
 * the version asked for. commit: the changes of one revision, or the difference over a compaction. caught-up: after the start and after each interruption.
 */
export type PrefixStep =
  | { readonly type: 'base'; readonly kvs: readonly IKeyValue[]; readonly revision: number; readonly told: boolean }
  | { readonly type: 'reset'; readonly kvs: readonly IKeyValue[]; readonly revision: number }
  /** `relisted`: the difference between two listings, at the revision of the later one. */
  | { readonly type: 'commit'; readonly changes: readonly KeyChange[]; readonly revision: number; readonly relisted?: true }
  | { readonly type: 'caught-up'; readonly revision: number }
  | { readonly type: 'interrupted'; readonly reason: string };

export interface FollowPrefixOptions {
  readonly client: EtcdClient;
  readonly prefix: string;
  /** Go on after this revision; anything that is none of this etcd's starts with a reset. */
  readonly from: string | undefined;
  readonly silenceMs: number;
}

/** Follows a prefix for as long as `signal` lasts, through lost connections, lost leaders, compactions and restored backups: each revision once, in order. */
export async function* followPrefix(options: FollowPrefixOptions, signal: AbortSignal): AsyncGenerator<PrefixStep> {
  const follower = new Follower(options, signal);
  let failures = 0;
  while (!signal.aborted) {
    try {
      for await (const step of follower.run()) {
        if (step.type === 'caught-up') failures = 0;
        yield step;
      }
    } catch (cause) {
      if (signal.aborted) return;
      if (failures === 0) yield { type: 'interrupted', reason: cause instanceof Error ? cause.message : String(cause) };
      await options.client.pause(failures);
      failures += 1;
    }
  }
}

type Stream = Awaited<ReturnType<EtcdClient['openWatch']>>;

class Follower {
  readonly #options: FollowPrefixOptions;
  readonly #signal: AbortSignal;
  /** The last revision whose changes were all told. */
  #cursor: number | undefined;
  /** The modification revision of each key as told. */
  readonly #told = new Map<string, number>();

  constructor(options: FollowPrefixOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** One connection's life; throws when it is lost. Ends when aborted. */
  async *run(): AsyncGenerator<PrefixStep> {
    if (this.#cursor === undefined) yield* this.#start();
    const stream = await this.#options.client.openWatch(this.#options.prefix);
    const asking = setInterval(() => stream.write({ progress_request: {} }), this.#options.silenceMs / 3);
    asking.unref();
    const cancel = (): void => stream.cancel();
    this.#signal.addEventListener('abort', cancel, { once: true });
    try {
      stream.write(this.#createRequest());
      yield* this.#read(stream);
    } finally {
      clearInterval(asking);
      this.#signal.removeEventListener('abort', cancel);
      // A cancelled stream still reports that it was cancelled.
      stream.on('error', () => undefined);
      stream.cancel();
    }
  }

  async *#start(): AsyncGenerator<PrefixStep> {
    const { client, prefix, from } = this.#options;
    if (from === undefined) {
      const listing = await client.list(prefix);
      this.#take(listing);
      yield { type: 'base', told: false, ...listing };
      return;
    }
    const past = /^[1-9]\d{0,14}$/.test(from) ? await this.#listPast(Number(from)) : undefined;
    const listing = past ?? (await client.list(prefix));
    this.#take(listing);
    yield past === undefined ? { type: 'reset', ...listing } : { type: 'base', told: true, ...listing };
  }

  /** The prefix as it was, or undefined when etcd does not know that revision (any more, or yet). */
  async #listPast(revision: number): Promise<Listing | undefined> {
    try {
      return await this.#options.client.list(this.#options.prefix, { revision });
    } catch (cause) {
      if (cause instanceof Error && /required revision/.test(cause.message)) return undefined;
      throw cause;
    }
  }

  async *#read(stream: Stream): AsyncGenerator<PrefixStep> {
    const responses = stream[Symbol.asyncIterator]() as AsyncIterator<IWatchResponse>;
    /** Keys that were different when the stream began: what must be told before this is caught up. undefined: it is. */
    let behind: Behind | undefined;
    let open: { revision: number; changes: KeyChange[] } | undefined;
    for (;;) {
      const next = await withDeadline(responses.next(), this.#options.silenceMs, 'the etcd watch');
      if (this.#signal.aborted) return;
      if (next.done === true) throw new Error('the etcd watch ended');
      const response = next.value;
      if (response.canceled) {
        if (Number(response.compact_revision) === 0) throw new Error(`etcd cancelled the watch: ${response.cancel_reason || 'no reason given'}`);
        yield* this.#relist();
        return;
      }
      if (response.created) {
        behind = new Behind(await this.#options.client.list(this.#options.prefix, { keysOnly: true }), this.#told);
        if (behind.revision < (this.#cursor ?? 0)) {
          // etcd went back in time: a restored backup, or an empty one in its place.
          yield* this.#relist();
          return;
        }
      }
      for (const event of response.events) {
        const revision = Number(event.kv.mod_revision);
        if (revision <= (this.#cursor ?? 0)) continue;
        if (open !== undefined && open.revision !== revision) yield this.#tell(open, behind);
        if (open?.revision !== revision) open = { revision, changes: [] };
        open.changes.push(changeOf(event));
      }
      // A fragment may end inside a revision; only a whole one is told, so that a resume neither repeats nor skips part of it.
      if (open !== undefined && !response.fragment) {
        yield this.#tell(open, behind);
        open = undefined;
      }
      if (behind?.isEmpty() === true) {
        yield { type: 'caught-up', revision: Math.max(behind.revision, this.#cursor ?? 0) };
        behind = undefined;
      }
    }
  }

  #tell(commit: { revision: number; changes: KeyChange[] }, behind: Behind | undefined): PrefixStep {
    for (const { key, kv } of commit.changes) {
      if (kv === undefined) this.#told.delete(key);
      else this.#told.set(key, commit.revision);
      behind?.note(key, this.#told.get(key));
    }
    behind?.reached(commit.revision);
    this.#cursor = commit.revision;
    return { type: 'commit', ...commit };
  }

  /** Lists again and tells the difference; the next run continues from there. */
  async *#relist(): AsyncGenerator<PrefixStep> {
    const listing = await this.#options.client.list(this.#options.prefix);
    const now = new Map(listing.kvs.map((kv) => [kv.key.toString(), kv]));
    const changes: KeyChange[] = [];
    for (const key of this.#told.keys()) if (!now.has(key)) changes.push({ key, kv: undefined });
    for (const [key, kv] of now) if (this.#told.get(key) !== Number(kv.mod_revision)) changes.push({ key, kv });
    this.#take(listing);
    if (changes.length > 0) yield { type: 'commit', changes, revision: listing.revision, relisted: true };
  }

  #take(listing: Listing): void {
    this.#told.clear();
    for (const kv of listing.kvs) this.#told.set(kv.key.toString(), Number(kv.mod_revision));
    this.#cursor = listing.revision;
  }

  #createRequest(): IWatchRequest {
    const { prefix } = this.#options;
    const start = (this.#cursor ?? 0) + 1;
    return { create_request: { key: Buffer.from(prefix), range_end: prefixEnd(prefix), start_revision: String(start), progress_notify: true, fragment: true } };
  }
}

/** What separates what was told from a later listing. Progress messages cannot say that: etcd before 3.4.25 sends them ahead of events still on their way. */
class Behind {
  readonly revision: number;
  readonly #target: ReadonlyMap<string, number>;
  readonly #keys = new Set<string>();

  constructor(listing: Listing, told: ReadonlyMap<string, number>) {
    this.revision = listing.revision;
    this.#target = new Map(listing.kvs.map((kv) => [kv.key.toString(), Number(kv.mod_revision)]));
    for (const key of new Set([...told.keys(), ...this.#target.keys()])) if (told.get(key) !== this.#target.get(key)) this.#keys.add(key);
  }

  note(key: string, revision: number | undefined): void {
    if (revision === this.#target.get(key)) this.#keys.delete(key);
  }

  /** Revisions come in order: at or beyond the listing's, all of it was told. */
  reached(revision: number): void {
    if (revision >= this.revision) this.#keys.clear();
  }

  isEmpty(): boolean {
    return this.#keys.size === 0;
  }
}

function changeOf(event: IEvent): KeyChange {
  return { key: event.kv.key.toString(), kv: event.type === 'Delete' ? undefined : event.kv };
}
