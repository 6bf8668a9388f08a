import type { Result } from '@meltemi/base';
import type { Certificate, CertificateSigner, TrustBundle } from '@meltemi/identity';

/** An issuing CA and the certificates that lead from it to a root, the root left out. */
export type IssuerPath = readonly [issuing: Certificate, ...intermediates: Certificate[]];

/** An authority ready to sign. Immutable: a rotation is a new one. */
export interface OpenAuthority {
  /** The root that the issuing CA leads to: what join tokens pin. */
  readonly root: Certificate;
  readonly issuer: IssuerPath;
  /** Earlier issuers whose workloads may still be alive. */
  readonly retired: readonly IssuerPath[];
  readonly signer: Required<CertificateSigner>;
  /** Whom the mesh believes: `root`, and others that were given. */
  readonly trust: TrustBundle;
}

/** Where citadel's authority comes from. */
export interface Authority {
  /** Opens the authority, or brings it up to date. An error says what is wrong with what is there now; who has an earlier one goes on with that. */
  refresh(now: number): Promise<Result<OpenAuthority>>;
}
