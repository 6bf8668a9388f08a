import type { Result } from '@meltemi/base';
import type { Certificate, SpiffeId } from '@meltemi/identity';
import type { CitadelError } from '../errors.ts';

/** What a caller showed. A token, when there is one, is what counts: who has a good certificate needs none. */
export interface CallerProof {
  /** The text after `Bearer `. */
  readonly token?: string;
  /** The leaf that TLS verified. */
  readonly certificate?: Certificate;
}

/** How a caller proved who it is. */
export type CallerKind = 'join token' | 'certificate' | 'service account token' | 'OIDC token';

/** A caller whose identity is proved. */
export interface Caller {
  /** The identities it may ask for: no others, and no patterns. Usually one. */
  readonly ids: readonly [SpiffeId, ...SpiffeId[]];
  readonly how: CallerKind;
  /** Who that is where the proof comes from, for the audit: a user name of Kubernetes, a subject at its issuer. */
  readonly subject?: string;
  /** The certificate that was shown, when that is the proof. */
  readonly shown?: { readonly serial: string; readonly spiffeId: string; readonly issuedAt: number };
  /** Spends what can be spent only once; to be called when all else has worked, and before the answer leaves. */
  settle(): Promise<Result<void, CitadelError>>;
}

/** A kind of bearer token beside join tokens. */
export interface TokenCallers {
  readonly how: CallerKind;
  /** Whether the token, unverified, says that it is one of these: the first of a list that says so judges it. */
  recognizes(token: string): boolean;
  /** `now`: milliseconds since the epoch. Bounded in time; rejects never. */
  authenticate(token: string, now: number): Promise<Result<Caller, CitadelError>>;
}
