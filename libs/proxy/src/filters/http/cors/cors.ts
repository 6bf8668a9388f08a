import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { CorsPolicy as CorsMessage } from '@meltemi/api/gen/envoy/extensions/filters/http/cors/v3/cors.ts';
import type { RequestHead, ResponseHead } from '@meltemi/http';
import { always, compileAll, compileFraction, compileStringMatcher, never } from '@meltemi/match';
import { inheritCors, use, type CorsPolicy, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { checkSettings } from '../../check-settings.ts';

/** Answers preflights and marks responses for browsers, as the route's policy says. Source: the Fetch standard's CORS protocol. */
export const corsFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.cors',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy'],
  stage: 'traffic',
  trust: 'untrusted-downstream-and-upstream',
  parse: () => ok({}),
  parseRoute,
  bind(_config, ctx) {
    const prefix = `http.${ctx.hcm.statPrefix}.cors`;
    const stats = { valid: ctx.stats.counter(`${prefix}.origin_valid`), invalid: ctx.stats.counter(`${prefix}.origin_invalid`) };
    return {
      events: FilterEvents.decodeHead | FilterEvents.encodeHead,
      create(stream) {
        const policy = policyOf(stream, ctx.filterName);
        if (policy === null) return null;
        const enabled = policy.enabled.hit(stream.random.next());
        return enabled || policy.shadow.hit(stream.random.next()) ? new CorsStream(policy, stats, !enabled) : null;
      },
    };
  },
};

function policyOf(stream: StreamControls, filterName: string): CorsPolicy | null {
  const action = stream.route()?.action;
  // as in Envoy, what the proxy answers by itself has no policy
  if (action?.kind !== 'forward') return null;
  return merged(stream.perRouteLevels(filterName) as readonly CorsPolicy[]) ?? action.cors;
}

/** By the levels of a route, which are the same for all its requests. */
const policies = new WeakMap<readonly CorsPolicy[], CorsPolicy>();

/** The policies of a route's levels as one; null when there are none. */
function merged(levels: readonly CorsPolicy[]): CorsPolicy | null {
  const [first = null] = levels;
  if (first === null || levels.length === 1) return first;
  const known = policies.get(levels);
  if (known !== undefined) return known;
  const policy = levels.reduce((own, above) => inheritCors(own, above) ?? own);
  policies.set(levels, policy);
  return policy;
}

const policyFields: FieldTable<CorsMessage> = {
  allowOriginStringMatch: use, allowMethods: use, allowHeaders: use, exposeHeaders: use, maxAge: use, allowCredentials: use, filterEnabled: use,
  shadowEnabled: use, allowPrivateNetworkAccess: use, forwardNotMatchingPreflights: use,
};

function parseRoute(bytes: Uint8Array, ctx: ParseContext): Result<CorsPolicy> {
  const message = CorsMessage.decode(bytes);
  const errors: FieldError[] = checkSettings(message, policyFields, ctx);
  const origins = compileAll(message.allowOriginStringMatch, `${ctx.path}.allow_origin_string_match`, compileStringMatcher);
  if (!origins.ok) errors.push(...origins.error);
  if (errors.length > 0 || !origins.ok) return err(errors);
  return ok({
    enabled: compileFraction(message.filterEnabled?.defaultValue, always),
    shadow: compileFraction(message.shadowEnabled?.defaultValue, never),
    allowOrigin: origins.value,
    allowMethods: message.allowMethods,
    allowHeaders: message.allowHeaders,
    exposeHeaders: message.exposeHeaders,
    maxAge: message.maxAge,
    allowCredentials: message.allowCredentials ?? null,
    allowPrivateNetworkAccess: message.allowPrivateNetworkAccess ?? null,
    forwardNotMatchingPreflights: message.forwardNotMatchingPreflights ?? null,
  });
}

interface CorsStats {
  readonly valid: { inc(): void };
  readonly invalid: { inc(): void };
}

class CorsStream extends HttpStreamFilter {
  readonly #policy: CorsPolicy;
  readonly #stats: CorsStats;
  readonly #shadow: boolean;
  #origin: string | null = null;

  constructor(policy: CorsPolicy, stats: CorsStats, shadow: boolean) {
    super();
    this.#policy = policy;
    this.#stats = stats;
    this.#shadow = shadow;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const origin = head.headers.get('origin');
    if (origin === null || origin === '') return FilterStatus.continue;
    const policy = this.#policy;
    const allowed = policy.allowOrigin.some((match) => match.matches('*') || match.matches(origin));
    (allowed ? this.#stats.valid : this.#stats.invalid).inc();
    if (this.#shadow) return FilterStatus.continue;
    const asks = head.headers.get('access-control-request-method') ?? '';
    const preflight = head.method === 'OPTIONS' && asks !== '';
    if (!preflight) {
      if (allowed) this.#origin = origin;
      return FilterStatus.continue;
    }
    if (!allowed && policy.forwardNotMatchingPreflights !== false) return FilterStatus.continue;
    stream.sendLocalReply({ status: 200, body: '', details: 'cors_response', headers: this.#preflightHeaders(allowed ? origin : null, head) });
    return FilterStatus.stopIteration;
  }

  override encodeHead(_stream: StreamControls, head: ResponseHead): number {
    if (this.#origin === null) return FilterStatus.continue;
    head.headers.set('access-control-allow-origin', this.#origin);
    if (this.#policy.allowCredentials === true) head.headers.set('access-control-allow-credentials', 'true');
    if (this.#policy.exposeHeaders !== '') head.headers.set('access-control-expose-headers', this.#policy.exposeHeaders);
    return FilterStatus.continue;
  }

  /** `origin` null: not allowed, so the browser is told everything but that. "*" allows whatever the request asks for. */
  #preflightHeaders(origin: string | null, head: RequestHead): (readonly [string, string])[] {
    const policy = this.#policy;
    const asked = (name: string) => head.headers.get(`access-control-request-${name}`) ?? '';
    const headers: (readonly [string, string])[] = origin === null ? [] : [['access-control-allow-origin', origin]];
    if (policy.allowCredentials === true) headers.push(['access-control-allow-credentials', 'true']);
    if (policy.allowMethods !== '') headers.push(['access-control-allow-methods', policy.allowMethods === '*' ? asked('method') : policy.allowMethods]);
    if (policy.allowHeaders !== '') headers.push(['access-control-allow-headers', policy.allowHeaders === '*' ? asked('headers') : policy.allowHeaders]);
    if (policy.maxAge !== '') headers.push(['access-control-max-age', policy.maxAge]);
    if (policy.allowPrivateNetworkAccess === true && head.headers.get('access-control-request-private-network') === 'true') headers.push(['access-control-allow-private-network', 'true']);
    return headers;
  }
}
