import type { Kept, SaveOutcome } from '@meltemi/citadel';

/** A value under its name. */
export interface NamedValue extends Kept<string> {
  readonly name: string;
}

/**
 * Named texts that several citadels change at once: all that a shared keystore needs from a storage. Names are `a-z`, `0-9` and `/`. Every method resolves
 * only when the storage has confirmed, and rejects when it does not in time. `shared-values-contract.ts` says what each must do.
 */
export interface SharedValues {
  get(name: string): Promise<Kept<string> | undefined>;
  /** What `get` would give as revision. */
  revision(name: string): Promise<string | undefined>;
  /** Replaces what has the revision `expected`, or makes it when that is undefined. With a fence, only while the term it belongs to lasts. No two calls bring the same text. */
  put(name: string, value: string, expected: { readonly revision: string | undefined; readonly fence?: string }): Promise<SaveOutcome>;
  /** Names that are not there are no error. */
  remove(names: readonly string[]): Promise<void>;
  /** The names alone that begin so. */
  names(prefix: string): Promise<readonly string[]>;
  /** Everything whose name begins so. */
  list(prefix: string): Promise<readonly NamedValue[]>;
}
