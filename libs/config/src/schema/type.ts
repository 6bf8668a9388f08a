import type { Schema } from './schema.ts';

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
