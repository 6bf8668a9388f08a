import { LocalRateLimit } from '@meltemi/api/gen/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit.ts';
import { err, ok, type Clock } from '@meltemi/base';
import { ResponseFlag } from '@meltemi/http';
import { durationMs, refuse, use, type FieldTable } from '@meltemi/route';
import { FilterStatus, NetworkStreamFilter, type ConnectionControls, type NetworkFilterFactory } from '../../../filter.ts';
import { checkSettings } from '../../check-settings.ts';

interface RateConfig {
  readonly statPrefix: string;
  readonly maxTokens: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
  readonly enabled: boolean;
}

/** Envoy's shortest time between fills. */
const shortestFillMs = 50;

/**
 * Closes new connections of a filter chain above a rate.
 * Deviation: each worker has its own bucket, so the rate is for each worker.
 */
export const localRateLimitFilter: NetworkFilterFactory = {
  name: 'envoy.filters.network.local_ratelimit',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit'],
  trust: 'untrusted-downstream-and-upstream',
  parse(bytes, ctx) {
    const message = LocalRateLimit.decode(bytes);
    const errors = checkSettings(message, settings, ctx);
    const bucket = message.tokenBucket;
    const fillIntervalMs = durationMs(bucket?.fillInterval, 0);
    if (message.statPrefix === '') errors.push({ path: `${ctx.path}.stat_prefix`, message: 'is required' });
    if (!bucket || bucket.maxTokens < 1) errors.push({ path: `${ctx.path}.token_bucket.max_tokens`, message: 'must be at least 1' });
    if (fillIntervalMs < shortestFillMs) errors.push({ path: `${ctx.path}.token_bucket.fill_interval`, message: `must be at least ${shortestFillMs} ms` });
    const config: RateConfig = { statPrefix: message.statPrefix, maxTokens: bucket?.maxTokens ?? 0, tokensPerFill: bucket?.tokensPerFill ?? 1, fillIntervalMs, enabled: message.runtimeEnabled?.defaultValue ?? true };
    return errors.length > 0 ? err(errors) : ok(config);
  },
  bind(config, ctx) {
    const rate = config as RateConfig;
    if (!rate.enabled) return { create: () => null };
    const limited = ctx.stats.counter(`local_rate_limit.${rate.statPrefix}.rate_limited`);
    const shared = new RateLimitedConnection(new Bucket(rate, ctx.clock), () => limited.inc());
    return { create: () => shared };
  },
};

const settings: FieldTable<LocalRateLimit> = { statPrefix: use, tokenBucket: use, runtimeEnabled: use, shareKey: refuse('buckets are not shared between filter chains') };

/** Starts full; filled in steps, as the time that has passed allows. */
class Bucket {
  readonly #config: RateConfig;
  readonly #clock: Clock;
  #tokens: number;
  #filledMs: number;

  constructor(config: RateConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#tokens = config.maxTokens;
    this.#filledMs = clock.monotonic();
  }

  take(): boolean {
    const { maxTokens, tokensPerFill, fillIntervalMs } = this.#config;
    const fills = Math.floor((this.#clock.monotonic() - this.#filledMs) / fillIntervalMs);
    if (fills > 0) {
      this.#tokens = Math.min(maxTokens, this.#tokens + fills * tokensPerFill);
      this.#filledMs += fills * fillIntervalMs;
    }
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

class RateLimitedConnection extends NetworkStreamFilter {
  readonly #bucket: Bucket;
  readonly #limited: () => void;

  constructor(bucket: Bucket, limited: () => void) {
    super();
    this.#bucket = bucket;
    this.#limited = limited;
  }

  override onNewConnection(controls: ConnectionControls): number {
    if (this.#bucket.take()) return FilterStatus.continue;
    this.#limited();
    controls.close('local_ratelimit_close_over_limit', ResponseFlag.URX);
    return FilterStatus.stopIteration;
  }
}
