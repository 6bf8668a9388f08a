import type { ConnectionInfo } from '@meltemi/http';
import type { RateLimitDescriptor } from '@meltemi/route';
import { TokenBucket, type BucketSize } from '../../../resilience/token-bucket.ts';
import { localCell, type SharedCell } from '../../../shared-cell.ts';
import { descriptorKey, type LocalRateLimitConfig } from './settings.ts';

/** What a limiter says of a request. */
export interface Verdict {
  readonly allowed: boolean;
  /** The bucket that refused, or the tightest one it was taken from; null when there is none. */
  readonly bucket: TokenBucket | null;
}

/** The buckets of one config. `cell` finds the number behind a bucket by a name that is the same in every worker. */
export class Limiter {
  readonly #config: LocalRateLimitConfig;
  readonly #default: TokenBucket | null;
  readonly #descriptors: ReadonlyMap<string, TokenBucket>;

  constructor(config: LocalRateLimitConfig, cell: (name: string) => SharedCell) {
    this.#config = config;
    const make = (size: BucketSize, name: string) => new TokenBucket(size, cell(`${name} ${size.maxTokens}/${size.tokensPerFill}/${size.fillIntervalMs}`));
    this.#default = config.bucket === null ? null : make(config.bucket, 'default');
    this.#descriptors = new Map(config.descriptors.map(({ key, bucket }) => [key, make(bucket, key)]));
  }

  /** Takes a token of every bucket that counts for the request, the tightest first, until one has none. */
  allows(descriptors: readonly RateLimitDescriptor[], nowMs: number): Verdict {
    const matched = this.#matched(descriptors);
    for (const bucket of matched) if (!bucket.take(nowMs)) return { allowed: false, bucket };
    const common = this.#default;
    if (common !== null && (matched.length === 0 || this.#config.alwaysDefaultBucket) && !common.take(nowMs)) return { allowed: false, bucket: common };
    return { allowed: true, bucket: matched[0] ?? common };
  }

  #matched(descriptors: readonly RateLimitDescriptor[]): TokenBucket[] {
    const found: TokenBucket[] = [];
    for (const { entries } of descriptors) {
      const bucket = this.#descriptors.get(descriptorKey(entries));
      if (bucket !== undefined && !found.includes(bucket)) found.push(bucket);
    }
    return found.length > 1 ? found.sort((a, b) => a.rate - b.rate) : found;
  }
}

/** A limiter for each connection, kept as long as that lives. */
export class ConnectionLimiters {
  readonly #config: LocalRateLimitConfig;
  readonly #limiters = new WeakMap<ConnectionInfo, Limiter>();

  constructor(config: LocalRateLimitConfig) {
    this.#config = config;
  }

  of(connection: ConnectionInfo): Limiter {
    let limiter = this.#limiters.get(connection);
    if (limiter === undefined) this.#limiters.set(connection, (limiter = new Limiter(this.#config, localCell)));
    return limiter;
  }
}
