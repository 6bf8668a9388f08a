import type { FieldError, Result } from '@meltemi/base';
import type { ConfigKey, RawObject } from '../object.ts';

/**
 * The read-write home of config: etcd, a state directory, or memory in tests. Every implementation passes `storeContract`.
 * One revision counter per store; a commit takes one step of it, and every object the commit touches carries that step as its version.
 */
export interface ConfigStore {
  readonly limits: StoreLimits;
  get(key: ConfigKey): Promise<Result<StoredObject | undefined, StoreError>>;
  /** All matching objects as they were together at `version`, in order of their key text. */
  list(filter?: StoreFilter): Promise<Result<StoreList, StoreError>>;
  /** All writes or none. A key may appear once. Deleting what is absent, when nothing is expected of it, changes nothing and succeeds. */
  commit(writes: readonly StoreWrite[]): Promise<Result<CommitDone, StoreError>>;
  /**
   * Without `from`: a put for every matching object, `synced`, then every change as it happens. With `from` (a version of this store): every change
   * after it, `synced` once, then live; when history no longer reaches back that far, one `resync` instead. Lost connections and compactions heal
   * inside: no event is lost or repeated; what a compaction swallowed arrives as the difference between then and now. Ends, without an error, when `signal`
   * aborts or the store closes.
   */
  watch(options: WatchOptions, signal: AbortSignal): AsyncIterable<StoreEvent>;
  readonly status: StatusStore;
  /** Ends all watches; later calls answer `closed`. */
  close(): Promise<void>;
}

/** What a store accepts. etcd's own ceiling is 1.5 MB and 128 operations a request. */
export interface StoreLimits {
  readonly maxObjectBytes: number;
  readonly maxCommitObjects: number;
  readonly maxCommitBytes: number;
}

export const defaultStoreLimits: StoreLimits = { maxObjectBytes: 1024 * 1024, maxCommitObjects: 100, maxCommitBytes: Math.floor(1.2 * 1024 * 1024) };

/** `object.content.metadata.creationTimestamp` is the store's: set when the object first appears, kept on update whatever the writer sends. Frozen. */
export interface StoredObject {
  readonly object: RawObject;
  /** Changes with each write of this object and only then. Opaque to clients; a number that grows, by which pilots tell earlier from later. */
  readonly resourceVersion: string;
  /** RFC 3339; "" for an object that somebody wrote around the store without one. */
  readonly creationTimestamp: string;
}

/** Every field given must be equal; none given means everything. */
export interface StoreFilter {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
}

export interface StoreList {
  readonly objects: readonly StoredObject[];
  readonly version: string;
  readonly unreadable: readonly UnreadableValue[];
}

/** Something at a config key that is no object. `key` is missing when the key itself makes no sense. */
export interface UnreadableValue {
  readonly rawKey: string;
  readonly key?: ConfigKey;
  readonly reason: string;
}

/** 'absent': must not exist. `{version}`: must be exactly that resource version. Not given: whatever is there. */
export type Expectation = 'absent' | { readonly version: string };

export type StoreWrite =
  | { readonly type: 'put'; readonly object: RawObject; readonly expect?: Expectation }
  | { readonly type: 'delete'; readonly key: ConfigKey; readonly expect?: Expectation };

export interface CommitDone {
  /** One per write, in order; undefined for deletes. */
  readonly versions: readonly (string | undefined)[];
  readonly storeVersion: string;
}

export interface Conflict {
  readonly key: ConfigKey;
  readonly expected: Expectation;
  /** The resource version that is there; undefined when nothing is. */
  readonly actual: string | undefined;
}

/** conflict: read again and retry. invalid, too-large: change the input. unavailable: retry later; `outcomeUnknown` when the write may have happened. closed: a bug or a shutdown. */
export type StoreError =
  | { readonly code: 'conflict'; readonly message: string; readonly conflicts: readonly Conflict[] }
  | { readonly code: 'invalid'; readonly message: string; readonly errors: readonly FieldError[] }
  | { readonly code: 'too-large'; readonly message: string }
  | { readonly code: 'unavailable'; readonly message: string; readonly outcomeUnknown: boolean }
  | { readonly code: 'closed'; readonly message: string };

export interface WatchOptions {
  readonly from?: string;
  readonly filter?: StoreFilter;
}

/**
 * `version` of a put or delete is the store version of its commit; `lastOfCommit` marks the commit's last matching event: act on the whole, and resume
 * only from versions whose last event was handled. After `interrupted` the last state stays in force until events flow again, opened by another `synced`.
 */
export type StoreEvent =
  | { readonly type: 'put'; readonly object: StoredObject; readonly previous?: StoredObject; readonly version: string; readonly lastOfCommit: boolean }
  /** `missed`: found out by listing anew; `version` is the listing's, which no other reader need see. */
  | { readonly type: 'delete'; readonly key: ConfigKey; readonly previous?: StoredObject; readonly version: string; readonly lastOfCommit: boolean; readonly missed?: true }
  | { readonly type: 'synced'; readonly version: string }
  | { readonly type: 'resync'; readonly objects: readonly StoredObject[]; readonly unreadable: readonly UnreadableValue[]; readonly version: string }
  | { readonly type: 'unreadable'; readonly value: UnreadableValue; readonly version: string }
  | { readonly type: 'unreadable-cleared'; readonly rawKey: string; readonly version: string }
  | { readonly type: 'interrupted'; readonly reason: string };

/** What the mesh says about an object and the last version of it that was good. Lives beside the object, so writing it changes no object's version. */
export interface StatusRecord {
  readonly status: Readonly<Record<string, unknown>>;
  readonly lastGood?: RawObject;
}

/** `record` undefined deletes. */
export interface StatusUpdate {
  readonly key: ConfigKey;
  readonly record: StatusRecord | undefined;
  /** Passed over while the store has an object of this key: whoever writes may have seen late that there was none. */
  readonly unlessStored?: true;
}

/** The last writer wins. A record outlives its object until its writer deletes it. The same limits as a commit. */
export interface StatusStore {
  get(key: ConfigKey): Promise<Result<StatusRecord | undefined, StoreError>>;
  list(): Promise<Result<readonly { readonly key: ConfigKey; readonly record: StatusRecord }[], StoreError>>;
  /** All or none; writing what is already there is no event. */
  write(updates: readonly StatusUpdate[]): Promise<Result<void, StoreError>>;
  /** A put for each record, `synced`, then changes; heals like the config watch. */
  watch(signal: AbortSignal): AsyncIterable<StatusEvent>;
}

export type StatusEvent = ({ readonly type: 'put' | 'delete' } & StatusUpdate) | { readonly type: 'synced' };

/** True when `key` is in `filter`. */
export function matchesFilter(key: ConfigKey, filter: StoreFilter | undefined): boolean {
  if (filter === undefined) return true;
  return (
    (filter.group ?? key.group) === key.group &&
    (filter.kind ?? key.kind) === key.kind &&
    (filter.namespace ?? key.namespace) === key.namespace &&
    (filter.name ?? key.name) === key.name
  );
}
