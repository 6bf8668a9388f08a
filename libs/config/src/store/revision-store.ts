import { err, ok, type Clock, type Result } from '@meltemi/base';
import { keyText, type ConfigKey, type RawObject } from '../object.ts';
import { ChangeLog, type Entry } from './change-log.ts';
import {
  defaultStoreLimits,
  matchesFilter,
  type CommitDone,
  type ConfigStore,
  type StatusEvent,
  type StatusRecord,
  type StatusStore,
  type StatusUpdate,
  type StoredObject,
  type StoreError,
  type StoreEvent,
  type StoreFilter,
  type StoreLimits,
  type StoreList,
  type StoreWrite,
  type WatchOptions,
} from './config-store.ts';
import { conflictError, conflictsOf, sealStatus, sealWrites, stampObject, storedObject, type SealedWrite } from './seal.ts';

/** One durable step: a commit of objects or a write of statuses. JSON-safe. */
export type JournalRecord =
  | { readonly type: 'commit'; readonly version: number; readonly changes: readonly { readonly key: ConfigKey; readonly object?: RawObject }[] }
  | { readonly type: 'status'; readonly changes: readonly { readonly key: ConfigKey; readonly record?: StatusRecord }[] };

/** Everything there is at one moment: what a journal's snapshot holds. */
export interface StoreContents {
  readonly version: number;
  readonly objects: readonly { readonly object: RawObject; readonly version: number }[];
  readonly statuses: readonly { readonly key: ConfigKey; readonly record: StatusRecord }[];
}

/** Where steps are made durable before they take effect. The memory store's does nothing. */
export interface Journal {
  /** Resolves when `record` is durable, or says why it is not: then the step did not happen. `contents` gives the state before it, for a snapshot. */
  append(record: JournalRecord, contents: () => StoreContents): Promise<Result<void, StoreError>>;
  close(): Promise<void>;
}

export interface RevisionStoreOptions {
  readonly clock: Clock;
  readonly journal: Journal;
  /** What was read back at start, and the steps after it. */
  readonly contents?: StoreContents;
  readonly records?: readonly JournalRecord[];
  readonly limits?: Partial<StoreLimits>;
  /** Commits a watch can fall behind or resume over before it needs a relist; default 1000. */
  readonly maxHistory?: number;
}

/** Writes that may wait for their turn; more are refused, so that a slow disk or etcd cannot fill the memory. */
export const maxQueuedWrites = 1000;

/** A ConfigStore over one ordered journal with one writer: memory, and the state directory. Writes queue and take effect one after the other. */
export class RevisionStore implements ConfigStore {
  readonly limits: StoreLimits;
  readonly status: StatusStore;
  readonly #clock: Clock;
  readonly #journal: Journal;
  readonly #objects: ChangeLog<StoredObject>;
  readonly #statuses: ChangeLog<StatusRecord>;
  #queue: Promise<unknown> = Promise.resolve();
  #queued = 0;
  #closing: Promise<void> | undefined;

  constructor(options: RevisionStoreOptions) {
    const maxHistory = options.maxHistory ?? 1000;
    this.limits = { ...defaultStoreLimits, ...options.limits };
    this.#clock = options.clock;
    this.#journal = options.journal;
    this.#objects = new ChangeLog({ maxHistory, version: options.contents?.version ?? 0 });
    this.#statuses = new ChangeLog({ maxHistory });
    this.#objects.load((options.contents?.objects ?? []).map(({ object, version }) => objectEntry(object, version)));
    this.#statuses.load((options.contents?.statuses ?? []).map(({ key, record }) => ({ key, value: record })));
    for (const record of options.records ?? []) this.#apply(record);
    this.status = this.#statusStore();
  }

  async get(key: ConfigKey): Promise<Result<StoredObject | undefined, StoreError>> {
    return this.#closing === undefined ? ok(this.#objects.get(keyText(key))) : closed();
  }

