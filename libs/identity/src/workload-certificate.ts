import type { TrustBundle } from './trust-bundle.ts';

/** What a workload proves itself with until it is renewed. Immutable; a renewal is a new value. */
export interface WorkloadCertificate {
  /** Leaf first, then intermediates; the root is not in it. */
  readonly certChainPem: string;
  /** PKCS #8, of this process alone: never log it, never send it. */
  readonly privateKeyPem: string;
  readonly spiffeId: string;
  /** Lower-case hex. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Whom to believe: `trust.pem` is the `ca` of a TLS context. */
  readonly trust: TrustBundle;
}
