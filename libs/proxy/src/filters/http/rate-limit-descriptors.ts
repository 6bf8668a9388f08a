import type { RateLimitDescriptor, RateLimitRule } from '@meltemi/route';
import type { StreamControls } from '../../filter.ts';

/** How a virtual host's rate limits count beside its route's; numbers of VhRateLimitsOptions. */
export const VhRateLimits = { override: 0, include: 1, ignore: 2 } as const;

const none: readonly RateLimitDescriptor[] = [];

/** The descriptors of a request for filters of this stage, of its route and, where that is wanted, its virtual host. */
export function rateLimitDescriptors(stream: StreamControls, stage: number, virtualHost: number): readonly RateLimitDescriptor[] {
  const route = stream.route();
  const limits = route?.rateLimits;
  if (route?.action.kind !== 'forward' || !limits) return none;
  const found: RateLimitDescriptor[] = [];
  collect(stream, limits.route, stage, found);
  const include = limits.includeVirtualHost || virtualHost === VhRateLimits.include || (virtualHost === VhRateLimits.override && limits.route.length === 0);
  if (include) collect(stream, limits.virtualHost, stage, found);
  return found;
}

/** The descriptors of a filter's own rules, for requests that are forwarded. */
export function descriptorsOf(stream: StreamControls, rules: readonly RateLimitRule[]): readonly RateLimitDescriptor[] {
  if (stream.route()?.action.kind !== 'forward') return none;
  const found: RateLimitDescriptor[] = [];
  collect(stream, rules, 0, found);
  return found;
}

function collect(stream: StreamControls, rules: readonly RateLimitRule[], stage: number, found: RateLimitDescriptor[]): void {
  for (const rule of rules) {
    if (rule.stage !== stage) continue;
    const descriptor = rule.descriptor(stream.request, stream.info, { localCluster: stream.node.cluster });
    if (descriptor !== null) found.push(descriptor);
  }
}