  async list(filter?: StoreFilter): Promise<Result<StoreList, StoreError>> {
    if (this.#closing !== undefined) return closed();
    const objects = this.#objects.entries((key) => matchesFilter(key, filter)).map((entry) => entry.value);
    return ok({ objects, version: String(this.#objects.version), unreadable: [] });
  }

  commit(writes: readonly StoreWrite[]): Promise<Result<CommitDone, StoreError>> {
    const sealed = sealWrites(writes, this.limits);
    if (!sealed.ok) return Promise.resolve(sealed);
    return this.#inTurn(() => this.#commit(sealed.value));
  }

  async *watch(options: WatchOptions, signal: AbortSignal): AsyncGenerator<StoreEvent> {
    // A version that is no number of ours is from another store: Infinity is outside every history, so it resyncs.
    const from = options.from === undefined ? undefined : /^\d{1,15}$/.test(options.from) ? Number(options.from) : Infinity;
    for await (const step of this.#objects.follow({ from, matches: (key) => matchesFilter(key, options.filter) }, signal)) {
      const version = String(step.version);
      if (step.type === 'caught-up') yield { type: 'synced', version };
      else if (step.type === 'commit') yield* commitEvents(step.changes, version);
      else if (step.type === 'reset') yield { type: 'resync', objects: step.entries.map((entry) => entry.value), unreadable: [], version };
      else yield* listEvents(step.entries);
    }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#objects.close();
      this.#statuses.close();
      await this.#queue;
      await this.#journal.close();
    })();
    return this.#closing;
  }

  /** Forgets history: watches that resume from before now relist. For tests and memory. */
  compact(): void {
    this.#objects.compact();
    this.#statuses.compact();
  }

  contents(): StoreContents {
    return {
      version: this.#objects.version,
      objects: this.#objects.entries().map(({ value }) => ({ object: value.object, version: Number(value.resourceVersion) })),
      statuses: this.#statuses.entries().map(({ key, value }) => ({ key, record: value })),
    };
  }

  async #commit(writes: readonly SealedWrite[]): Promise<Result<CommitDone, StoreError>> {
    const conflicts = conflictsOf(writes, (text) => this.#objects.get(text)?.resourceVersion);
    if (conflicts.length > 0) return err(conflictError(conflicts));
    const now = new Date(this.#clock.now()).toISOString();
    const changes = writes
      .filter((write) => write.object !== undefined || this.#objects.get(write.text) !== undefined)
      .map(({ key, text, object }) => (object === undefined ? { key } : { key, object: stampObject(object, this.#objects.get(text)?.creationTimestamp ?? now) }));
    if (changes.length > 0) {
      const durable = await this.#persist({ type: 'commit', version: this.#objects.version + 1, changes });
      if (!durable.ok) return durable;
    }
    const storeVersion = String(this.#objects.version);
    return ok({ versions: writes.map((write) => (write.object === undefined ? undefined : storeVersion)), storeVersion });
  }

  async #writeStatus(updates: readonly StatusUpdate[]): Promise<Result<void, StoreError>> {
    const changed = updates.filter(({ key, record, unlessStored }) => !(unlessStored && this.#objects.get(keyText(key))) && JSON.stringify(this.#statuses.get(keyText(key))) !== JSON.stringify(record));
    if (changed.length === 0) return ok(undefined);
    return this.#persist({ type: 'status', changes: changed.map(({ key, record }) => (record === undefined ? { key } : { key, record })) });
  }

  async #persist(record: JournalRecord): Promise<Result<void, StoreError>> {
    const durable = await this.#journal.append(record, () => this.contents());
    if (durable.ok) this.#apply(record);
    return durable;
  }

  #apply(record: JournalRecord): void {
    if (record.type === 'status') {
      this.#statuses.apply(record.changes.map(({ key, record: value }) => ({ key, value })));
      return;
    }
    this.#objects.apply(record.changes.map(({ key, object }) => (object === undefined ? { key, value: undefined } : objectEntry(object, record.version))));
  }

  async #inTurn<T>(task: () => Promise<Result<T, StoreError>>): Promise<Result<T, StoreError>> {
    if (this.#queued >= maxQueuedWrites) {
      return err({ code: 'unavailable', message: `${maxQueuedWrites} writes are waiting already: retry later`, outcomeUnknown: false });
    }
    this.#queued += 1;
    const turn = this.#queue.then(() => (this.#closing === undefined ? task() : closed()));
    this.#queue = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#queued -= 1;
    }
  }

  #statusStore(): StatusStore {
    const statuses = this.#statuses;
    return {
      get: async (key) => (statuses.closed ? closed() : ok(statuses.get(keyText(key)))),
      list: async () => (statuses.closed ? closed() : ok(statuses.entries().map(({ key, value }) => ({ key, record: value })))),
      write: async (updates) => {
        const sealed = sealStatus(updates, this.limits);
        return sealed.ok ? this.#inTurn(() => this.#writeStatus(sealed.value)) : sealed;
      },
      async *watch(signal): AsyncGenerator<StatusEvent> {
        for await (const step of statuses.follow({ from: undefined, matches: () => true }, signal)) {
          if (step.type === 'caught-up') yield { type: 'synced' };
          else if (step.type === 'commit') for (const { key, value } of step.changes) yield { type: value === undefined ? 'delete' : 'put', key, record: value };
          else for (const { key, value } of step.entries) yield { type: 'put', key, record: value };
        }
      },
    };
  }
}

function objectEntry(object: RawObject, version: number): Entry<StoredObject> {
  return { key: object.key, value: storedObject(object, String(version)) };
}

function* listEvents(entries: readonly Entry<StoredObject>[]): Generator<StoreEvent> {
  for (const [index, { value }] of entries.entries()) {
    yield { type: 'put', object: value, version: value.resourceVersion, lastOfCommit: index === entries.length - 1 };
  }
}

function* commitEvents(changes: readonly { key: ConfigKey; value: StoredObject | undefined; previous: StoredObject | undefined }[], version: string): Generator<StoreEvent> {
  for (const [index, { key, value, previous }] of changes.entries()) {
    const rest = { version, lastOfCommit: index === changes.length - 1, ...(previous === undefined ? {} : { previous }) };
    yield value === undefined ? { type: 'delete', key, ...rest } : { type: 'put', object: value, ...rest };
  }
}

function closed(): { readonly ok: false; readonly error: StoreError } {
  return err({ code: 'closed', message: 'the config store is closed' });
}
