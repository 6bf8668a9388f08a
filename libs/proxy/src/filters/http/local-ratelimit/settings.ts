import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { LocalRateLimitDescriptor } from '@meltemi/api/gen/envoy/extensions/common/ratelimit/v3/ratelimit.ts';
import { LocalRateLimit } from '@meltemi/api/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts';
import { compileFraction, never, type Fraction } from '@meltemi/match';
import { compileHeaderOps, Report, use, type FieldTable, type HeaderOps, type RateLimitEntry } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { compileBucket, type BucketSize } from '../../../resilience/token-bucket.ts';
import { checkSettings } from '../../check-settings.ts';

/** What a local rate limit config compiles to. */
export interface LocalRateLimitConfig {
  /** Field path of the config: what tells its buckets from those of others. */
  readonly where: string;
  readonly statPrefix: string;
  readonly status: number;
  /** Null: nothing is limited but by descriptors. */
  readonly bucket: BucketSize | null;
  readonly enabled: Fraction;
  readonly enforced: Fraction;
  readonly requestHeaders: HeaderOps;
  readonly responseHeaders: HeaderOps;
  readonly descriptors: readonly LimitedDescriptor[];
  readonly stage: number;
  readonly perConnection: boolean;
  readonly rateLimitHeaders: boolean;
  readonly virtualHost: number;
  readonly alwaysDefaultBucket: boolean;
  readonly resourceExhausted: boolean;
}

export interface LimitedDescriptor {
  readonly key: string;
  readonly bucket: BucketSize;
}

const settings: FieldTable<LocalRateLimit> = {
  statPrefix: use, status: use, tokenBucket: use, filterEnabled: use, filterEnforced: use, requestHeadersToAddWhenNotEnforced: use, responseHeadersToAdd: use,
  descriptors: use, stage: use, localRateLimitPerDownstreamConnection: use, enableXRatelimitHeaders: use, vhRateLimits: use, alwaysConsumeDefaultTokenBucket: use,
  rateLimitedAsResourceExhausted: use,
  localClusterRateLimit: use,
};

export const parseLocalRateLimit = (bytes: Uint8Array, ctx: ParseContext): Result<LocalRateLimitConfig> => compile(LocalRateLimit.decode(bytes), ctx, false);
export const parseLocalRateLimitRoute = (bytes: Uint8Array, ctx: ParseContext): Result<LocalRateLimitConfig> => compile(LocalRateLimit.decode(bytes), ctx, true);

function compile(message: LocalRateLimit, ctx: ParseContext, perRoute: boolean): Result<LocalRateLimitConfig> {
  const { path } = ctx;
  const report = new Report(ctx.extensions.formats);
  report.errors.push(...checkSettings(message, settings, ctx));
  if (message.localClusterRateLimit !== undefined) report.refuse(`${path}.local_cluster_rate_limit`, 'sharing a limit over the proxies of a cluster is not supported: use the ratelimit filter');
  if (message.statPrefix === '') report.refuse(`${path}.stat_prefix`, 'is required');
  if (message.stage > 10) report.refuse(`${path}.stage`, `${message.stage} is more than 10`);
  for (const [name, list] of [['request_headers_to_add_when_not_enforced', message.requestHeadersToAddWhenNotEnforced], ['response_headers_to_add', message.responseHeadersToAdd]] as const)
    if (list.length > 10) report.refuse(`${path}.${name}`, 'has more than 10 headers');
  if (message.tokenBucket === undefined && perRoute) report.refuse(`${path}.token_bucket`, 'is required in settings of a route');
  const bucket = message.tokenBucket === undefined ? null : report.take(compileBucket(message.tokenBucket, `${path}.token_bucket`), null);
  const descriptors = message.descriptors.flatMap((descriptor, i) => report.take(compileDescriptor(descriptor, `${path}.descriptors[${i}]`), []));
  const code = message.status?.code ?? 0;
  const config: LocalRateLimitConfig = {
    where: path,
    statPrefix: message.statPrefix,
    // Envoy takes errors only.
    status: code >= 400 ? code : 429,
    bucket,
    enabled: compileFraction(message.filterEnabled?.defaultValue, never),
    enforced: compileFraction(message.filterEnforced?.defaultValue, never),
    requestHeaders: compileHeaderOps(message.requestHeadersToAddWhenNotEnforced, [], path, 'request_headers', report),
    responseHeaders: compileHeaderOps(message.responseHeadersToAdd, [], path, 'response_headers', report),
    descriptors,
    stage: message.stage,
    perConnection: message.localRateLimitPerDownstreamConnection,
    rateLimitHeaders: message.enableXRatelimitHeaders === 1,
    virtualHost: message.vhRateLimits,
    alwaysDefaultBucket: message.alwaysConsumeDefaultTokenBucket ?? true,
    resourceExhausted: message.rateLimitedAsResourceExhausted,
  };
  const twice: FieldError[] = descriptors.flatMap(({ key }, i) => (descriptors.findIndex((other) => other.key === key) < i ? [{ path: `${path}.descriptors[${i}]`, message: 'says the same entries as an earlier one' }] : []));
  report.errors.push(...twice);
  return report.errors.length > 0 ? err(report.errors) : ok(config);
}

function compileDescriptor({ entries, tokenBucket }: LocalRateLimitDescriptor, path: string): Result<LimitedDescriptor[]> {
  if (entries.length === 0) return fail(`${path}.entries`, 'needs at least one entry');
  const empty = entries.findIndex(({ key, value }) => key === '' || value === '');
  if (empty >= 0) return fail(`${path}.entries[${empty}]`, 'needs a key and a value');
  const bucket = compileBucket(tokenBucket, `${path}.token_bucket`);
  return bucket.ok ? ok([{ key: descriptorKey(entries), bucket: bucket.value }]) : bucket;
}

/** One text for the entries in their order. */
export function descriptorKey(entries: readonly RateLimitEntry[]): string {
  let text = '';
  for (const { key, value } of entries) text += `${key.length}:${key}=${value.length}:${value};`;
  return text;
}
