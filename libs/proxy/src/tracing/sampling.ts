import type { RequestHead, StreamInfo } from '@meltemi/http';
import type { Fraction } from '@meltemi/match';

/** Why a request is traced, or that it is not. */
export type TraceReason = 'none' | 'sampled' | 'client' | 'forced';

export interface Sampling {
  readonly clientSampling: Fraction;
  readonly randomSampling: Fraction;
  readonly overallSampling: Fraction;
}

/** The 14th character of a request id tells every proxy behind what was decided. Source: Envoy's UUID request id extension. */
const reasonAt = 14;
const letters: Readonly<Record<TraceReason, string>> = { none: '4', sampled: '9', forced: 'a', client: 'b' };
const uuid = /^[0-9a-f]{8}-/i;

/** Decides about one request as Envoy's connection manager does, and writes the decision into its request id. `dice` in [0, 1). */
export function decideTrace(sampling: Sampling, pack: boolean, { head, info, dice }: { readonly head: RequestHead; readonly info: StreamInfo; readonly dice: number }): TraceReason {
  const id = info.requestId;
  if (id === null || !uuid.test(id)) return 'none';
  // One number per request for every decision on its way.
  const share = (Number.parseInt(id.slice(0, 8), 16) % 10_000) / 10_000;
  let reason = packedReason(id);
  if (reason === 'none') {
    if (head.headers.has('x-client-trace-id') && sampling.clientSampling.hit(dice)) reason = 'client';
    else if (head.headers.has('x-envoy-force-trace')) reason = 'forced';
    else if (sampling.randomSampling.hit(share)) reason = 'sampled';
  }
  if (reason !== 'none' && !sampling.overallSampling.hit(share)) reason = 'none';
  if (pack) packReason(head, info, id, reason);
  return reason;
}

function packedReason(id: string): TraceReason {
  if (id.length !== 36) return 'none';
  const letter = id[reasonAt];
  return letter === letters.sampled ? 'sampled' : letter === letters.forced ? 'forced' : letter === letters.client ? 'client' : 'none';
}

function packReason(head: RequestHead, info: StreamInfo, id: string, reason: TraceReason): void {
  if (id.length !== 36 || id[reasonAt] === letters[reason]) return;
  // An id that says nothing of tracing keeps its form when there is nothing to say.
  if (reason === 'none' && packedReason(id) === 'none') return;
  const packed = id.slice(0, reasonAt) + letters[reason] + id.slice(reasonAt + 1);
  head.headers.set('x-request-id', packed);
  info.requestId = packed;
}
