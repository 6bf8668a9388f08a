import { randomBytes } from 'node:crypto';
import type { Clock } from '@meltemi/base';
import type { Leadership, LeaderTerm } from '@meltemi/citadel';
import type { EtcdClient } from '@meltemi/config-edge/etcd';

export interface EtcdLeadershipOptions {
  readonly client: EtcdClient;
  /** The citadels that stand for the same election. */
  readonly root: string;
  readonly clock: Clock;
  /** How long a leader that was killed, or cut off, keeps others from leading. Default 10 s, at least 2. */
  readonly leaseSeconds?: number;
  /** Called when it starts to lead, and when it ends, with why. */
  readonly onChange?: (leads: boolean, reason: string) => void;
}

/** Where it stands who leads. */
export function leaderKey(root: string): string {
  return `${root}/leader`;
}

/** A term under way. `fence` is the revision that made the key: etcd gives it to no other citadel's. */
interface Term extends LeaderTerm {
  readonly ended: AbortController;
}

const defaultLeaseSeconds = 10;

/**
 * Leads while the key `<root>/leader` hangs on its lease. A leader counts from the moment it *asked* for a renewal, and takes its term for over a tenth of the
 * lease before etcd does; whoever holds a term checks its fence with what it writes, so that one that slept through the end writes nothing.
 */
export class EtcdLeadership implements Leadership {
  readonly #options: EtcdLeadershipOptions;
  readonly #leaseMs: number;
  readonly #candidate = randomBytes(12).toString('base64url');
  readonly #waiting = new Set<(term: LeaderTerm) => void>();
  #lease: string | undefined;
  #term: Term | undefined;
  /** Of the term, on the monotonic clock. */
  #endsAt = 0;
  #cancelEnd: () => void = () => undefined;
  #cancelNext: () => void = () => undefined;
  #round: Promise<void>;
  #stopped = false;

  /** Stands for election at once. */
  constructor(options: EtcdLeadershipOptions) {
    this.#options = options;
    this.#leaseMs = Math.max(2, options.leaseSeconds ?? defaultLeaseSeconds) * 1000;
    this.#round = this.#run();
  }

  term(): LeaderTerm | undefined {
    // A process that was stopped or busy may come here before its timer.
    if (this.#options.clock.monotonic() >= this.#endsAt) this.#end('etcd did not renew the lease in time');
    return this.#term;
  }

  acquire(signal: AbortSignal): Promise<LeaderTerm> {
    const term = this.term();
    if (term) return Promise.resolve(term);
    return new Promise((resolve, reject) => {
      const give = (term: LeaderTerm): void => {
        signal.removeEventListener('abort', abort);
        this.#waiting.delete(give);
        resolve(term);
      };
      const abort = (): void => {
        this.#waiting.delete(give);
        reject(signal.reason instanceof Error ? signal.reason : new Error('no longer wanted'));
      };
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(give);
    });
  }

  async stop(): Promise<void> {
    if (this.#stopped) return this.#round;
    this.#stopped = true;
    this.#cancelNext();
    this.#end('citadel stops');
    await this.#round;
    const lease = this.#lease;
    this.#lease = undefined;
    // One that cannot be ended runs out by itself.
    if (lease !== undefined) await this.#options.client.revokeLease(lease).catch(() => undefined);
  }

  /** Renews the lease and, without a term, tries to get one; then again, a third of the lease later, or sooner while another leads. */
  async #run(): Promise<void> {
    const { clock, client } = this.#options;
    try {
      const askedAt = clock.monotonic();
      if (this.#lease !== undefined && (await client.keepAlive(this.#lease)) === 0) this.#lose('etcd let the lease run out');
      this.#lease ??= await client.grantLease(this.#leaseMs / 1000);
      this.#endAt(askedAt + this.#leaseMs * 0.9);
      if (!this.#term && !this.#stopped) await this.#campaign(this.#lease, askedAt);
    } catch {
      // The term ends by its deadline when no renewal arrives before.
    }
    if (this.#stopped) return;
    this.#cancelNext = clock.after(this.#leaseMs / (this.#term ? 3 : 8), () => void (this.#round = this.#run()));
  }

  async #campaign(lease: string, askedAt: number): Promise<void> {
    const { client, root, clock, onChange } = this.#options;
    const key = Buffer.from(leaderKey(root));
    const response = await client.txn({
      compare: [{ key, target: 'Create', result: 'Equal', create_revision: '0' }],
      success: [{ request_put: { key, value: Buffer.from(this.#candidate), lease } }],
      failure: [{ request_range: { key } }],
    });
    const kv = response.succeeded ? undefined : response.responses[0]?.response_range.kvs[0];
    // The answer to an earlier campaign may have been lost.
    const mine = kv?.value.toString() === this.#candidate && kv.lease === lease;
    if (!response.succeeded && !mine) return;
    if (this.#stopped || clock.monotonic() >= askedAt + this.#leaseMs * 0.9) return;
    const ended = new AbortController();
    this.#term = { lost: ended.signal, fence: kv?.create_revision ?? response.header.revision, ended };
    onChange?.(true, 'elected');
    for (const give of this.#waiting) give(this.#term);
  }

  /** A new deadline for the term, if there is one by then. */
  #endAt(monotonicMs: number): void {
    this.#cancelEnd();
    this.#endsAt = monotonicMs;
    this.#cancelEnd = this.#options.clock.after(Math.max(0, monotonicMs - this.#options.clock.monotonic()), () => this.#end('etcd did not renew the lease in time'));
  }

  /** The lease is gone, and the term with it. */
  #lose(reason: string): void {
    this.#lease = undefined;
    this.#end(reason);
  }

  #end(reason: string): void {
    this.#cancelEnd();
    const term = this.#term;
    this.#term = undefined;
    if (!term) return;
    term.ended.abort(new Error(`the leader's term is over: ${reason}`));
    this.#options.onChange?.(false, reason);
  }
}
