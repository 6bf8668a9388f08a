import type { Result } from '@meltemi/base';
import type { HeaderValue } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { RateLimitRequest, RateLimitResponse } from '@meltemi/api/gen/envoy/service/ratelimit/v3/rls.ts';
import { HeaderMap, ResponseFlag, toWire, type RequestHead, type ResponseHead } from '@meltemi/http';
import { applyHeaderOps, type RateLimitDescriptor } from '@meltemi/route';
import { FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import type { AsyncCall } from '../../../http/async-request.ts';
import { callGrpc } from '../../../http/grpc-call.ts';
import { metadataOf } from '../../../http/grpc-service.ts';
import { descriptorsOf, rateLimitDescriptors, VhRateLimits } from '../rate-limit-descriptors.ts';
import { rateLimitHeaders } from './ratelimit-headers.ts';
import { parseRateLimit, parseRateLimitRoute, type RateLimitConfig, type RateLimitRoute } from './settings.ts';

/** Asks a rate limit service (envoy.service.ratelimit.v3) whether a request may pass, by the descriptors of its route. */
export const rateLimitFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.ratelimit',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse: parseRateLimit,
  parseRoute: parseRateLimitRoute,
  bind(config, ctx) {
    const shared: Shared = { config: config as RateLimitConfig, ctx };
    return { events: FilterEvents.decodeHead | FilterEvents.encodeHead | FilterEvents.destroy, create: () => new RateLimitStream(shared) };
  },
};

interface Shared {
  readonly config: RateLimitConfig;
  readonly ctx: FilterContext;
}

type Fields = (readonly [string, string])[];

const path = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';
const okCode = 1;
const overLimitCode = 2;

class RateLimitStream extends HttpStreamFilter {
  readonly #shared: Shared;
  #call: AsyncCall | null = null;
  /** For the response, whoever makes it. */
  #fields: Fields = [];

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const { config, ctx } = this.#shared;
    const internal = head.headers.get('x-envoy-internal') === 'true';
    if (config.requestType !== 'both' && internal !== (config.requestType === 'internal')) return FilterStatus.continue;
    const own = stream.perRoute(ctx.filterName) as RateLimitRoute | null;
    const descriptors = own !== null && own.rules.length > 0 ? descriptorsOf(stream, own.rules) : rateLimitDescriptors(stream, config.stage, own?.virtualHost ?? VhRateLimits.override);
    const cluster = stream.clusters.get(stream.info.upstreamCluster ?? '');
    if (descriptors.length === 0 || cluster === null) return FilterStatus.continue;
    const count = (name: string) => ctx.stats.counter(`cluster.${cluster.config.statName}.ratelimit.${config.statPrefix}${name}`).inc();
    const { service } = config;
    this.#call = callGrpc({
      cluster: service.cluster, authority: service.authority, path, message: requestOf(own?.domain || config.domain, descriptors), metadata: metadataOf(service, stream.info),
      timeoutMs: config.timeoutMs, repeatable: true, ...(service.maxBytes === null ? {} : { maxBytes: service.maxBytes }),
    }, stream, (result) => {
      this.#call = null;
      this.#answered(stream, readResponse(result), count);
    });
    return FilterStatus.stopIteration;
  }

  override encodeHead(_stream: StreamControls, { headers }: ResponseHead): number {
    for (const [name, value] of this.#fields) headers.add(name, value);
    return FilterStatus.continue;
  }

  override destroy(): void {
    this.#call?.cancel();
    this.#call = null;
  }

  #answered(stream: StreamControls, response: RateLimitResponse | null, count: (name: string) => void): void {
    const { config } = this.#shared;
    if (response === null || (response.overallCode !== okCode && response.overallCode !== overLimitCode)) return this.#failed(stream, count);
    for (const [key, value] of Object.entries(response.dynamicMetadata ?? {})) stream.info.setMetadata('envoy.filters.http.ratelimit', key, value);
    this.#fields = [...fieldsOf(response.responseHeadersToAdd), ...(config.rateLimitHeaders ? rateLimitHeaders(response.statuses) : [])];
    if (response.overallCode === overLimitCode) {
      count('over_limit');
      return this.#limited(stream, response.rawBody);
    }
    count('ok');
    for (const [name, value] of fieldsOf(response.requestHeadersToAdd)) stream.request.headers.add(name, value);
    return stream.continueRequest();
  }

  #limited(stream: StreamControls, body: Buffer): void {
    const { config } = this.#shared;
    const headers = new HeaderMap();
    applyHeaderOps(config.responseHeaders, headers, stream.info);
    if (config.markLimited) headers.set('x-envoy-ratelimited', 'true');
    // The service's content type is the body's.
    const type = this.#fields.find(([name]) => name === 'content-type');
    if (type !== undefined) headers.set(...type);
    this.#fields = this.#fields.filter((field) => field !== type);
    stream.sendLocalReply({ status: config.limitedStatus, body, details: 'request_rate_limited', flags: ResponseFlag.RL, headers: [...headers], ...(config.resourceExhausted ? { grpcStatus: 8 } : {}) });
  }

  #failed(stream: StreamControls, count: (name: string) => void): void {
    const { config } = this.#shared;
    count('error');
    if (config.denyOnFailure) return stream.sendLocalReply({ status: config.errorStatus, body: '', details: 'rate_limiter_error', flags: ResponseFlag.RLSE });
    count('failure_mode_allowed');
    return stream.continueRequest();
  }
}

function requestOf(domain: string, descriptors: readonly RateLimitDescriptor[]): Uint8Array {
  return RateLimitRequest.encode({
    domain,
    descriptors: descriptors.map(({ entries, limit }) => ({ entries: [...entries], limit: limit === null ? undefined : { requestsPerUnit: limit.requestsPerUnit, unit: limit.unit } })),
    // 0 counts as 1.
    hitsAddend: 0,
  }).finish();
}

/** Null: there is no answer that can be read. */
function readResponse(result: Result<Buffer, unknown>): RateLimitResponse | null {
  if (!result.ok) return null;
  try {
    return RateLimitResponse.decode(result.value);
  } catch {
    return null;
  }
}

/** What the service adds; nothing that would break out of its field or change how the message is read. */
function fieldsOf(values: readonly HeaderValue[]): Fields {
  return values.flatMap(({ key, value, rawValue }): Fields => {
    const name = key.toLowerCase();
    const text = rawValue.length > 0 ? rawValue.toString('latin1') : toWire(value);
    return /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name) && !framing.has(name) && !/[\r\n\0]/.test(text) ? [[name, text]] : [];
  });
}

const framing: ReadonlySet<string> = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'upgrade']);
