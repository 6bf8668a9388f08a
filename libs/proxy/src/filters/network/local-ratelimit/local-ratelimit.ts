import { LocalRateLimit } from '@meltemi/api/gen/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit.ts';
import { err, ok, type Clock } from '@meltemi/base';
import { ResponseFlag } from '@meltemi/http';
import { refuse, use, type FieldTable } from '@meltemi/route';
import { FilterStatus, NetworkStreamFilter, type ConnectionControls, type NetworkFilterFactory } from '../../../filter.ts';
import { compileBucket, TokenBucket, type BucketSize } from '../../../resilience/token-bucket.ts';
import { checkSettings } from '../../check-settings.ts';

interface RateConfig {
  readonly statPrefix: string;
  readonly bucket: BucketSize;
  readonly enabled: boolean;
  /** The same for the same config at the same place, in every worker. */
  readonly identity: string;
}

/**
 * Closes new connections of a filter chain above a rate, counted in this process over all its workers.
 * Deviation: a bucket keeps its tokens when its config is pushed again unchanged; Envoy starts with a full one.
 */
export const localRateLimitFilter: NetworkFilterFactory = {
  name: 'envoy.filters.network.local_ratelimit',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit'],
  trust: 'untrusted-downstream-and-upstream',
  parse(bytes, ctx) {
    const message = LocalRateLimit.decode(bytes);
    const errors = checkSettings(message, settings, ctx);
    const bucket = compileBucket(message.tokenBucket, `${ctx.path}.token_bucket`);
    if (message.statPrefix === '') errors.push({ path: `${ctx.path}.stat_prefix`, message: 'is required' });
    if (!bucket.ok) return err([...errors, ...bucket.error]);
    const config: RateConfig = { statPrefix: message.statPrefix, bucket: bucket.value, enabled: message.runtimeEnabled?.defaultValue ?? true, identity: `${ctx.path} ${Buffer.from(bytes).toString('latin1')}` };
    return errors.length > 0 ? err(errors) : ok(config);
  },
  bind(config, ctx) {
    const rate = config as RateConfig;
    if (!rate.enabled) return { create: () => null };
    const limited = ctx.stats.counter(`local_rate_limit.${rate.statPrefix}.rate_limited`);
    const row = ctx.shared.rows.hold(`local_ratelimit ${ctx.listenerName} ${rate.identity}`);
    const shared = new RateLimitedConnection(new TokenBucket(rate.bucket, row.cell(0)), ctx.clock, () => limited.inc());
    return { create: () => shared, release: () => row.release() };
  },
};

const settings: FieldTable<LocalRateLimit> = { statPrefix: use, tokenBucket: use, runtimeEnabled: use, shareKey: refuse('buckets are not shared between filter chains') };

class RateLimitedConnection extends NetworkStreamFilter {
  readonly #bucket: TokenBucket;
  readonly #clock: Clock;
  readonly #limited: () => void;

  constructor(bucket: TokenBucket, clock: Clock, limited: () => void) {
    super();
    this.#bucket = bucket;
    this.#clock = clock;
    this.#limited = limited;
  }

  override onNewConnection(controls: ConnectionControls): number {
    if (this.#bucket.take(this.#clock.now())) return FilterStatus.continue;
    this.#limited();
    controls.close('local_ratelimit_close_over_limit', ResponseFlag.URX);
    return FilterStatus.stopIteration;
  }
}
