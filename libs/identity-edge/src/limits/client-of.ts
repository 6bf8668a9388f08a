import { formatSpiffeId, spiffeIdOf } from '@meltemi/identity';
import { peerX509, type AuthenticatedCall } from '../peer-certificate.ts';

/** A grpc-js server call, as far as it tells whose it is. */
export interface ClientCall extends AuthenticatedCall {
  getPeer(): string;
}

/** Whom a call is counted against: the identity that TLS verified, else the address without its port. */
export function clientOf(call: ClientCall): string {
  const id = spiffeIdOf(peerX509(call));
  if (id.ok) return formatSpiffeId(id.value);
  const peer = call.getPeer();
  return peer.replace(/:\d+$/, '') || 'unknown';
}
