/** What one attribute must be and must not be. Each list is OR-ed, the two are AND-ed. */
export interface Clause<Term> {
  readonly values: readonly string[];
  readonly notValues: readonly string[];
  /** One term for all values, as Envoy tells them apart; undefined where the attribute means nothing: on a plain TCP connection, or when its key cannot be read. */
  readonly term: (values: readonly string[]) => Term | undefined;
}

export interface Algebra<Term> {
  readonly any: Term;
  readonly and: (terms: Term[]) => Term;
  readonly not: (term: Term) => Term;
}

/**
 * All clauses together. What means nothing here makes an ALLOW rule impossible (undefined), so that no more is allowed than was said; every
 * other rule goes without it, and so denies, audits or asks about more. Source: Istio's authz model.
 */
export function allOf<Term>(clauses: readonly Clause<Term>[], { any, and, not }: Algebra<Term>, allow: boolean): Term | undefined {
  const terms: Term[] = [];
  for (const { values, notValues, term } of clauses) {
    for (const [list, negative] of [[values, false], [notValues, true]] as const) {
      if (list.length === 0) continue;
      const built = term(list);
      if (built !== undefined) terms.push(negative ? not(built) : built);
      else if (allow) return undefined;
    }
  }
  return and(terms.length === 0 ? [any] : terms);
}
