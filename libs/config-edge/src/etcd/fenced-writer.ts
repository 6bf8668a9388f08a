import { randomBytes } from 'node:crypto';
import type { ICompare, IRequestOp } from 'etcd3';
import { err, type Result } from '@meltemi/base';
import { maxQueuedWrites, type StoreError } from '@meltemi/config';
import { isTransient, type EtcdClient } from './etcd-client.ts';

/** applied: at that revision. refused: a comparison did not hold. failed: it did not happen, or, with outcomeUnknown, nobody can tell. */
export type WriteOutcome =
  | { readonly type: 'applied'; readonly revision: number }
  | { readonly type: 'refused' }
  | { readonly type: 'failed'; readonly reason: string; readonly outcomeUnknown: boolean };

const leaseSeconds = 3600;

/**
 * Writes transactions exactly once although a lost answer does not say whether its transaction happened. Each carries a write to this writer's own fence
 * key, on condition that the fence is as last seen: of all attempts at one transaction (and of any earlier one still on its way) at most one can happen, and
 * the fence's value tells which did. The fence hangs on a lease, so that those of dead processes vanish. One transaction at a time.
 */
export class FencedWriter {
  readonly #client: EtcdClient;
  readonly #fence: Buffer;
  #lease: { readonly id: string; readonly renewAt: number } | undefined;
  #seen = 0;
  #sequence = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #queued = 0;

  constructor(client: EtcdClient, root: string) {
    this.#client = client;
    this.#fence = Buffer.from(`${root}/writers/${randomBytes(9).toString('base64url')}`);
  }

  /** Runs `task` when all earlier ones are done; `write` is for use inside. */
  async inTurn<T>(task: () => Promise<Result<T, StoreError>>): Promise<Result<T, StoreError>> {
    if (this.#queued >= maxQueuedWrites) {
      return err({ code: 'unavailable', message: `etcd: ${maxQueuedWrites} writes are waiting already: retry later`, outcomeUnknown: false });
    }
    this.#queued += 1;
    const turn = this.#queue.then(task);
    this.#queue = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#queued -= 1;
    }
  }

  /** Applies all of `operations` when all of `compare` hold. Repeats through transient failures until `endMs` (wall time). */
  async write(compare: readonly ICompare[], operations: readonly IRequestOp[], endMs: number): Promise<WriteOutcome> {
    const id = String((this.#sequence += 1));
    let uncertain = false;
    for (let attempt = 0; ; attempt += 1) {
      let sent = false;
      try {
        const lease = await this.#renewedLease();
        sent = true;
        const response = await this.#client.txn({
          compare: [...compare, { key: this.#fence, target: 'Mod', result: 'Equal', mod_revision: String(this.#seen) }],
          success: [...operations, { request_put: { key: this.#fence, value: Buffer.from(id), lease } }],
          failure: [{ request_range: { key: this.#fence } }],
        });
        if (response.succeeded) {
          this.#seen = Number(response.header.revision);
          return { type: 'applied', revision: this.#seen };
        }
        const fence = response.responses[0]?.response_range.kvs[0];
        const seen = Number(fence?.mod_revision ?? 0);
        if (seen === this.#seen) return { type: 'refused' };
        // The fence moved: by an earlier attempt at this very write, by one of a write given up before, or it expired.
        this.#seen = seen;
        if (fence?.value.toString() === id) return { type: 'applied', revision: seen };
        if (fence === undefined) this.#lease = undefined;
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        if (/lease not found/.test(reason)) this.#lease = undefined;
        else if (!isTransient(cause)) return { type: 'failed', reason, outcomeUnknown: uncertain };
        else uncertain ||= sent;
      }
      if (Date.now() >= endMs || this.#client.closed) {
        return { type: 'failed', reason: `etcd took no write within ${this.#client.timeoutMs} ms`, outcomeUnknown: uncertain };
      }
      await this.#client.pause(attempt);
    }
  }

  async #renewedLease(): Promise<string> {
    if (this.#lease === undefined || Date.now() > this.#lease.renewAt) {
      this.#lease = { id: await this.#client.grantLease(leaseSeconds), renewAt: Date.now() + leaseSeconds * 500 };
    }
    return this.#lease.id;
  }
}
