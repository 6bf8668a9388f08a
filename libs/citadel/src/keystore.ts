import type { AuthorityMaterial } from './authority-material.ts';
import type { JwtKeys } from './jwt/jwt-keys.ts';
import type { LeaderTerm } from './leadership.ts';
import type { IssuedRecord } from './revocation/issued-record.ts';
import type { RevocationState } from './revocation/revocation-state.ts';

/** What was read, and an opaque name of the state it was read in: whoever saves says which state it replaces. */
export interface Kept<T> {
  readonly value: T;
  readonly revision: string;
}

/** `conflict`: nothing was written, because the storage is not as expected any more, or the term is over. Load again and think again. */
export type SaveOutcome = 'saved' | 'conflict';

/** Where an authority of citadel's own is kept. */
export interface AuthorityStore {
  /** Undefined when there is no authority yet. Rejects when it is damaged. */
  loadAuthority(): Promise<Kept<AuthorityMaterial> | undefined>;
  /** The revision that loadAuthority would give; undefined when there is none. Cheap: asked every few seconds, to notice what another citadel did. */
  authorityRevision(): Promise<string | undefined>;
  /** Replaces what has the revision `expected`; undefined: nothing is there yet. With a term, only while it lasts. Of several at once one is saved. */
  saveAuthority(material: AuthorityMaterial, expected: string | undefined, term?: LeaderTerm): Promise<SaveOutcome>;
}

/** Where is remembered which issuing CAs were plugged in: their workloads come back after they have been replaced. */
export interface IssuerStore {
  /** PEM, one issuing CA and what lies between it and the root each; the oldest first. Undefined when none was ever saved. */
  loadIssuers(): Promise<Kept<readonly string[]> | undefined>;
  /** As saveAuthority. */
  saveIssuers(pathsPem: readonly string[], expected: string | undefined): Promise<SaveOutcome>;
}

/** Where is remembered what was revoked. */
export interface RevocationStore {
  /** Undefined when nothing ever was. Rejects when it is damaged. */
  loadRevocations(): Promise<Kept<RevocationState> | undefined>;
  /** The revision that loadRevocations would give. Cheap, as authorityRevision. */
  revocationsRevision(): Promise<string | undefined>;
  /** As saveAuthority. */
  saveRevocations(state: RevocationState, expected: string | undefined): Promise<SaveOutcome>;
}

/** Where the keys of JWT-SVIDs are kept. */
export interface JwtKeyStore {
  /** Undefined when there are none yet. Rejects when they are damaged. */
  loadJwtKeys(): Promise<Kept<JwtKeys> | undefined>;
  /** The revision that loadJwtKeys would give. Cheap, as authorityRevision. */
  jwtKeysRevision(): Promise<string | undefined>;
  /** As saveAuthority. */
  saveJwtKeys(keys: JwtKeys, expected: string | undefined): Promise<SaveOutcome>;
}

/** Where is remembered which certificates were issued, in batches: each is written once, under a name of its own (a-z and 0-9). */
export interface IssuedStore {
  addIssued(name: string, records: readonly IssuedRecord[]): Promise<void>;
  /** Cheap: the names alone. */
  issuedNames(): Promise<readonly string[]>;
  /** What is kept under these names. One that is gone is left out, one that cannot be read is named. */
  loadIssued(names: readonly string[]): Promise<{ readonly records: readonly IssuedRecord[]; readonly damaged: readonly string[] }>;
  /** Names that are not there are no error. */
  removeIssued(names: readonly string[]): Promise<void>;
}

/** A join token as it is remembered: never the token itself. */
export interface TokenRecord {
  /** SHA-256 of the secret, lower-case hex. */
  readonly hash: string;
  readonly spiffeId: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** A token and whether somebody has used it. */
export interface TokenState extends TokenRecord {
  readonly used: boolean;
}

export interface TokenStore {
  addToken(record: TokenRecord): Promise<void>;
  findToken(hash: string): Promise<TokenState | undefined>;
  /** Marks a token used. True for exactly one caller, ever; false when it was used before or does not exist. */
  takeToken(hash: string): Promise<boolean>;
  /** All that are remembered. */
  listTokens(): Promise<readonly TokenState[]>;
  /** Forgets tokens that expired before this time, used or not. Returns how many are left. */
  pruneTokens(expiredBefore: number): Promise<number>;
}

/**
 * Where citadel keeps what must survive it. Every method resolves only when the change is durable, and rejects when it cannot be made so; after a crash the
 * old or the new state is there, never a mixture. Several citadels may share one whose storage is shared.
 */
export interface Keystore extends AuthorityStore, IssuerStore, RevocationStore, IssuedStore, JwtKeyStore, TokenStore {}
