/** An expected outcome: a value, or why there is none. Exceptions are for bugs and the end of a whole task. */
export type Result<T, E = FieldError[]> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

/** One thing wrong with an input: where, and what to do about it. `path` is like `spec.http[0].route[1].weight`; empty means the whole. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** A FieldError[] failure with one entry. */
export function fail(path: string, message: string): { readonly ok: false; readonly error: FieldError[] } {
  return { ok: false, error: [{ path, message }] };
}

/** "a.b: reason; c: reason": for logs and NACK texts. */
export function formatFieldErrors(errors: readonly FieldError[]): string {
  return errors.map((e) => (e.path === '' ? e.message : `${e.path}: ${e.message}`)).join('; ');
}
