import type { IKeyValue, IRequestOp } from 'etcd3';
import { withDeadline, type Clock } from '@meltemi/base';
import type { LeasedEvent, LeasedValues } from '@meltemi/config';
import type { EtcdClient } from './etcd-client.ts';
import { followPrefix } from './follow-prefix.ts';

export interface EtcdLeasedValuesOptions {
  readonly client: EtcdClient;
  /** Ends in "/". */
  readonly prefix: string;
  readonly clock: Clock;
  /** How long what is held outlives a program that was killed, at most; at least two thirds of it. At least 3 s. */
  readonly leaseMs: number;
  readonly silenceMs: number;
  /** Told once for each time that etcd refuses or is away. */
  readonly onFailure: (reason: string) => void;
}

/** What this program wants of one name. */
interface Entry {
  value: string;
  /** The lease that our last write hung it on, whether or not etcd's answer came; undefined: nothing of ours is there. */
  lease: string | undefined;
  unwritten: boolean;
  /** Set when it was let go of. */
  endsAfterMs: number | undefined;
}

/** Puts in one transaction; etcd takes 128 operations. */
const maxBatch = 100;
const closeMs = 3000;

/**
 * Keys on etcd leases: what is held hangs on the lease of this program, what was let go of on one of its own that nobody renews, so that it ends even when
 * this program does. A key that hangs on another lease by now is somebody else's.
 */
export class EtcdLeasedValues implements LeasedValues {
  readonly #options: EtcdLeasedValuesOptions;
  readonly #leaseMs: number;
  readonly #entries = new Map<string, Entry>();
  #lease: string | undefined;
  #work: Promise<void> | undefined;
  #cancelRenewal: () => void = () => undefined;
  #closed = false;
  #failing = false;

  constructor(options: EtcdLeasedValuesOptions) {
    this.#options = options;
    this.#leaseMs = Math.max(3000, options.leaseMs);
  }

  hold(name: string, value: string): void {
    const entry = this.#entries.get(name);
    if (entry && entry.endsAfterMs === undefined && entry.value === value) return;
    if (entry) Object.assign(entry, { value, unwritten: true, endsAfterMs: undefined });
    else this.#entries.set(name, { value, lease: undefined, unwritten: true, endsAfterMs: undefined });
    this.#start();
  }

  release(name: string, afterMs: number): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    entry.endsAfterMs = afterMs;
    this.#start();
  }

  async *watch(signal: AbortSignal): AsyncGenerator<LeasedEvent> {
    const { client, prefix, silenceMs } = this.#options;
    const until = AbortSignal.any([signal, client.closing]);
    for await (const step of followPrefix({ client, prefix, from: undefined, silenceMs }, until)) {
      if (step.type === 'caught-up') yield { type: 'synced' };
      else if (step.type === 'interrupted') this.#options.onFailure(step.reason);
      else if (step.type === 'base' || step.type === 'reset') for (const kv of asWritten(step.kvs)) yield { type: 'put', name: kv.key.toString().slice(prefix.length), value: kv.value.toString() };
      else if (step.type === 'commit') {
        for (const { key, kv } of step.changes) {
          const name = key.slice(prefix.length);
          yield kv ? { type: 'put', name, value: kv.value.toString() } : { type: 'delete', name };
          if (!kv) this.#lost(name);
        }
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRenewal();
    if (this.#work) await withDeadline(this.#work, closeMs, 'the last writes to etcd').catch(() => undefined);
  }

  /** Somebody's lease took a key with it that is held here: another connection of the same workload, say. */
  #lost(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry || entry.endsAfterMs !== undefined || entry.unwritten) return;
    entry.unwritten = true;
    this.#start();
  }

  #start(): void {
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
    });
  }

  async #run(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        // What came in meanwhile goes into the next round.
        while (await this.#round()) attempt = 0;
        this.#failing = false;
        return;
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        if (/lease not found/.test(reason)) this.#lease = undefined;
        if (!this.#failing) this.#options.onFailure(reason);
        this.#failing = true;
        if (this.#options.client.closed || this.#closed) return;
        await this.#options.client.pause(attempt);
      }
    }
  }

  /** Writes some of what waits; false when nothing did. */
  async #round(): Promise<boolean> {
    const puts: [string, Entry][] = [];
    for (const [name, entry] of this.#entries) {
      if (entry.endsAfterMs !== undefined) {
        await this.#letGo(name, entry, entry.endsAfterMs);
        return true;
      }
      if (entry.unwritten && puts.push([name, entry]) === maxBatch) break;
    }
    if (puts.length === 0) return false;
    const lease = await this.#held();
    const values = puts.map(([, { value }]) => value);
    const success = puts.map(([name], at): IRequestOp => ({ request_put: { key: this.#key(name), value: Buffer.from(values[at] ?? ''), lease } }));
    for (const [, entry] of puts) entry.lease = lease;
    await this.#options.client.txn({ success });
    for (const [at, [, entry]] of puts.entries()) if (entry.value === values[at]) entry.unwritten = false;
    return true;
  }

  async #letGo(name: string, entry: Entry, afterMs: number): Promise<void> {
    const { client } = this.#options;
    const { value, lease } = entry;
    if (lease !== undefined) {
      const key = this.#key(name);
      const operation: IRequestOp = afterMs > 0 ? { request_put: { key, value: Buffer.from(value), lease: await client.grantLease(Math.max(1, Math.ceil(afterMs / 1000))) } } : { request_delete_range: { key } };
      await client.txn({ compare: [{ key, target: 'Lease', result: 'Equal', lease }], success: [operation] });
    }
    if (entry.endsAfterMs === undefined) entry.unwritten = true;
    else this.#entries.delete(name);
  }

  async #held(): Promise<string> {
    if (this.#lease !== undefined) return this.#lease;
    this.#lease = await this.#options.client.grantLease(Math.ceil(this.#leaseMs / 1000));
    this.#renewSoon();
    return this.#lease;
  }

  #renewSoon(): void {
    this.#cancelRenewal();
    if (!this.#closed) this.#cancelRenewal = this.#options.clock.after(this.#leaseMs / 3, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const lease = this.#lease;
    if (lease === undefined || this.#closed) return;
    const seconds = await this.#options.client.keepAlive(lease).catch(() => -1);
    if (seconds === 0 && this.#lease === lease) {
      this.#lease = undefined;
      for (const entry of this.#entries.values()) entry.unwritten = true;
      this.#start();
    } else this.#renewSoon();
  }

  #key(name: string): Buffer {
    return Buffer.from(this.#options.prefix + name);
  }
}

function asWritten(kvs: readonly IKeyValue[]): IKeyValue[] {
  return kvs.toSorted((a, b) => Number(a.mod_revision) - Number(b.mod_revision));
}
