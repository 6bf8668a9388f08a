import type { FieldError } from '@meltemi/base';
import { decode } from '../decode.ts';
import { parseYamlDocuments, type LocatedError, type ParsedDocument } from './parse.ts';

/** What `meltemi validate -o json` prints for one YAML document. */
export interface ValidateEntry {
  readonly file: string;
  /** Counts from 0; empty documents are counted but have no entry. */
  readonly document: number;
  /** "" when the document could not be read so far; "List" for a list, whose items' errors are below items[i]. */
  readonly kind: string;
  readonly name: string;
  /** "default" when a namespaced object names none; "" for cluster-scoped ones. */
  readonly namespace: string;
  readonly valid: boolean;
  readonly errors: readonly LocatedError[];
  readonly warnings: readonly LocatedError[];
}

/** Checks every document of a YAML file without any server. Never throws. */
export function validateDocuments(text: string, file: string): ValidateEntry[] {
  const byIndex = new Map<number, ParsedDocument[]>();
  for (const document of parseYamlDocuments(text, file).documents) byIndex.set(document.index, [...(byIndex.get(document.index) ?? []), document]);
  return [...byIndex].map(([index, documents]) => entry(file, index, documents));
}

function entry(file: string, index: number, documents: readonly ParsedDocument[]): ValidateEntry {
  const checked = documents.map(check);
  const [first] = documents;
  const named = first === undefined || first.within !== '' ? { kind: 'List', name: '', namespace: '' } : first.named;
  const errors = checked.flatMap((one) => one.errors);
  return {
    file,
    document: index,
    kind: named.kind,
    name: named.name,
    namespace: named.namespace,
    valid: errors.length === 0,
    errors,
    warnings: checked.flatMap((one) => one.warnings),
  };
}

function check(document: ParsedDocument): { readonly errors: readonly LocatedError[]; readonly warnings: readonly LocatedError[] } {
  if (!document.raw) return { errors: document.errors, warnings: [] };
  const result = decode(document.raw);
  const placed = (errors: readonly FieldError[]): LocatedError[] =>
    errors.map(({ path, message }) => ({ path: document.pathInFile(path), message, ...document.locate(path) }));
  return result.ok ? { errors: [], warnings: placed(result.value.warnings) } : { errors: placed(result.error), warnings: [] };
}
