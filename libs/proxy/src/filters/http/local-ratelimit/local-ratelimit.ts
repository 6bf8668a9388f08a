import { HeaderMap, ResponseFlag, type RequestHead, type ResponseHead } from '@meltemi/http';
import { applyHeaderOps, type RateLimitDescriptor } from '@meltemi/route';
import { FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import type { TokenBucket } from '../../../resilience/token-bucket.ts';
import { rateLimitDescriptors } from '../rate-limit-descriptors.ts';
import { ConnectionLimiters, Limiter } from './limiter.ts';
import { parseLocalRateLimit, parseLocalRateLimitRoute, type LocalRateLimitConfig } from './settings.ts';

/**
 * Lets so many requests through per time, counted in this process over all its workers. A route's config replaces the chain's.
 * Deviation: buckets keep their tokens when their config is pushed again unchanged; Envoy starts with full ones.
 */
export const httpLocalRateLimitFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.local_ratelimit',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse: parseLocalRateLimit,
  parseRoute: parseLocalRateLimitRoute,
  bind(config, ctx) {
    const { routes } = ctx.hcm;
    const base = new Bound(config as LocalRateLimitConfig, ctx, `listener ${ctx.listenerName}`);
    const ofRoutes = new WeakMap<LocalRateLimitConfig, Bound>();
    // A table that several listeners follow has one set of buckets, as in Envoy.
    const table = routes.kind === 'rds' ? `routes ${routes.name}` : routes.kind === 'scoped' ? `scoped routes ${routes.name}` : `listener ${ctx.listenerName}`;
    return {
      events: FilterEvents.decodeHead | FilterEvents.encodeHead,
      create(stream) {
        const own = stream.perRoute(ctx.filterName) as LocalRateLimitConfig | null;
        let bound = own === null ? base : ofRoutes.get(own);
        if (bound === undefined && own !== null) ofRoutes.set(own, (bound = new Bound(own, ctx, table)));
        return bound?.config.enabled.hit(stream.random.next()) === true ? new LocalRateLimitStream(bound) : null;
      },
    };
  },
};

interface Count {
  inc(): void;
}

/** A config with its buckets and counters. */
class Bound {
  readonly config: LocalRateLimitConfig;
  readonly enabled: Count;
  readonly ok: Count;
  readonly limited: Count;
  readonly enforced: Count;
  readonly #limiter: Limiter | null;
  readonly #connections: ConnectionLimiters | null;

  constructor(config: LocalRateLimitConfig, ctx: FilterContext, owner: string) {
    this.config = config;
    const count = (name: string) => ctx.stats.counter(`${config.statPrefix}.http_local_rate_limit.${name}`);
    this.enabled = count('enabled');
    this.ok = count('ok');
    this.limited = count('rate_limited');
    this.enforced = count('enforced');
    this.#connections = config.perConnection ? new ConnectionLimiters(config) : null;
    this.#limiter = config.perConnection ? null : new Limiter(config, (name) => ctx.shared.cell(`${owner} ${config.where} ${name}`));
  }

  limiter(stream: StreamControls): Limiter | null {
    return this.#limiter ?? this.#connections?.of(stream.info.connection) ?? null;
  }
}

const none: readonly RateLimitDescriptor[] = [];

class LocalRateLimitStream extends HttpStreamFilter {
  readonly #bound: Bound;
  #bucket: TokenBucket | null = null;

  constructor(bound: Bound) {
    super();
    this.#bound = bound;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const { config, enabled, ok, limited, enforced } = this.#bound;
    enabled.inc();
    const descriptors = config.descriptors.length === 0 ? none : rateLimitDescriptors(stream, config.stage, config.virtualHost);
    const verdict = this.#bound.limiter(stream)?.allows(descriptors, stream.clock.now());
    if (config.rateLimitHeaders) this.#bucket = verdict?.bucket ?? null;
    if (verdict?.allowed !== false) {
      ok.inc();
      return FilterStatus.continue;
    }
    limited.inc();
    if (!config.enforced.hit(stream.random.next())) {
      applyHeaderOps(config.requestHeaders, head.headers, stream.info);
      return FilterStatus.continue;
    }
    enforced.inc();
    const headers = new HeaderMap();
    applyHeaderOps(config.responseHeaders, headers, stream.info);
    stream.sendLocalReply({ status: config.status, body: 'local_rate_limited', details: 'local_rate_limited', flags: ResponseFlag.RL, headers: [...headers], ...(config.resourceExhausted ? { grpcStatus: 8 } : {}) });
    return FilterStatus.stopIteration;
  }

  override encodeHead(stream: StreamControls, head: ResponseHead): number {
    const bucket = this.#bucket;
    if (bucket === null) return FilterStatus.continue;
    const now = stream.clock.now();
    head.headers.add('x-ratelimit-limit', String(bucket.size.maxTokens));
    head.headers.add('x-ratelimit-remaining', String(bucket.remaining(now)));
    head.headers.add('x-ratelimit-reset', String(Math.ceil(bucket.msToNext(now) / 1000)));
    return FilterStatus.continue;
  }
}
