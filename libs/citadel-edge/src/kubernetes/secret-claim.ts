import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '@meltemi/base';
import type { Leadership, LeaderTerm } from '@meltemi/citadel';
import type { SharedValues } from '../shared/shared-values.ts';

export interface SecretClaimOptions {
  readonly values: SharedValues;
  readonly clock: Clock;
  /** How often the claim is renewed. Default 4 s. */
  readonly renewMs?: number;
  /** How long a claim counts that nobody renews. Default 15 s. */
  readonly lapseMs?: number;
  /** Called when this program begins to own the keystore, and when it does no more, with why. */
  readonly onChange?: ((leads: boolean, reason: string) => void) | undefined;
}

const name = 'running';
/** Of a write that finds a late one of our own. */
const attempts = 3;

/**
 * That one program works on a keystore, in a storage without leases: a value that its owner writes anew again and again. Whoever finds one waits until it has
 * seen it unchanged for as long as it counts, by its own clock, and takes it over; a claim that is renewed meanwhile is another program's. There is no election:
 * who comes second is refused. An owner that cannot renew ends its term before anybody could have taken over, and never begins another.
 */
export class SecretClaim implements Leadership {
  readonly #values: SharedValues;
  readonly #clock: Clock;
  readonly #renewMs: number;
  readonly #termMs: number;
  readonly #ended = new AbortController();
  readonly #onChange: SecretClaimOptions['onChange'];
  readonly #owner = `${hostname()}, process ${process.pid}, ${randomBytes(6).toString('hex')}`;
  #revision: string | undefined;
  #writes = 0;
  /** Of the term, on the monotonic clock. */
  #endsAt = 0;
  #cancelNext: () => void = () => undefined;
  #renewing: Promise<void> = Promise.resolve();

  private constructor({ values, clock, renewMs = 4000, lapseMs = 15_000, onChange }: SecretClaimOptions) {
    this.#values = values;
    this.#clock = clock;
    this.#renewMs = renewMs;
    this.#termMs = lapseMs * 0.8;
    this.#onChange = onChange;
  }

  /** Rejects when another program owns the keystore, or nobody can tell. Waits for as long as the claim of one that was killed counts. */
  static async take(options: SecretClaimOptions): Promise<SecretClaim> {
    const claim = new SecretClaim(options);
    await claim.#take(options.lapseMs ?? 15_000);
    return claim;
  }

  term(): LeaderTerm | undefined {
    if (this.#clock.monotonic() >= this.#endsAt) this.#end('it could not be renewed in time');
    return this.#ended.signal.aborted ? undefined : { lost: this.#ended.signal, fence: '' };
  }

  async acquire(signal: AbortSignal): Promise<LeaderTerm> {
    signal.throwIfAborted();
    const term = this.term();
    if (!term) throw new Error('this citadel does not own its keystore any more: start it again');
    return term;
  }

  /** Gives it up, so that another may have it at once. */
  async stop(): Promise<void> {
    this.#cancelNext();
    this.#end('citadel stops');
    await this.#renewing;
    // One that cannot be removed runs out by itself; one that is another's is not removed.
    const kept = await this.#values.get(name).catch(() => undefined);
    if (kept !== undefined && this.#isOwn(kept.value)) await this.#values.remove([name]).catch(() => undefined);
  }

  async #take(lapseMs: number): Promise<void> {
    const found = await this.#values.get(name);
    const lapsesAt = this.#clock.monotonic() + lapseMs;
    while (found && this.#clock.monotonic() < lapsesAt) {
      await delay(Math.min(1000, lapseMs / 5));
      const now = await this.#values.get(name);
      if (!now) return this.#take(lapseMs);
      if (now.revision !== found.revision) throw new Error(`a citadel runs on it (${ownerOf(now.value)}), and in Kubernetes Secrets only one may: stop it first`);
    }
    const askedAt = this.#clock.monotonic();
    if ((await this.#write(found?.revision)) === 'conflict') throw new Error('another citadel takes it at this moment, and in Kubernetes Secrets only one may: stop it first');
    this.#endsAt = askedAt + this.#termMs;
    this.#renewSoon();
    this.#onChange?.(true, 'the only one');
  }

  #renewSoon(): void {
    this.#cancelNext = this.#clock.after(this.#renewMs, () => void (this.#renewing = this.#renew()));
  }

  async #renew(): Promise<void> {
    const askedAt = this.#clock.monotonic();
    try {
      if ((await this.#write(this.#revision)) === 'conflict') return this.#end('another program has taken the keystore over');
      this.#endsAt = Math.max(this.#endsAt, askedAt + this.#termMs);
    } catch {
      // The term ends by its deadline when no renewal succeeds before.
    }
    if (this.term()) this.#renewSoon();
  }

  async #write(expected: string | undefined): Promise<'saved' | 'conflict'> {
    let revision = expected;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const text = JSON.stringify({ owner: this.#owner, write: (this.#writes += 1) });
      await this.#values.put(name, text, { revision });
      const kept = await this.#values.get(name);
      if (!kept || !this.#isOwn(kept.value)) return 'conflict';
      this.#revision = revision = kept.revision;
      if (kept.value === text) return 'saved';
      // An earlier write of ours whose answer was lost. It renews nothing now: others may have seen it for long.
    }
    throw new Error('writes of our own keep coming late');
  }

  #isOwn(text: string): boolean {
    return ownerOf(text) === this.#owner;
  }

  #end(reason: string): void {
    if (this.#ended.signal.aborted) return;
    this.#cancelNext();
    this.#ended.abort(new Error(`this citadel changes the authority no more: ${reason}`));
    this.#onChange?.(false, reason);
  }
}

function ownerOf(text: string): string {
  try {
    const { owner } = (JSON.parse(text) ?? {}) as { readonly owner?: unknown };
    return typeof owner === 'string' ? owner.slice(0, 200) : 'who does not say its name';
  } catch {
    return 'who does not say its name';
  }
}
