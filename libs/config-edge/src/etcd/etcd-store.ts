import type { ICompare, IKeyValue, IRequestOp } from 'etcd3';
import { err, ok, systemClock, type Clock, type Result } from '@meltemi/base';
import {
  conflictError,
  conflictsOf,
  defaultStoreLimits,
  matchesFilter,
  sealWrites,
  stampObject,
  type CommitDone,
  type ConfigKey,
  type ConfigStore,
  type LeasedValues,
  type SealedWrite,
  type StatusStore,
  type StoredObject,
  type StoreError,
  type StoreEvent,
  type StoreFilter,
  type StoreLimits,
  type StoreList,
  type StoreWrite,
  type UnreadableValue,
  type WatchOptions,
} from '@meltemi/config';
import { answering } from './answering.ts';
import { EtcdClient } from './etcd-client.ts';
import { configKeyOf, etcdKey } from './etcd-keys.ts';
import { EtcdLeasedValues } from './etcd-leased-values.ts';
import { checkEtcdOptions, type EtcdOptions } from './etcd-options.ts';
import { etcdStatusStore } from './etcd-status.ts';
import { readStored } from './etcd-values.ts';
import { FencedWriter } from './fenced-writer.ts';
import { followPrefix } from './follow-prefix.ts';
import { StoreView } from './store-view.ts';

/** A ConfigStore in etcd 3.4 or later, and etcd's own ways that operators and tests need. */
export interface EtcdConfigStore extends ConfigStore {
  /** Compacts etcd's history up to now. */
  compact(): Promise<void>;
  /** Leased values under `<root>/<space>/`, for every program over this store. Close them before the store. */
  leased(space: 'pilots' | 'registered', options: { readonly leaseMs: number; readonly onFailure: (reason: string) => void }): LeasedValues;
}

/** Dials nothing yet: a store whose etcd is down answers `unavailable` and its watches wait. The error is about options that cannot work. */
export function openEtcdStore(options: EtcdOptions, clock: Clock = systemClock): Result<EtcdConfigStore, string> {
  const checked = checkEtcdOptions(options);
  return checked.ok ? ok(new EtcdStore(options, clock)) : checked;
}

class EtcdStore implements EtcdConfigStore {
  readonly limits: StoreLimits;
  readonly status: StatusStore;
  readonly #client: EtcdClient;
  readonly #writer: FencedWriter;
  readonly #clock: Clock;
  readonly #root: string;
  readonly #prefix: string;
  readonly #silenceMs: number;

