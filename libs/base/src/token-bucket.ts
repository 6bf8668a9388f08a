/** How often something may happen: `perSecond` on average, `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A token bucket that starts full. Times are monotonic milliseconds. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#atMs = nowMs;
  }

  /** Takes one token where there is one: 0, else the milliseconds until there is one. */
  take(nowMs: number): number {
    this.#refill(nowMs);
    if (this.#tokens < 1) return Math.ceil(((1 - this.#tokens) / this.#rate.perSecond) * 1000);
    this.#tokens -= 1;
    return 0;
  }

  /** Takes them whether there are so many or not: the milliseconds until the debt is paid, 0 without one. For what has happened already. */
  spend(tokens: number, nowMs: number): number {
    this.#refill(nowMs);
    this.#tokens -= tokens;
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#rate.perSecond) * 1000);
  }

  /** True when it is as it was born: nothing is lost by forgetting it. */
  full(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= this.#rate.burst;
  }

  #refill(nowMs: number): void {
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + ((nowMs - this.#atMs) * this.#rate.perSecond) / 1000);
    this.#atMs = nowMs;
  }
}

/** A bucket per key. Remembers at most `maxKeys`: full buckets are forgotten first, then the oldest. */
export class RateByKey {
  readonly #rate: Rate;
  readonly #maxKeys: number;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rate: Rate, maxKeys = 10_000) {
    this.#rate = rate;
    this.#maxKeys = maxKeys;
  }

  /** As TokenBucket's. */
  take(key: string, nowMs: number): number {
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      if (this.#buckets.size >= this.#maxKeys) this.#forget(nowMs);
      bucket = new TokenBucket(this.#rate, nowMs);
      this.#buckets.set(key, bucket);
    }
    return bucket.take(nowMs);
  }

  #forget(nowMs: number): void {
    for (const [key, bucket] of this.#buckets) if (bucket.full(nowMs)) this.#buckets.delete(key);
    const spare = Math.max(1, Math.floor(this.#maxKeys / 10));
    for (const key of this.#buckets.keys()) {
      if (this.#buckets.size <= this.#maxKeys - spare) break;
      this.#buckets.delete(key);
    }
  }
}
