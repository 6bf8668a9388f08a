import type { HttpRetry } from '@meltemi/config';
import { RetryPolicy, type RetryPolicy_RetryHostPredicate, type RetryPolicy_RetryPriority } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { PreviousHostsPredicate } from '@meltemi/api/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.ts';
import { PreviousPrioritiesConfig } from '@meltemi/api/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.ts';
import type { Protocol } from '../../registry/model.ts';
import { create, createAny, duration, optionalDuration, typed } from '../message.ts';

/** Source: Istio's route/retry/retry.go. */
const defaultRetryOn = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';

/** The retry policy of a route (`settings` absent: Istio's own); undefined switches retries off. `hashed`: the same host is wanted again, so it is not avoided unless asked to. */
export function retryPolicy(settings: HttpRetry | undefined, { hashed }: { readonly hashed: boolean }): RetryPolicy | undefined {
  if (settings && settings.attempts <= 0) return undefined;
  const { retryOn, codes } = conditions(settings?.retryOn ?? '');
  return create(RetryPolicy, {
    retryOn,
    numRetries: settings?.attempts ?? 2,
    retriableStatusCodes: codes,
    perTryTimeout: optionalDuration(settings?.perTryTimeout),
    hostSelectionRetryMaxAttempts: 5n,
    ...((settings?.retryIgnorePreviousHosts ?? !hashed) ? { retryHostPredicate: [previousHosts()] } : {}),
    ...(settings?.retryRemoteLocalities === true ? { retryPriority: previousPriorities() } : {}),
    ...(settings?.backoff === undefined ? {} : { retryBackOff: { baseInterval: duration(settings.backoff), maxInterval: undefined } }),
  });
}

/**
 * The retry policy of an application's own port: it may close an idle connection just as a request is put on it, and such a request is safe to send again.
 * gRPC ports have none: streams do not bear it. Of `settings` (MeshConfig's) attempts, conditions and backoff count.
 */
export function inboundRetryPolicy(settings: HttpRetry | undefined, protocol: Protocol): RetryPolicy | undefined {
  if (protocol === 'GRPC' || protocol === 'GRPC_WEB' || (settings && settings.attempts <= 0)) return undefined;
  const { retryOn, codes } = conditions(settings?.retryOn ?? '', 'reset-before-request');
  return create(RetryPolicy, {
    retryOn,
    numRetries: settings?.attempts ?? 2,
    retriableStatusCodes: codes,
    ...(settings?.backoff === undefined ? {} : { retryBackOff: { baseInterval: duration(settings.backoff), maxInterval: undefined } }),
  });
}

/** Numbers in the list are status codes. */
function conditions(text: string, byDefault = defaultRetryOn): { retryOn: string; codes: number[] } {
  if (text === '') return { retryOn: byDefault, codes: [] };
  const parts = text.split(',').map((entry) => entry.trim()).filter((part) => part !== '');
  const codes = parts.filter((part) => /^[1-5][0-9]{2}$/.test(part)).map(Number);
  const names = parts.filter((part) => !/^[1-5][0-9]{2}$/.test(part));
  if (codes.length > 0 && !names.includes('retriable-status-codes')) names.push('retriable-status-codes');
  return { retryOn: names.join(','), codes };
}

function previousHosts(): RetryPolicy_RetryHostPredicate {
  return typed('envoy.retry_host_predicates.previous_hosts', createAny('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate', PreviousHostsPredicate));
}

/** Each retry leaves the priorities tried so far, so it reaches other localities. */
function previousPriorities(): RetryPolicy_RetryPriority {
  return typed('envoy.retry_priorities.previous_priorities', createAny('envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', PreviousPrioritiesConfig, { updateFrequency: 2 }));
}