  constructor(options: EtcdOptions, clock: Clock) {
    this.limits = { ...defaultStoreLimits, ...options.limits };
    this.#clock = clock;
    this.#root = options.root ?? '/meltemi';
    this.#prefix = `${this.#root}/config/`;
    this.#silenceMs = options.silenceMs ?? 15_000;
    this.#client = new EtcdClient(options);
    this.#writer = new FencedWriter(this.#client, this.#root);
    this.status = etcdStatusStore({ client: this.#client, writer: this.#writer, root: this.#root, limits: this.limits, silenceMs: this.#silenceMs });
  }

  get(key: ConfigKey): Promise<Result<StoredObject | undefined, StoreError>> {
    return answering(this.#client, async () => {
      const { kvs } = await this.#client.getMany([etcdKey(this.#root, 'config', key)]);
      const stored = kvs[0] === undefined ? undefined : readStored(this.#prefix, kvs[0]);
      if (stored?.ok === false) return err({ code: 'invalid', message: `${stored.error.rawKey}: ${stored.error.reason}`, errors: [{ path: '', message: stored.error.reason }] });
      return ok(stored?.value);
    });
  }

  list(filter?: StoreFilter): Promise<Result<StoreList, StoreError>> {
    return answering(this.#client, async () => {
      const { kvs, revision } = await this.#client.list(this.#prefix);
      const objects: StoredObject[] = [];
      const unreadable: UnreadableValue[] = [];
      for (const kv of kvs) {
        if (!this.#wanted(kv.key.toString(), filter)) continue;
        const stored = readStored(this.#prefix, kv);
        if (stored.ok) objects.push(stored.value);
        else unreadable.push(stored.error);
      }
      return ok({ objects, unreadable, version: String(revision) });
    });
  }

  async commit(writes: readonly StoreWrite[]): Promise<Result<CommitDone, StoreError>> {
    const sealed = sealWrites(writes, this.limits);
    if (!sealed.ok) return sealed;
    return this.#writer.inTurn(() => answering(this.#client, () => this.#commit(sealed.value)));
  }

  async *watch(options: WatchOptions, signal: AbortSignal): AsyncGenerator<StoreEvent> {
    const view = new StoreView(this.#prefix);
    const until = AbortSignal.any([signal, this.#client.closing]);
    for await (const step of followPrefix({ client: this.#client, prefix: this.#prefix, from: options.from, silenceMs: this.#silenceMs }, until)) {
      for (const event of view.take(step, (rawKey) => this.#wanted(rawKey, options.filter))) {
        if (until.aborted) return;
        yield event;
      }
    }
  }

  async compact(): Promise<void> {
    await this.#client.compact((await this.#client.list(this.#prefix, { keysOnly: true })).revision);
  }

  leased(space: 'pilots' | 'registered', { leaseMs, onFailure }: { readonly leaseMs: number; readonly onFailure: (reason: string) => void }): LeasedValues {
    return new EtcdLeasedValues({ client: this.#client, prefix: `${this.#root}/${space}/`, clock: this.#clock, silenceMs: this.#silenceMs, leaseMs, onFailure });
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  /** Keys that name no object concern those who asked for everything. */
  #wanted(rawKey: string, filter: StoreFilter | undefined): boolean {
    const key = configKeyOf(this.#prefix, rawKey);
    return key === undefined ? filter === undefined || Object.keys(filter).length === 0 : matchesFilter(key, filter);
  }

  /** Reads what is there, checks the expectations against it, and writes on condition that it still is. A race lost without an expectation is run again. */
  async #commit(writes: readonly SealedWrite[]): Promise<Result<CommitDone, StoreError>> {
    const endMs = Date.now() + this.#client.timeoutMs;
    const keys = writes.map((write) => etcdKey(this.#root, 'config', write.key));
    for (let attempt = 0; ; attempt += 1) {
      const current = await this.#client.getMany(keys);
      const versions = new Map(writes.map((write, index) => [write.text, current.kvs[index]?.mod_revision]));
      const conflicts = conflictsOf(writes, (text) => versions.get(text));
      if (conflicts.length > 0) return err(conflictError(conflicts));
      const { compare, operations } = this.#plan(writes, keys, current.kvs);
      if (operations.length === 0) return ok({ versions: writes.map(() => undefined), storeVersion: String(current.revision) });
      const outcome = await this.#writer.write(compare, operations, endMs);
      if (outcome.type === 'applied') {
        const storeVersion = String(outcome.revision);
        return ok({ versions: writes.map((write) => (write.object === undefined ? undefined : storeVersion)), storeVersion });
      }
      if (outcome.type === 'failed') return err({ code: 'unavailable', message: `etcd: ${outcome.reason}`, outcomeUnknown: outcome.outcomeUnknown });
      if (Date.now() >= endMs) return err({ code: 'unavailable', message: 'etcd: others kept changing the same objects: retry', outcomeUnknown: false });
      await this.#client.pause(attempt);
    }
  }

  #plan(writes: readonly SealedWrite[], keys: readonly string[], current: readonly (IKeyValue | undefined)[]): { compare: ICompare[]; operations: IRequestOp[] } {
    const now = new Date(this.#clock.now()).toISOString();
    const compare: ICompare[] = [];
    const operations: IRequestOp[] = [];
    for (const [index, write] of writes.entries()) {
      const key = Buffer.from(keys[index] ?? '');
      const kv = current[index];
      compare.push({ key, target: 'Mod', result: 'Equal', mod_revision: kv?.mod_revision ?? '0' });
      if (write.object === undefined) {
        if (kv !== undefined) operations.push({ request_delete_range: { key } });
        continue;
      }
      const before = kv === undefined ? undefined : readStored(this.#prefix, kv);
      const created = before?.ok === true && before.value.creationTimestamp !== '' ? before.value.creationTimestamp : now;
      operations.push({ request_put: { key, value: Buffer.from(JSON.stringify(stampObject(write.object, created).content)) } });
    }
    return { compare, operations };
  }
}
