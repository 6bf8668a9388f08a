import { isMap, LineCounter, parseAllDocuments } from 'yaml';
import type { RawObject } from '@meltemi/config';

/** One YAML or JSON document: an object, or what is wrong with it. `line` is 1-based, of the document's first content or of the mistake. */
export interface ReadDocument {
  readonly line: number;
  readonly object?: RawObject;
  readonly problem?: string;
}

/** Reads every document of a text (JSON is YAML); empty documents are left out. Aliases are limited, so that a small text cannot become a huge value. */
export function readDocuments(text: string): ReadDocument[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, merge: true });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document): ReadDocument[] => {
    const [error] = document.errors;
    if (error !== undefined) return [{ line: lines.linePos(error.pos[0]).line, problem: firstLine(error.message) }];
    if (document.contents === null || (document.contents.range !== null && document.contents.range !== undefined && document.toJS() === null)) return [];
    const line = lines.linePos(document.contents.range?.[0] ?? 0).line;
    if (!isMap(document.contents)) return [{ line, problem: 'is no object: a document holds apiVersion, kind and metadata' }];
    try {
      const content = JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: 100 }))) as Record<string, unknown>;
      const object = envelope(content);
      return [typeof object === 'string' ? { line, problem: object } : { line, object }];
    } catch (cause) {
      return [{ line, problem: cause instanceof Error ? firstLine(cause.message) : String(cause) }];
    }
  });
}

/** The object with its key read from apiVersion, kind and metadata; or what is missing. */
function envelope(content: Record<string, unknown>): RawObject | string {
  const { apiVersion, kind, metadata } = content;
  if (typeof apiVersion !== 'string' || apiVersion === '') return 'has no apiVersion';
  if (typeof kind !== 'string' || kind === '') return 'has no kind';
  const { name, namespace } = (typeof metadata === 'object' && metadata !== null ? metadata : {}) as Record<string, unknown>;
  if (typeof name !== 'string' || name === '') return `${kind} has no metadata.name`;
  if (namespace !== undefined && typeof namespace !== 'string') return `${kind} ${name}: metadata.namespace is no text`;
  const slash = apiVersion.lastIndexOf('/');
  return { key: { group: slash < 0 ? '' : apiVersion.slice(0, slash), kind, namespace: namespace ?? '', name }, apiVersion, content };
}

function firstLine(text: string): string {
  return text.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? text;
}
