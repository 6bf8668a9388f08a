import { checkDurations } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import { suggestion } from '../../schema/suggestion.ts';
import type { HttpRetry } from './types.ts';

// Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on policies.
const policies = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];

// The HTTP statuses that have a name.
const statuses: readonly (readonly [from: number, to: number])[] = [[100, 103], [200, 208], [226, 226], [300, 305], [307, 308], [400, 418], [421, 426], [428, 429], [431, 431], [451, 451], [500, 508], [510, 511]];

function isStatus(policy: string): boolean {
  return /^\d{3}$/.test(policy) && statuses.some(([from, to]) => Number(policy) >= from && Number(policy) <= to);
}

/** Also for MeshConfig.defaultHttpRetryPolicy. */
export function checkRetries(retries: HttpRetry | undefined, path: string, findings: Findings): void {
  if (!retries) return;
  if (retries.attempts < 0) findings.error(`${path}.attempts`, `must not be negative, found ${retries.attempts}`);
  const configured = retries.perTryTimeout !== undefined || retries.retryOn !== '' || retries.retryRemoteLocalities !== undefined;
  if (retries.attempts === 0 && configured) findings.error(`${path}.attempts`, '0 switches retries off, so nothing else may be set: give a number of attempts');
  checkDurations(retries, ['perTryTimeout', 'backoff'], { path, findings });
  if (retries.retryOn === '') return;
  for (const policy of retries.retryOn.split(',')) {
    if (!isStatus(policy) && !policies.includes(policy)) findings.error(`${path}.retryOn`, `"${policy}" is not a retry condition or an HTTP status${suggestion(policy, policies)}`);
  }
}
