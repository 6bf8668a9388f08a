import type { Result } from '@meltemi/base';
import type { Certificate, CertificateSigner, TrustBundle } from '@meltemi/identity';
import type { RetiredRoot, RotationPhase } from './rotation/rotation-record.ts';
import type { UpstreamCa } from './upstream/upstream-ca.ts';

/** An issuing CA and the certificates that lead from it to a root, the root left out. */
export type IssuerPath = readonly [issuing: Certificate, ...intermediates: Certificate[]];

/** What it takes to sign. */
export interface Signing {
  /** The root that the issuing CA leads to. */
  readonly root: Certificate;
  readonly issuer: IssuerPath;
  readonly signer: Required<CertificateSigner>;
}

/** A change of the root, as far as it has come. */
export interface OpenRotation {
  readonly phase: RotationPhase;
  readonly paused: boolean;
  readonly automatic: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Of the phase. */
  readonly since: number;
  /** The root that does not sign. */
  readonly other: Certificate;
}

/** An authority ready to sign. Immutable: a rotation is a new one. */
export interface OpenAuthority extends Omit<Signing, 'signer'> {
  /** Undefined: its key is elsewhere, and `upstream` signs. */
  readonly signer?: Signing['signer'];
  readonly upstream?: UpstreamCa;
  /** Earlier issuers, and those of a second root that is believed, whose workloads may still be alive. */
  readonly retired: readonly IssuerPath[];
  /** Whom the mesh believes: `root`, and others that were given. */
  readonly trust: TrustBundle;
  /** What citadel's own certificate comes from, and so the root that join tokens pin, when it is not what signs: in a rotation it moves last. */
  readonly serving?: Signing;
  readonly rotation?: OpenRotation;
  /** Roots that are believed no more, the oldest first: for messages. */
  readonly retiredRoots?: readonly RetiredRoot[];
}

/** An authority whose key is here. */
export type SigningAuthority = OpenAuthority & Signing;

export function isSigning(authority: OpenAuthority): authority is SigningAuthority {
  return authority.signer !== undefined;
}

/** Where citadel's authority comes from. */
export interface Authority {
  /** Opens the authority, or brings it up to date. An error says what is wrong with what is there now; who has an earlier one goes on with that. */
  refresh(now: number): Promise<Result<OpenAuthority>>;
}
