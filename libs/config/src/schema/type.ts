import type { FieldError } from '@meltemi/base';

/**
 * Turns JSON into a typed value. A schema never throws and never stops at the first mistake: it appends to `errors` and returns a stand-in,
 * which nobody sees because a result with errors is discarded whole.
 */
export interface Schema<T> {
  readonly decode: (input: unknown, path: string, errors: FieldError[]) => T;
  /** The value of a field that is not there (or null): proto3's zero, undefined for optional ones; `required` reports here. */
  readonly missing: (path: string, errors: FieldError[]) => T;
  /** Of a message: its field names. */
  readonly fields?: readonly string[];
  readonly type: SchemaType;
  /** A field of this schema must be there. */
  readonly required?: boolean;
  /** Only for the CRD. */
  readonly cel?: readonly CelRule[];
}

/** What a schema accepts, as data: for the tools that walk schemas (support table, CRDs, docs). */
export type SchemaType =
  | { readonly is: 'string'; readonly minLength?: number; readonly maxLength?: number; readonly pattern?: string }
  | { readonly is: 'bool' | 'bytes' | 'intOrString' | 'struct' | 'anything' }
  | { readonly is: 'duration'; readonly minMs?: number }
  | { readonly is: 'int'; readonly format: 'int32' | 'uint32' | 'uint64'; readonly min: number; readonly max: number }
  | { readonly is: 'double'; readonly min?: number; readonly max?: number }
  | { readonly is: 'enum'; readonly names: readonly string[] }
  | { readonly is: 'message'; readonly fields: Readonly<Record<string, Schema<unknown>>>; readonly oneofs: readonly OneOfGroup[]; readonly open: boolean }
  | { readonly is: 'list'; readonly item: Schema<unknown>; readonly minItems?: number; readonly maxItems?: number; readonly uniqueBy?: string }
  | { readonly is: 'map'; readonly value: Schema<unknown>; readonly minKeys?: number; readonly maxKeys?: number };

/** A rule in CEL, as a cluster's API server runs it. Here `validate` of the kind says the same. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
}

/** Fields of a message of which at most one may be set. */
export interface OneOfGroup {
  readonly keys: readonly string[];
  /** Exactly one, instead of at most one. */
  readonly required?: boolean;
}
