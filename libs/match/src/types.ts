/** A compiled predicate over a string. */
export interface StringMatch {
  matches(value: string): boolean;
}

/** A compiled regular expression of RE2's language. */
export interface SafeRegex {
  readonly source: string;
  /** Which engine runs it; for tests and `explain`. */
  readonly engine: 'v8' | 're2';
  /** The whole input matches. */
  matchesAll(value: string): boolean;
}

/** A compiled RegexMatchAndSubstitute. */
export interface RegexRewrite {
  readonly source: string;
  readonly substitution: string;
  /** Replaces every match. */
  rewrite(value: string): string;
}

/** A compiled HeaderMatcher. `field` gives the joined value or null, so request heads, response heads and trailers all fit. */
export interface HeaderMatch {
  readonly name: string;
  matches(head: FieldSource): boolean;
}

/** RequestHead and ResponseHead both are. */
export interface FieldSource {
  field(name: string): string | null;
}

/** A compiled QueryParameterMatcher over the query string (without "?"; "" when none). */
export interface QueryMatch {
  readonly name: string;
  matches(query: string): boolean;
}

/** Parts of a million, from any FractionalPercent. */
export interface Fraction {
  readonly perMillion: number;
  /** `random` in [0, 1). */
  hit(random: number): boolean;
}

/** A set of address ranges. */
export interface CidrSet {
  /** `ip` without port; an IPv4-mapped IPv6 address counts as IPv4. Anything else is in no range. */
  contains(ip: string): boolean;
}

/** A compiled MetadataMatcher. */
export interface MetadataMatch {
  matches(metadata: Readonly<Record<string, Record<string, unknown>>> | null): boolean;
}
