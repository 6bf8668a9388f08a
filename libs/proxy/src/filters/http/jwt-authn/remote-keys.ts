import { err, ok, type Result } from '@meltemi/base';
import { RequestHead } from '@meltemi/http';
import { KeySet, maxKeySetBytes, jwtStatus, type JwtStatus } from '@meltemi/identity/jwt';
import { sendAsync, type AsyncAnswer, type AsyncPort } from '../../../http/async-request.ts';

/** Where a provider publishes its keys. */
export interface RemoteKeysConfig {
  readonly cluster: string;
  readonly authority: string;
  readonly path: string;
  readonly timeoutMs: number;
  readonly cacheMs: number;
  /** Fetched ahead of requests and again before the cache ends; null = when a request needs them. */
  readonly ahead: { readonly failedRefetchMs: number } | null;
  readonly retries: number;
  readonly backOff: { readonly baseMs: number; readonly maxMs: number };
}

type Waiter = (result: Result<KeySet, JwtStatus>) => void;

export interface FetchStats {
  readonly fetched: { inc(): void };
  readonly failed: { inc(): void };
}

/** How long before the cache ends keys are fetched again, ahead of requests. */
const refreshAheadMs = 5_000;

/** The keys of one provider in this worker: one fetch at a time, for all who wait. */
export class RemoteKeys {
  readonly #config: RemoteKeysConfig;
  readonly #port: AsyncPort;
  readonly #stats: FetchStats;
  #keys: KeySet | null = null;
  #expiresMs = 0;
  #fetching = false;
  #nextTryMs = 0;
  /** Streams under way, each once: bounded by what the listeners accept. */
  readonly #waiters = new Set<Waiter>();

  constructor(config: RemoteKeysConfig, port: AsyncPort, stats: FetchStats) {
    this.#config = config;
    this.#port = port;
    this.#stats = stats;
    if (config.ahead !== null) port.clock.after(0, () => this.#fetch(0));
  }

  /** The keys in force; null when they must be waited for. */
  current(): KeySet | null {
    const now = this.#port.clock.monotonic();
    if (this.#keys !== null && this.#config.ahead !== null) {
      // The last good ones stay in force until there are others, as in Envoy.
      if (now >= this.#expiresMs - refreshAheadMs && now >= this.#nextTryMs) this.#fetch(0);
      return this.#keys;
    }
    return now < this.#expiresMs ? this.#keys : null;
  }

  /** Tells the keys, or that they cannot be had, later; the result cancels that. */
  wait(waiter: Waiter): () => void {
    this.#waiters.add(waiter);
    this.#fetch(0);
    return () => this.#waiters.delete(waiter);
  }

  #fetch(failedBefore: number): void {
    if (this.#fetching) return;
    this.#fetching = true;
    const { cluster, authority, path, timeoutMs } = this.#config;
    sendAsync({ cluster, head: new RequestHead('GET', path, authority), body: null, timeoutMs, maxBytes: maxKeySetBytes }, this.#port, (result) => {
      this.#fetching = false;
      const keys = result.ok ? readAnswer(result.value) : null;
      if (keys !== null) this.#took(keys);
      else if (failedBefore < this.#config.retries) this.#retry(failedBefore);
      else this.#failed();
    });
  }

  #took(keys: KeySet): void {
    this.#stats.fetched.inc();
    this.#keys = keys;
    this.#expiresMs = this.#port.clock.monotonic() + this.#config.cacheMs;
    this.#settle(ok(keys));
  }

  #retry(failedBefore: number): void {
    const { baseMs, maxMs } = this.#config.backOff;
    this.#fetching = true;
    this.#port.clock.after(Math.min(maxMs, baseMs * 2 ** failedBefore) * this.#port.random.next(), () => {
      this.#fetching = false;
      this.#fetch(failedBefore + 1);
    });
  }

  #failed(): void {
    this.#stats.failed.inc();
    this.#nextTryMs = this.#port.clock.monotonic() + (this.#config.ahead?.failedRefetchMs ?? 0);
    this.#settle(err(jwtStatus.fetchFails));
  }

  #settle(result: Result<KeySet, JwtStatus>): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter(result);
  }
}

function readAnswer({ status, body }: AsyncAnswer): KeySet | null {
  if (status !== 200) return null;
  const keys = KeySet.parse(body.toString());
  return keys.ok ? keys.value : null;
}
