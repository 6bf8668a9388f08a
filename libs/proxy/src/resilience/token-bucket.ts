import { fail, ok, type Result } from '@meltemi/base';
import type { TokenBucket as TokenBucketMessage } from '@meltemi/api/gen/envoy/type/v3/token_bucket.ts';
import { durationMs } from '@meltemi/route';
import type { SharedCell } from '../shared-cell.ts';

/** What an envoy.type.v3.TokenBucket compiles to. */
export interface BucketSize {
  readonly maxTokens: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
}

/** Envoy's least fill interval. */
const minFillMs = 50;

export function compileBucket(message: TokenBucketMessage | undefined, path: string): Result<BucketSize> {
  if (message === undefined) return fail(path, 'is required');
  const { maxTokens } = message;
  const tokensPerFill = message.tokensPerFill ?? 1;
  const fillIntervalMs = durationMs(message.fillInterval, 0);
  if (maxTokens === 0) return fail(`${path}.max_tokens`, 'must be more than 0');
  if (tokensPerFill === 0) return fail(`${path}.tokens_per_fill`, 'must be more than 0');
  if (fillIntervalMs < minFillMs) return fail(`${path}.fill_interval`, `must be at least ${minFillMs} ms`);
  return ok({ maxTokens, tokensPerFill, fillIntervalMs });
}

/**
 * Tokens that come back evenly over the fill interval, as in Envoy since it has no fill timer. The whole state is one number: the time at which
 * the bucket was, or would have been, empty. So threads share it with a single compare-and-swap. Times are wall clock, the only one that
 * threads have in common; a clock set back empties the bucket, set forward it fills it. @hot
 */
export class TokenBucket {
  readonly size: BucketSize;
  readonly #cell: SharedCell;
  readonly #perMs: number;

  constructor(size: BucketSize, cell: SharedCell) {
    this.size = size;
    this.#cell = cell;
    this.#perMs = size.tokensPerFill / size.fillIntervalMs;
  }

  /** Tokens a second. */
  get rate(): number {
    return this.#perMs * 1000;
  }

  /** Takes a token when there is one. */
  take(nowMs: number): boolean {
    for (;;) {
      const emptyAt = this.#cell.load();
      if (emptyAt > nowMs) {
        this.#cell.swap(emptyAt, nowMs);
        return false;
      }
      const tokens = this.#tokens(emptyAt, nowMs);
      // Milliseconds since 1970 leave a double a few bits for fractions: what is that close to a whole token is one.
      if (tokens < 0.9999) return false;
      if (this.#cell.swap(emptyAt, nowMs - Math.max(0, tokens - 1) / this.#perMs)) return true;
    }
  }

  /** Whole tokens left. */
  remaining(nowMs: number): number {
    return Math.floor(this.#tokens(this.#cell.load(), nowMs) + 0.0001);
  }

  /** Until there is a token; 0 when there is one. */
  msToNext(nowMs: number): number {
    return this.remaining(nowMs) > 0 ? 0 : Math.max(0, this.#cell.load() + 1 / this.#perMs - nowMs);
  }

  /** A bucket that was never used, whose time is 0, is full. */
  #tokens(emptyAt: number, nowMs: number): number {
    return emptyAt === 0 ? this.size.maxTokens : Math.max(0, Math.min(this.size.maxTokens, (nowMs - emptyAt) * this.#perMs));
  }
}
