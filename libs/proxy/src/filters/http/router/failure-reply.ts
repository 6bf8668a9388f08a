import { ResponseFlag } from '@meltemi/http';
import type { LocalReply } from '../../../filter.ts';
import type { PoolFailure } from '../../../upstream.ts';
import type { UpstreamReset } from '../../../stream.ts';

/** How an attempt failed before any response. */
export type AttemptFailure = { readonly kind: 'pool'; readonly failure: PoolFailure } | { readonly kind: 'reset'; readonly reset: UpstreamReset };

/** Envoy's answer for an upstream that gave none. `retried`: this was not the first attempt. */
export function failureReply(failed: AttemptFailure, retried: boolean): LocalReply {
  const reason = resetReason(failed);
  const transport = failed.kind === 'pool' ? failed.failure.transportFailure : null;
  const suffix = transport === null ? '' : `, transport failure reason: ${transport}`;
  return {
    status: failed.kind === 'reset' && failed.reset.kind === 'protocol' ? 502 : 503,
    body: `upstream connect error or disconnect/reset before headers. ${retried ? 'retried and the latest ' : ''}reset reason: ${reason}${suffix}`,
    details: `upstream_reset_before_response_started{${reason.replaceAll(' ', '_')}${transport === null ? '' : `|${transport}`}}`,
    flags: flagOf(failed),
    ...(isOverflow(failed) && { headers: [['x-envoy-overloaded', 'true']] as const }),
    grpcStatus: 14,
  };
}

/** The circuit breaker said no: never retried. */
export function isOverflow(failed: AttemptFailure): boolean {
  return failed.kind === 'pool' && failed.failure.kind === 'overflow';
}

function resetReason(failed: AttemptFailure): string {
  if (failed.kind === 'reset') return failed.reset.kind === 'protocol' ? 'protocol error' : 'connection termination';
  switch (failed.failure.kind) {
    case 'overflow':
      return 'overflow';
    case 'timeout':
      return 'connection timeout';
    case 'connect':
      return 'connection failure';
  }
}

function flagOf(failed: AttemptFailure): number {
  if (failed.kind === 'reset') return failed.reset.kind === 'protocol' ? ResponseFlag.UPE : ResponseFlag.UC;
  return failed.failure.kind === 'overflow' ? ResponseFlag.UO : ResponseFlag.UF;
}
