import { checkDurations } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import { suggestion } from '../../schema/closest.ts';
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

/** Also for MeshConfig.defaultHttpRetryPolicy. */
export function checkRetries(retries: HttpRetry | undefined, path: string, findings: Findings): void {
  if (!retries) return;
  if (retries.attempts < 0) findings.error(`${path}.attempts`, `must not be negative, found ${retries.attempts}`);
  const configured = retries.perTryTimeout !== undefined || retries.retryOn !== '' || retries.retryRemoteLocalities !== undefined;
  if (retries.attempts === 0 && configured) findings.error(`${path}.attempts`, '0 switches retries off, so nothing else may be set: give a number of attempts');
  checkDurations(retries, ['perTryTimeout', 'backoff'], { path, findings });
  if (retries.retryOn === '') return;
  for (const policy of retries.retryOn.split(',')) {
    const status = /^[1-5]\d\d$/.test(policy);
    if (!status && !policies.includes(policy)) findings.error(`${path}.retryOn`, `"${policy}" is not a retry condition or an HTTP status${suggestion(policy, policies)}`);
  }
}
