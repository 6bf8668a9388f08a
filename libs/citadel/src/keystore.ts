/** Everything an authority is: certificates and keys as PEM. Whoever reads it can be anybody in the mesh. */
export interface AuthorityMaterial {
  readonly rootCertificatePem: string;
  readonly rootKeyPem: string;
  readonly issuingCertificatePem: string;
  readonly issuingKeyPem: string;
  /** Earlier issuing certificates whose workloads may still be alive; their keys are gone. */
  readonly retiredIssuingPem: readonly string[];
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

/** Where an authority of citadel's own is kept. */
export interface AuthorityStore {
  /** Undefined when there is no authority yet. */
  loadAuthority(): Promise<AuthorityMaterial | undefined>;
  saveAuthority(material: AuthorityMaterial): Promise<void>;
}

/** Where is remembered which issuing CAs were plugged in: their workloads come back after they have been replaced. */
export interface IssuerStore {
  /** PEM, one issuing CA and what lies between it and the root each; the oldest first. */
  loadIssuers(): Promise<readonly string[]>;
  saveIssuers(pathsPem: readonly string[]): Promise<void>;
}

export interface TokenStore {
  addToken(record: TokenRecord): Promise<void>;
  findToken(hash: string): Promise<TokenState | undefined>;
  /** Marks a token used. True for exactly one caller, ever; false when it was used before or does not exist. */
  takeToken(hash: string): Promise<boolean>;
  /** Forgets tokens that expired before this time, used or not. Returns how many are left. */
  pruneTokens(expiredBefore: number): Promise<number>;
}

/**
 * Where citadel keeps what must survive it: a directory now, a secret store later. Every method resolves only when the change is durable,
 * and rejects when it cannot be made so; after a crash the old or the new state is there, never a mixture. One citadel owns it at a time.
 */
export interface Keystore extends AuthorityStore, IssuerStore, TokenStore {}
