import type { RateLimitResponse_DescriptorStatus } from '@meltemi/api/gen/envoy/service/ratelimit/v3/rls.ts';

/** Seconds of RateLimitResponse.RateLimit.Unit: unknown, second, minute, hour, day, month, year. */
const seconds: readonly number[] = [0, 1, 60, 3600, 86_400, 2_592_000, 31_536_000];

/** x-ratelimit fields of the limit that is nearest; none when no status has a limit. Source: draft-polli-ratelimit-headers-03. */
export function rateLimitHeaders(statuses: readonly RateLimitResponse_DescriptorStatus[]): (readonly [string, string])[] {
  const limited = statuses.filter(({ currentLimit }) => currentLimit !== undefined);
  const nearest = limited.reduce<RateLimitResponse_DescriptorStatus | null>((least, status) => (least === null || status.limitRemaining < least.limitRemaining ? status : least), null);
  if (nearest === null) return [];
  let policies = '';
  for (const { currentLimit } of limited) {
    const window = seconds[currentLimit?.unit ?? 0] ?? 0;
    if (currentLimit === undefined || window === 0) continue;
    const name = currentLimit.name.replaceAll(/[^\x20-\x7e]|["\\]/g, '');
    policies += `, ${currentLimit.requestsPerUnit};w=${window}${name === '' ? '' : `;name="${name}"`}`;
  }
  return [
    ['x-ratelimit-limit', `${nearest.currentLimit?.requestsPerUnit ?? 0}${policies}`],
    ['x-ratelimit-remaining', String(nearest.limitRemaining)],
    ['x-ratelimit-reset', String(nearest.durationUntilReset?.seconds ?? 0)],
  ];
}
