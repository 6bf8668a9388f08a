import { X509Certificate } from 'node:crypto';
import { formatSpiffeId, spiffeIdOf } from '@meltemi/identity';

/** What a client certificate (DER) that TLS has verified says. */
export interface CertifiedPeer {
  /** Undefined unless it has exactly one SPIFFE id. Source: SPIFFE X.509-SVID §2. */
  readonly identity: string | undefined;
  /** The last moment it is good for, milliseconds since the epoch. */
  readonly certificateEndsMs: number;
}

export function certifiedPeer(der: Uint8Array): CertifiedPeer {
  const certificate = new X509Certificate(der);
  const id = spiffeIdOf(certificate);
  return { identity: id.ok ? formatSpiffeId(id.value) : undefined, certificateEndsMs: certificate.validToDate.getTime() };
}
