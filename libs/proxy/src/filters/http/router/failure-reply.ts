import { ResponseFlag } from '@meltemi/http';
import type { LocalReply } from '../../../filter.ts';
import type { PoolFailure } from '../../../upstream.ts';
import type { UpstreamReset } from '../../../stream.ts';

/** How an attempt failed before any response, or in the middle of one. */
export type AttemptFailure = { readonly kind: 'pool'; readonly failure: PoolFailure } | { readonly kind: 'reset'; readonly reset: UpstreamReset };

/** A timeout of ours ended it. */
export const localReset: AttemptFailure = { kind: 'reset', reset: { kind: 'local', detail: '', stale: false, refused: false } };

/** Envoy's answer for an upstream that gave none, or whose answer broke off: then the stream is reset with these details. */
export function failureReply(failed: AttemptFailure, after: { readonly retried: boolean; readonly responseStarted: boolean }): LocalReply {
  const reason = resetReason(failed);
  const transport = failed.kind === 'pool' ? failed.failure.transportFailure : null;
  const suffix = transport === null ? '' : `, transport failure reason: ${transport}`;
  return {
    status: failureStatus(failed),
    body: `upstream connect error or disconnect/reset before headers. ${after.retried ? 'retried and the latest ' : ''}reset reason: ${reason}${suffix}`,
    details: `upstream_reset_${after.responseStarted ? 'after' : 'before'}_response_started{${reason}${transport === null ? '' : `|${transport}`}}`.replaceAll(' ', '_'),
    flags: flagOf(failed),
  };
}

/** What such a request counts as. */
export function failureStatus(failed: AttemptFailure): number {
  return failed.kind === 'reset' && failed.reset.kind === 'protocol' ? 502 : 503;
}

/** The circuit breaker said no: never retried. */
export function isOverflow(failed: AttemptFailure): boolean {
  return failed.kind === 'pool' && failed.failure.kind === 'overflow';
}

/** A kept connection most likely closed while idle. */
export function isStale(failed: AttemptFailure): boolean {
  return failed.kind === 'reset' && failed.reset.stale;
}

/** The upstream has surely not processed the request (REFUSED_STREAM, GOAWAY). */
export function isRefused(failed: AttemptFailure): boolean {
  return failed.kind === 'reset' && failed.reset.refused;
}

const resetReasons = { termination: 'connection termination', protocol: 'protocol error', remote: 'remote reset', local: 'local reset' } as const;
const poolReasons = { overflow: 'overflow', timeout: 'connection timeout', connect: 'remote connection failure' } as const;
const resetFlags = { termination: ResponseFlag.UC, protocol: ResponseFlag.UPE, remote: ResponseFlag.UR, local: ResponseFlag.LR } as const;

function resetReason(failed: AttemptFailure): string {
  if (failed.kind === 'pool') return poolReasons[failed.failure.kind];
  const { kind, refused } = failed.reset;
  return refused && kind === 'remote' ? 'remote refused stream reset' : resetReasons[kind];
}

function flagOf(failed: AttemptFailure): number {
  if (failed.kind === 'reset') return resetFlags[failed.reset.kind];
  return failed.failure.kind === 'overflow' ? ResponseFlag.UO : ResponseFlag.UF;
}
