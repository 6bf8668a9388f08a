import { X509Certificate } from 'node:crypto';
import { formatSpiffeId, spiffeIdOf } from '@meltemi/identity';

/** A grpc-js server call, as far as it tells whose it is. */
export interface ClientCall {
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } };
  getPeer(): string;
}

/** Whom a call is counted against: the identity that TLS verified, else the address without its port. */
export function clientOf(call: ClientCall): string {
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  const id = raw && spiffeIdOf(new X509Certificate(raw));
  if (id?.ok) return formatSpiffeId(id.value);
  const peer = call.getPeer();
  return peer.replace(/:\d+$/, '') || 'unknown';
}
