import { decode, parseYamlDocuments, type RawObject } from '@meltemi/config';

/** One object of a YAML or JSON text, or what is wrong with it. Lines count from 1. */
export interface ReadDocument {
  readonly line: number;
  readonly object?: RawObject;
  /** Where the object's wrong fields stand, when it is not valid. */
  readonly fieldLines?: Readonly<Record<string, number>>;
  readonly problems: readonly { readonly line: number; readonly path: string; readonly message: string }[];
}

/** Reads every document of a text; empty ones are left out. An object without a name cannot be kept under one, so that is a problem here already. */
export function readDocuments(text: string, file: string): ReadDocument[] {
  return parseYamlDocuments(text, file).documents.map(({ line, raw, errors, locate, pathInFile }) => {
    const problems = errors.map((error) => ({ line: error.line, path: error.path, message: error.message }));
    if (raw === undefined) return { line, problems };
    if (raw.key.name !== '') {
      const decoded = decode(raw);
      const fieldLines = decoded.ok ? undefined : Object.fromEntries(decoded.error.map((error) => [error.path, locate(error.path).line]));
      return { line, object: raw, problems, ...(fieldLines ? { fieldLines } : {}) };
    }
    const path = 'metadata.name';
    return { line, problems: [{ line: locate(path).line, path: pathInFile(path), message: `is required: which ${raw.key.kind} is this?` }] };
  });
}
