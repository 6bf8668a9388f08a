import { err, ok, type Result } from '@meltemi/base';
import type { RateLimitServiceConfig } from '@meltemi/api/gen/envoy/config/ratelimit/v3/rls.ts';
import { RateLimit, RateLimitPerRoute } from '@meltemi/api/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit.ts';
import { compileHeaderOps, compileRateLimits, durationMs, refuse, Report, use, type FieldTable, type HeaderOps, type RateLimitRule } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { compileGrpcService, type GrpcTarget } from '../../../http/grpc-service.ts';
import { checkSettings } from '../../check-settings.ts';
import { VhRateLimits } from '../rate-limit-descriptors.ts';

/** What a ratelimit config compiles to. */
export interface RateLimitConfig {
  readonly domain: string;
  readonly stage: number;
  /** Whose requests count: those of the mesh, of others, or all. */
  readonly requestType: 'internal' | 'external' | 'both';
  readonly service: GrpcTarget;
  readonly timeoutMs: number;
  readonly denyOnFailure: boolean;
  readonly resourceExhausted: boolean;
  readonly rateLimitHeaders: boolean;
  /** x-envoy-ratelimited on what is over the limit. */
  readonly markLimited: boolean;
  readonly limitedStatus: number;
  readonly errorStatus: number;
  readonly responseHeaders: HeaderOps;
  /** "" or "name." */
  readonly statPrefix: string;
}

/** A route's settings. */
export interface RateLimitRoute {
  readonly virtualHost: number;
  /** "" = the filter's. */
  readonly domain: string;
  /** In place of those of the route and its virtual host, unless there are none. */
  readonly rules: readonly RateLimitRule[];
}

const defaultTimeoutMs = 20;

const settings: FieldTable<RateLimit> = {
  domain: use, stage: use, requestType: use, timeout: use, failureModeDeny: use, rateLimitedAsResourceExhausted: use, rateLimitService: use, enableXRatelimitHeaders: use,
  disableXEnvoyRatelimitedHeader: use, rateLimitedStatus: use, responseHeadersToAdd: use, statusOnError: use, statPrefix: use,
};

const serviceSettings: FieldTable<RateLimitServiceConfig> = {
  grpcService: use,
  transportApiVersion: refuse('only V3 is spoken', (version) => version === 2),
};

const routeSettings: FieldTable<RateLimitPerRoute> = { vhRateLimits: use, overrideOption: use, domain: use, rateLimits: use };

export function parseRateLimit(bytes: Uint8Array, ctx: ParseContext): Result<RateLimitConfig> {
  const message = RateLimit.decode(bytes);
  const { path } = ctx;
  const report = new Report(ctx.extensions.formats);
  const at = { path: `${path}.rate_limit_service`, warn: (where: string, what: string) => ctx.warn(where, what) };
  report.errors.push(...checkSettings(message, settings, ctx));
  if (message.rateLimitService !== undefined) report.errors.push(...checkSettings(message.rateLimitService, serviceSettings, at));
  const service = report.take(compileGrpcService(message.rateLimitService?.grpcService, defaultTimeoutMs, { ...at, path: `${at.path}.grpc_service` }), null);
  const requestType = message.requestType === '' ? 'both' : message.requestType;
  if (message.domain === '') report.refuse(`${path}.domain`, 'is required');
  if (message.stage > 10) report.refuse(`${path}.stage`, `${message.stage} is more than 10`);
  if (requestType !== 'internal' && requestType !== 'external' && requestType !== 'both') report.refuse(`${path}.request_type`, `"${requestType}" is not internal, external or both`);
  if (message.responseHeadersToAdd.length > 10) report.refuse(`${path}.response_headers_to_add`, 'has more than 10 headers');
  const responseHeaders = compileHeaderOps(message.responseHeadersToAdd, [], path, 'response_headers', report);
  if (report.errors.length > 0 || service === null) return err(report.errors);
  return ok({
    domain: message.domain, stage: message.stage, requestType: requestType as RateLimitConfig['requestType'], service,
    timeoutMs: durationMs(message.timeout, 0) || defaultTimeoutMs,
    denyOnFailure: message.failureModeDeny,
    resourceExhausted: message.rateLimitedAsResourceExhausted,
    rateLimitHeaders: message.enableXRatelimitHeaders === 1,
    markLimited: !message.disableXEnvoyRatelimitedHeader,
    limitedStatus: errorOr(message.rateLimitedStatus?.code, 429),
    errorStatus: errorOr(message.statusOnError?.code, 500),
    responseHeaders,
    statPrefix: message.statPrefix === '' ? '' : `${message.statPrefix}.`,
  });
}

export function parseRateLimitRoute(bytes: Uint8Array, ctx: ParseContext): Result<RateLimitRoute> {
  const message = RateLimitPerRoute.decode(bytes);
  const report = new Report();
  report.errors.push(...checkSettings(message, routeSettings, ctx));
  const rules = compileRateLimits(message.rateLimits, `${ctx.path}.rate_limits`, report);
  for (const [i, { stage, disableKey, limit }] of message.rateLimits.entries()) if (stage !== undefined || disableKey !== '' || limit !== undefined) report.refuse(`${ctx.path}.rate_limits[${i}]`, 'takes neither stage nor disable_key nor limit here');
  for (const { path, message: what } of report.warnings) ctx.warn(path, what);
  if (report.errors.length > 0) return err(report.errors);
  // override_option counts one further, with 0 for "as vh_rate_limits says".
  const virtualHost = message.overrideOption === 0 ? message.vhRateLimits : message.overrideOption - 1;
  return ok({ virtualHost: virtualHost >= 0 && virtualHost <= 2 ? virtualHost : VhRateLimits.override, domain: message.domain, rules });
}

/** Envoy takes only statuses that say something went wrong. */
function errorOr(status: number | undefined, otherwise: number): number {
  return status !== undefined && status >= 400 ? status : otherwise;
}
