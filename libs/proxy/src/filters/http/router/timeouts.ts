import { isGrpc, type RequestHead } from '@meltemi/http';
import type { ResponseTarget } from '../../../http/response-target.ts';
import type { ForwardAction } from '@meltemi/route';

/** Deadlines of one request, milliseconds; 0 = none. */
export interface RequestTimeouts {
  readonly totalMs: number;
  readonly perTryMs: number;
  readonly perTryIdleMs: number;
  /** What says so to the client when they are over: 504, or 204 where a caller asks for it. */
  readonly status: number;
  /** A try that takes too long goes on beside the next. */
  readonly hedge: boolean;
  /** The timeout is said to the upstream in grpc-timeout as well. */
  readonly toGrpc: boolean;
}

/** What of the router's config decides. */
export interface TimeoutRules {
  readonly respectExpectedTimeout: boolean;
}

const grpcUnits: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** The route's deadlines, overridden by grpc-timeout where the route allows and by what callers inside ask for in headers. Those headers end here. */
export function requestTimeouts(action: ForwardAction, request: RequestHead, control: boolean, rules: TimeoutRules): RequestTimeouts {
  const grpc = action.grpcTimeoutHeaderMaxMs !== null && isGrpc(request);
  let totalMs = action.timesStream ? 0 : action.timeoutMs;
  let perTryMs = action.retry?.perTryTimeoutMs ?? 0;
  let status = 504;
  let hedge = action.hedgeOnTryTimeout;
  if (grpc && !action.timesStream) totalMs = grpcTimeout(action, request.headers.get('grpc-timeout'));
  if (control) {
    const expected = rules.respectExpectedTimeout ? numberOf(request.headers.get('x-envoy-expected-rq-timeout-ms')) : null;
    const asked = take(request, 'x-envoy-upstream-rq-timeout-ms');
    totalMs = expected ?? numberOf(asked) ?? totalMs;
    perTryMs = numberOf(take(request, 'x-envoy-upstream-rq-per-try-timeout-ms')) ?? perTryMs;
    if (take(request, 'x-envoy-upstream-rq-timeout-alt-response') !== null) status = 204;
    const asksHedge = take(request, 'x-envoy-hedge-on-per-try-timeout');
    if (asksHedge === 'true' || asksHedge === 'false') hedge = asksHedge === 'true';
  }
  // A try may not outlast the whole.
  return { totalMs, perTryMs: totalMs > 0 && perTryMs >= totalMs ? 0 : perTryMs, perTryIdleMs: action.retry?.perTryIdleTimeoutMs ?? 0, status, hedge, toGrpc: grpc };
}

/** Tells the upstream how long it has, `elapsedMs` after the request was complete. A hedged try may use all that is left. */
export function sayTimeouts(timeouts: RequestTimeouts, request: RequestHead, elapsedMs: number, suppressEnvoyHeaders: boolean): void {
  const { totalMs } = timeouts;
  let expected = timeouts.perTryMs > 0 && !timeouts.hedge ? timeouts.perTryMs : totalMs;
  if (expected <= 0) return;
  // 0 would be no limit at all.
  if (totalMs > 0) expected = elapsedMs >= totalMs ? 1 : Math.min(expected, totalMs - elapsedMs);
  const ms = Math.max(1, Math.floor(expected));
  if (!suppressEnvoyHeaders) request.headers.set('x-envoy-expected-rq-timeout-ms', String(ms));
  if (timeouts.toGrpc) request.headers.set('grpc-timeout', grpcTimeoutText(ms));
}

/** Sets how long the stream may last where its route says so. */
export function boundStream(action: ForwardAction, request: RequestHead, target: Pick<ResponseTarget, 'limitDuration'>): void {
  const ms = streamDuration(action, request);
  if (ms !== null) target.limitDuration(ms);
}

/**
 * How long the stream may last by its route, from its start; null = the connection manager decides, Infinity = as long as it likes. A gRPC
 * deadline counts where the route says grpc_timeout_header_max, and is passed on less the offset.
 */
function streamDuration(action: ForwardAction, request: RequestHead): number | null {
  const cap = action.grpcTimeoutHeaderMaxMs;
  const asked = cap === null ? null : parseGrpcTimeout(request.headers.get('grpc-timeout'));
  if (cap === null || asked === null) return action.maxStreamDurationMs === 0 ? Number.POSITIVE_INFINITY : action.maxStreamDurationMs;
  const capped = cap > 0 && asked > cap ? cap : asked;
  const left = Math.max(0, capped - action.grpcTimeoutHeaderOffsetMs);
  request.headers.set('grpc-timeout', grpcTimeoutText(left));
  return left;
}

/** max_grpc_timeout: 0 = no cap; without the header what the cap says. */
function grpcTimeout(action: ForwardAction, text: string | null): number {
  const cap = action.grpcTimeoutHeaderMaxMs ?? 0;
  const asked = parseGrpcTimeout(text) ?? 0;
  const shortened = asked > action.grpcTimeoutHeaderOffsetMs ? asked - action.grpcTimeoutHeaderOffsetMs : asked;
  return cap > 0 && (shortened === 0 || shortened > cap) ? cap : shortened;
}

function parseGrpcTimeout(text: string | null): number | null {
  const matched = /^(\d{1,8})([HMSmun])$/.exec(text ?? '');
  return matched === null ? null : Number(matched[1]) * (grpcUnits[matched[2] ?? ''] ?? 0);
}

/** At most eight digits, so in the finest unit that they hold. */
function grpcTimeoutText(ms: number): string {
  if (ms <= 99_999_999) return `${Math.floor(ms)}m`;
  if (ms / 1000 <= 99_999_999) return `${Math.floor(ms / 1000)}S`;
  return `${Math.min(99_999_999, Math.floor(ms / 60_000))}M`;
}

function take(request: RequestHead, name: string): string | null {
  const value = request.headers.get(name);
  if (value !== null) request.headers.remove(name);
  return value;
}

function numberOf(value: string | null): number | null {
  return value !== null && /^\d{1,12}$/.test(value) ? Number(value) : null;
}
