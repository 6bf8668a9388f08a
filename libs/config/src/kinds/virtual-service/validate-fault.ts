import { checkDurations } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import { suggestion } from '../../schema/suggestion.ts';
import type { Percent } from '../types.ts';
import type { FaultAbort, FaultDelay, HttpFaultInjection } from './types.ts';

const grpcStatuses = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

export function checkFault(fault: HttpFaultInjection | undefined, path: string, findings: Findings): void {
  if (!fault) return;
  if (!fault.abort && !fault.delay) findings.error(path, 'needs a delay or an abort');
  if (fault.delay) checkDelay(fault.delay, `${path}.delay`, findings);
  if (fault.abort) checkAbort(fault.abort, `${path}.abort`, findings);
}

function checkDelay(delay: FaultDelay, path: string, findings: Findings): void {
  checkPercentage(delay.percentage, `${path}.percentage`, findings);
  checkDurations(delay, ['fixedDelay'], { path, findings });
  if (delay.exponentialDelay !== undefined) findings.error(`${path}.exponentialDelay`, 'is not supported: use fixedDelay');
  else if (delay.fixedDelay === undefined) findings.warn(path, 'has no fixedDelay, so it delays nothing');
  if (delay.percent < 0 || delay.percent > 100) findings.error(`${path}.percent`, `must be in the range 0…100, found ${delay.percent}`);
  else if (delay.percent !== 0) findings.warn(`${path}.percent`, 'is deprecated: use percentage.value');
}

function checkAbort(abort: FaultAbort, path: string, findings: Findings): void {
  checkPercentage(abort.percentage, `${path}.percentage`, findings);
  if (abort.http2Error !== undefined) findings.error(`${path}.http2Error`, 'is not supported: use httpStatus or grpcStatus');
  if (abort.httpStatus !== undefined) findings.check(`${path}.httpStatus`, statusReason(abort.httpStatus));
  if (abort.grpcStatus !== undefined && !grpcStatuses.includes(abort.grpcStatus))
    findings.error(`${path}.grpcStatus`, `"${abort.grpcStatus}" is not the name of a gRPC status, like NOT_FOUND${suggestion(abort.grpcStatus, grpcStatuses)}`);
  if (abort.httpStatus === undefined && abort.grpcStatus === undefined && abort.http2Error === undefined)
    findings.warn(path, 'has neither httpStatus nor grpcStatus, so it aborts nothing');
}

/** Why not a final HTTP status. */
export function statusReason(status: number): string | undefined {
  return status >= 200 && status <= 599 ? undefined : `must be an HTTP status in the range 200…599, found ${status}`;
}

// Envoy counts in millionths, so nothing between 0 and 0.0001 % can be said.
function checkPercentage(percentage: Percent | undefined, path: string, findings: Findings): void {
  const value = percentage?.value ?? 0;
  if (value !== 0 && (value < 0.0001 || value > 100)) findings.error(`${path}.value`, `must be 0 or in the range 0.0001…100, found ${value}`);
}
