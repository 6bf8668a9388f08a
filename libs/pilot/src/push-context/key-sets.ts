/** The key set of one issuer as it was fetched; the same object as long as it is the same text. */
export interface FetchedKeys {
  readonly jwks: string;
}

/** What was fetched so far, by `keysId`. Immutable, replaced whole. */
export type KeySets = ReadonlyMap<string, FetchedKeys>;
