import type { RequestHead } from '@meltemi/http';
import { isGrpc, type ForwardAction, type RetryPolicy } from '@meltemi/route';

/** Deadlines of one request, milliseconds; 0 = none. */
export interface RequestTimeouts {
  readonly totalMs: number;
  readonly perTryMs: number;
}

const grpcUnits: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** The route's deadlines, overridden by grpc-timeout where the route allows and by x-envoy-upstream-rq-*-timeout-ms. Headers are taken away. */
export function requestTimeouts(action: ForwardAction, retry: RetryPolicy | null, request: RequestHead, control: boolean): RequestTimeouts {
  let totalMs = action.timeoutMs;
  let perTryMs = retry?.perTryTimeoutMs ?? 0;
  if (action.grpcTimeoutHeaderMaxMs !== null && isGrpc(request)) totalMs = grpcTimeout(action, request.headers.get('grpc-timeout')) ?? totalMs;
  if (control) {
    totalMs = takeNumber(request, 'x-envoy-upstream-rq-timeout-ms') ?? totalMs;
    perTryMs = takeNumber(request, 'x-envoy-upstream-rq-per-try-timeout-ms') ?? perTryMs;
  }
  // A try may not outlast the whole.
  return { totalMs, perTryMs: totalMs > 0 && perTryMs >= totalMs ? 0 : perTryMs };
}

function grpcTimeout(action: ForwardAction, text: string | null): number | null {
  const matched = /^(\d{1,8})([HMSmun])$/.exec(text ?? '');
  const cap = action.grpcTimeoutHeaderMaxMs ?? 0;
  if (matched === null) return cap;
  const asked = Number(matched[1]) * (grpcUnits[matched[2] ?? ''] ?? 0);
  const shortened = asked > action.grpcTimeoutHeaderOffsetMs ? asked - action.grpcTimeoutHeaderOffsetMs : asked;
  return cap > 0 && (shortened === 0 || shortened > cap) ? cap : shortened;
}

function takeNumber(request: RequestHead, name: string): number | null {
  const value = request.headers.get(name);
  if (value === null) return null;
  request.headers.remove(name);
  return /^\d{1,12}$/.test(value) ? Number(value) : null;
}
