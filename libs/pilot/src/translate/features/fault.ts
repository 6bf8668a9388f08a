import type { HttpFaultInjection } from '@meltemi/config';
import { FaultDelay } from '@meltemi/api/gen/envoy/extensions/filters/common/fault/v3/fault.ts';
import { FaultAbort, HTTPFault } from '@meltemi/api/gen/envoy/extensions/filters/http/fault/v3/fault.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import { create, createAny, duration, fractionalPercent, typed } from '../message.ts';
import type { HttpFeature } from './feature.ts';

const typeName = 'envoy.extensions.filters.http.fault.v3.HTTPFault';

/** Delays and aborts that routes ask for. */
export const fault: HttpFeature = {
  name: 'envoy.filters.http.fault',
  filter: () => create(HttpFilter, typed('envoy.filters.http.fault', createAny(typeName, HTTPFault))),
};

/** gRPC status names as Istio's YAML writes them. */
const grpcStatuses: readonly string[] = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
];

/** A route's own fault. No percentage means never. undefined: nothing that this filter can do. */
export function routeFault(settings: HttpFaultInjection): Any | undefined {
  const delay = delayOf(settings);
  const abort = abortOf(settings);
  if (!delay && !abort) return undefined;
  return createAny(typeName, HTTPFault, { ...(delay ? { delay } : {}), ...(abort ? { abort } : {}) });
}

function delayOf({ delay }: HttpFaultInjection): FaultDelay | undefined {
  if (delay?.fixedDelay === undefined) return undefined;
  const percentage = fractionalPercent(delay.percentage?.value ?? delay.percent);
  return create(FaultDelay, { faultDelaySecifier: { $case: 'fixedDelay', value: duration(delay.fixedDelay) }, percentage });
}

function abortOf({ abort }: HttpFaultInjection): FaultAbort | undefined {
  if (!abort) return undefined;
  const percentage = fractionalPercent(abort.percentage?.value ?? 0);
  if (abort.httpStatus !== undefined) return create(FaultAbort, { errorType: { $case: 'httpStatus', value: abort.httpStatus }, percentage });
  const status = abort.grpcStatus === undefined ? -1 : /^[0-9]+$/.test(abort.grpcStatus) ? Number(abort.grpcStatus) : grpcStatuses.indexOf(abort.grpcStatus.toUpperCase());
  return status < 0 ? undefined : create(FaultAbort, { errorType: { $case: 'grpcStatus', value: status }, percentage });
}
