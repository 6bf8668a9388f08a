import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { FaultDelay, FaultRateLimit } from '@meltemi/api/gen/envoy/extensions/filters/common/fault/v3/fault.ts';
import { HTTPFault, type FaultAbort } from '@meltemi/api/gen/envoy/extensions/filters/http/fault/v3/fault.ts';
import type { FractionalPercent } from '@meltemi/api/gen/envoy/type/v3/percent.ts';
import type { RequestHead } from '@meltemi/http';
import { compileHeaderMatchers, type HeaderMatch } from '@meltemi/match';
import { durationMs, use, warn, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { checkSettings } from '../../check-settings.ts';

/** What a fault config compiles to. */
export interface FaultConfig {
  readonly delay: FaultOf<number> | null;
  readonly abort: FaultOf<AbortStatus> | null;
  readonly rateLimit: FaultOf<number> | null;
  /** All must match. */
  readonly headers: readonly HeaderMatch[];
  /** Node ids of callers, from x-envoy-downstream-service-node; empty = all. */
  readonly downstreamNodes: readonly string[];
  /** Only requests to this cluster; "" = all. */
  readonly upstreamCluster: string;
  readonly maxActive: number;
}

/** One fault: milliseconds of delay, a status, or KiB a second. */
export interface FaultOf<T> {
  /** Null when the request's headers say it. */
  readonly fixed: T | null;
  /** Parts of `denominator`. */
  readonly numerator: number;
  readonly denominator: number;
}

export interface AbortStatus {
  readonly status: number;
  readonly grpcStatus: number | null;
}

const runtime = warn('there is no runtime to override settings from');

const settings: FieldTable<HTTPFault> = {
  delay: use, abort: use, upstreamCluster: use, headers: use, downstreamNodes: use, maxActiveFaults: use, responseRateLimit: use,
  delayPercentRuntime: runtime, abortPercentRuntime: runtime, delayDurationRuntime: runtime, abortHttpStatusRuntime: runtime, maxActiveFaultsRuntime: runtime,
  responseRateLimitPercentRuntime: runtime, abortGrpcStatusRuntime: runtime,
  disableDownstreamClusterStats: warn('statistics by downstream cluster are never kept'),
  filterMetadata: warn('is not added to the metadata of faulted requests'),
};

export function parseFault(bytes: Uint8Array, ctx: ParseContext): Result<FaultConfig> {
  const message = HTTPFault.decode(bytes);
  const errors: FieldError[] = checkSettings(message, settings, ctx);
  const take = <T>(result: Result<T>): T | null => (result.ok ? result.value : (errors.push(...result.error), null));
  const headers = take(compileHeaderMatchers(message.headers, `${ctx.path}.headers`));
  const delay = message.delay && take(delayOf(message.delay, `${ctx.path}.delay`));
  const abort = message.abort && take(abortOf(message.abort, `${ctx.path}.abort`));
  const rateLimit = message.responseRateLimit && take(limitOf(message.responseRateLimit, `${ctx.path}.response_rate_limit`));
  if (errors.length > 0) return err(errors);
  return ok({
    delay: delay ?? null, abort: abort ?? null, rateLimit: rateLimit ?? null,
    headers: headers ?? [],
    downstreamNodes: message.downstreamNodes,
    upstreamCluster: message.upstreamCluster,
    maxActive: message.maxActiveFaults ?? Number.MAX_SAFE_INTEGER,
  });
}

function delayOf({ faultDelaySecifier: specifier, percentage }: FaultDelay, path: string): Result<FaultOf<number>> {
  if (specifier === undefined) return fail(path, 'needs fixed_delay or header_delay');
  if (specifier.$case === 'headerDelay') return ok(fault<number>(null, percentage));
  const ms = durationMs(specifier.value, 0);
  return ms > 0 ? ok(fault(ms, percentage)) : fail(`${path}.fixed_delay`, 'must be more than 0');
}

function abortOf({ errorType, percentage }: FaultAbort, path: string): Result<FaultOf<AbortStatus>> {
  if (errorType === undefined) return fail(path, 'needs http_status, grpc_status or header_abort');
  if (errorType.$case === 'headerAbort') return ok(fault<AbortStatus>(null, percentage));
  if (errorType.$case === 'grpcStatus') return ok(fault({ status: 200, grpcStatus: errorType.value }, percentage));
  const status = errorType.value;
  return isStatus(status) ? ok(fault({ status, grpcStatus: null }, percentage)) : fail(`${path}.http_status`, `${status} is not a status from 200 to 599`);
}

function limitOf({ limitType, percentage }: FaultRateLimit, path: string): Result<FaultOf<number>> {
  if (limitType === undefined) return fail(path, 'needs fixed_limit or header_limit');
  if (limitType.$case === 'headerLimit') return ok(fault<number>(null, percentage));
  const kib = Number(limitType.value.limitKbps);
  return kib >= 1 ? ok(fault(kib, percentage)) : fail(`${path}.fixed_limit.limit_kbps`, 'must be at least 1');
}

const denominators = [100, 10_000, 1_000_000] as const;

function fault<T>(fixed: T | null, percentage: FractionalPercent | undefined): FaultOf<T> {
  return { fixed, numerator: percentage?.numerator ?? 0, denominator: denominators[percentage?.denominator as 0 | 1 | 2] ?? 100 };
}

function isStatus(status: number): boolean {
  return status >= 200 && status <= 599;
}

/** Whether the fault is this request's: a header may ask for less than the configured share, never for more. */
export function chosen(fault: FaultOf<unknown>, percentageHeader: string, head: RequestHead, random: number): boolean {
  const asked = fault.fixed === null ? numberOf(head, percentageHeader) : null;
  return random * fault.denominator < Math.min(fault.numerator, asked ?? fault.numerator);
}

/** Milliseconds; null when the request asks for none. */
export function delayFor({ fixed }: FaultOf<number>, head: RequestHead): number | null {
  return fixed ?? numberOf(head, 'x-envoy-fault-delay-request');
}

export function abortFor({ fixed }: FaultOf<AbortStatus>, head: RequestHead): AbortStatus | null {
  if (fixed !== null) return fixed;
  const status = numberOf(head, 'x-envoy-fault-abort-request');
  if (status !== null && isStatus(status)) return { status, grpcStatus: null };
  const grpcStatus = numberOf(head, 'x-envoy-fault-abort-grpc-request');
  return grpcStatus === null ? null : { status: 200, grpcStatus };
}

/** KiB a second; null when the request asks for none. */
export function limitFor({ fixed }: FaultOf<number>, head: RequestHead): number | null {
  return fixed ?? (numberOf(head, 'x-envoy-fault-throughput-response') || null);
}

function numberOf(head: RequestHead, name: string): number | null {
  const text = head.headers.get(name);
  return text !== null && /^\d{1,10}$/.test(text) ? Number(text) : null;
}
