import type { RetryPolicy as RetryPolicyMessage } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { compileHeaderMatchers } from '@meltemi/match';
import { durationMs } from './duration.ts';
import { checkFields, fieldPath } from './fields.ts';
import { retryPolicyFields } from './field-tables.ts';
import type { Report } from './report.ts';
import { RetryOn, type RetryPolicy } from './types.ts';

const previousHosts = ['envoy.retry_host_predicates.previous_hosts', 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'];
const defaultBackoffMs = 25;

/** Compiles a retry policy with Envoy's defaults: 1 retry, back off 25 ms up to ten times the base. */
export function compileRetryPolicy(policy: RetryPolicyMessage, path: string, report: Report): RetryPolicy {
  checkFields(policy, retryPolicyFields, path, report);
  checkPredicates(policy, path, report);
  const baseMs = durationMs(policy.retryBackOff?.baseInterval, defaultBackoffMs);
  const maxMs = durationMs(policy.retryBackOff?.maxInterval, baseMs * 10);
  if (baseMs <= 0) report.refuse(`${path}.retry_back_off.base_interval`, 'must be more than zero');
  if (maxMs < baseMs) report.refuse(`${path}.retry_back_off.max_interval`, 'must not be less than base_interval');
  return {
    on: parseRetryOn(policy.retryOn, (name) => report.warn(`${path}.retry_on`, `"${name}" is not a retry condition`)),
    numRetries: policy.numRetries ?? 1,
    perTryTimeoutMs: durationMs(policy.perTryTimeout, 0),
    perTryIdleTimeoutMs: durationMs(policy.perTryIdleTimeout, 0),
    backoffBaseMs: baseMs,
    backoffMaxMs: maxMs,
    retriableStatusCodes: policy.retriableStatusCodes,
    retriableHeaders: report.take(compileHeaderMatchers(policy.retriableHeaders, fieldPath(path, 'retriableHeaders')), []),
    retriableRequestHeaders: report.take(compileHeaderMatchers(policy.retriableRequestHeaders, fieldPath(path, 'retriableRequestHeaders')), []),
    avoidPreviousHosts: policy.retryHostPredicate.length > 0,
    hostSelectionMaxAttempts: Math.max(1, Number(policy.hostSelectionRetryMaxAttempts)),
    rateLimited: compileRateLimited(policy),
  };
}

/** The bits of a comma-separated retry_on (or x-envoy-retry-on, x-envoy-retry-grpc-on) list; `unknown` hears of the rest. */
export function parseRetryOn(text: string, unknown: (name: string) => void = () => {}): number {
  let bits = 0;
  for (const part of text.split(',')) {
    const name = part.trim();
    if (name === '') continue;
    if (Object.hasOwn(RetryOn, name)) bits |= RetryOn[name as keyof typeof RetryOn];
    else unknown(name);
  }
  return bits;
}

function checkPredicates(policy: RetryPolicyMessage, path: string, report: Report): void {
  for (const [i, predicate] of policy.retryHostPredicate.entries()) {
    const typeUrl = predicate.configType?.value.typeUrl ?? '';
    if (!previousHosts.includes(typeUrl === '' ? predicate.name : typeUrl)) {
      report.refuse(`${path}.retry_host_predicate[${i}]`, `${typeUrl || predicate.name} is not supported: only previous_hosts is`);
    }
  }
}

function compileRateLimited(policy: RetryPolicyMessage): RetryPolicy['rateLimited'] {
  const limited = policy.rateLimitedRetryBackOff;
  if (!limited) return null;
  const headers = limited.resetHeaders.map((header) => ({ name: header.name.toLowerCase(), unix: header.format === 1 }));
  return { headers, maxMs: durationMs(limited.maxInterval, 300_000) };
}
