/** One change to a head's fields. Names are lower-case. */
export interface HeaderChange {
  readonly name: string;
  readonly value: string;
  readonly action: 'append' | 'add-if-absent' | 'overwrite' | 'overwrite-if-exists';
}

/** What an authorization service made of a request, whichever protocol it speaks. */
export type Verdict = Allowed | Denied | { readonly kind: 'error' };

export interface Allowed {
  readonly kind: 'ok';
  readonly request: readonly HeaderChange[];
  readonly remove: readonly string[];
  readonly setParams: readonly (readonly [string, string])[];
  readonly removeParams: readonly string[];
  readonly response: readonly HeaderChange[];
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

export interface Denied {
  readonly kind: 'denied';
  readonly status: number;
  readonly body: string | Buffer;
  readonly headers: readonly (readonly [string, string])[];
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

export const failed: Verdict = { kind: 'error' };
