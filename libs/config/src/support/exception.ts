/**
 * What becomes of a field. works: traffic follows it. approximated: nearly; the consequence says how it differs.
 * refused: accepted as Istio does, with a warning that says what happens instead (or refused outright where half of it would let somebody in).
 */
export type Support = 'works' | 'approximated' | 'refused';

/** A field that does not simply work. */
export interface Exception {
  /** From spec, lists as [], maps as {}: "http[].match[].port". "**.tls.sni" is every field whose path ends so. Fields below are meant, too. */
  readonly path: string;
  readonly support: Exclude<Support, 'works'>;
  /** What a user sees, in one sentence. */
  readonly consequence: string;
  /** Only these values are meant. */
  readonly values?: readonly unknown[];
  /** Validation warns where a value does not work; of an object it says nothing of, the field works. */
  readonly warned?: true;
  /** 'error': the object is refused, because half-applying it would change who gets in. */
  readonly level?: 'error';
}

/** Fields of one or more kinds that do not simply work. What is not listed works: a test compares the list with what pilot reads. */
export interface KindExceptions {
  readonly group: string;
  readonly kinds: readonly string[];
  readonly fields: readonly Exception[];
}
