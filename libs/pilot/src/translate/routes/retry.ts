import type { HttpRetry, MeshConfigSpec } from '@meltemi/config';
import { RetryPolicy, type RetryPolicy_RetryHostPredicate } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { PreviousHostsPredicate } from '@meltemi/api/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.ts';
import { create, createAny, duration, optionalDuration, typed } from '../message.ts';

/** Source: Istio's route/retry/retry.go. */
const defaultRetryOn = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';

/** The retry policy of a route; undefined switches retries off. `hashed`: the same host is wanted again, so it is not avoided. */
export function retryPolicy(settings: HttpRetry | undefined, options: { readonly mesh: MeshConfigSpec; readonly hashed: boolean }): RetryPolicy | undefined {
  const wanted = settings ?? options.mesh.defaultHttpRetryPolicy;
  if (wanted && wanted.attempts <= 0) return undefined;
  const { retryOn, codes } = conditions(wanted?.retryOn ?? '');
  const avoid = !options.hashed && wanted?.retryIgnorePreviousHosts !== false;
  return create(RetryPolicy, {
    retryOn,
    numRetries: wanted?.attempts ?? 2,
    retriableStatusCodes: codes,
    perTryTimeout: optionalDuration(wanted?.perTryTimeout),
    ...(avoid ? { retryHostPredicate: [previousHosts()], hostSelectionRetryMaxAttempts: 5n } : {}),
    ...(wanted?.backoff === undefined ? {} : { retryBackOff: { baseInterval: duration(wanted.backoff), maxInterval: undefined } }),
  });
}

/** Numbers in the list are status codes. */
function conditions(text: string): { retryOn: string; codes: number[] } {
  if (text === '') return { retryOn: defaultRetryOn, codes: [] };
  const names: string[] = [];
  const codes: number[] = [];
  for (const part of text.split(',').map((entry) => entry.trim())) {
    if (part === '') continue;
    if (/^[1-5][0-9]{2}$/.test(part)) codes.push(Number(part));
    else names.push(part);
  }
  if (codes.length > 0 && !names.includes('retriable-status-codes')) names.push('retriable-status-codes');
  return { retryOn: names.join(','), codes };
}

function previousHosts(): RetryPolicy_RetryHostPredicate {
  return typed('envoy.retry_host_predicates.previous_hosts', createAny('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate', PreviousHostsPredicate));
}
