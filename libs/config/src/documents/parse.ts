import type { FieldError } from '@meltemi/base';
import { Composer, LineCounter, Parser, type CST, type Document } from 'yaml';
import { bareMeshKind, toRawObject, wrapBareMesh } from '../envelope.ts';
import type { RawObject } from '../object.ts';
import { isMap } from '../schema/containers.ts';
import { item } from '../schema/schema.ts';
import { duplicateKeys } from './duplicates.ts';
import { depthReason, NestsTooDeep, shallowTokens, yamlLimits } from './limits.ts';
import { locate, type Position } from './locate.ts';

/** One object of a YAML file, or the reason why there is none. */
export interface ParsedDocument {
  readonly file: string;
  /** Which YAML document of the file, from 0; empty ones are counted but not returned. Items of a List share their document's. */
  readonly index: number;
  /** Where it starts, from 1. */
  readonly line: number;
  /** As far as they could be read, "" otherwise; as in `raw.key` when there is one. */
  readonly named: { readonly kind: string; readonly name: string; readonly namespace: string };
  /** Absent exactly when `errors` is not empty. */
  readonly raw?: RawObject;
  /** For an item of a `kind: List`: where it lies in the document ("items[2]"); else "". */
  readonly within: string;
  readonly errors: readonly LocatedError[];
  /** The path as the file has it: below `within`, and without "spec" for MeshConfig written without an envelope. */
  readonly pathInFile: (path: string) => string;
  /** Where the field of a path into `raw.content` is written, or its nearest parent. */
  readonly locate: (path: string) => Position;
}

/** An error with its place in the file. */
export type LocatedError = FieldError & Position;

/**
 * Splits a YAML (or JSON) file into objects. Unreadable documents come back with their errors beside the readable ones; a file that is too large
 * or nested too deeply for the parser is one document with an error. Never throws.
 */
export function parseYamlDocuments(text: string, file: string): { readonly documents: readonly ParsedDocument[] } {
  const bytes = Buffer.byteLength(text);
  if (bytes > yamlLimits.maxBytes) return { documents: [broken(file, `has ${bytes} bytes; at most ${yamlLimits.maxBytes} are read: split it`)] };
  const lines = new LineCounter();
  try {
    const composer = new Composer({ lineCounter: lines, merge: true, uniqueKeys: false, prettyErrors: false, logLevel: 'silent' });
    const documents = [...composer.compose(syntax(text, lines))];
    return { documents: documents.flatMap((document, index) => readDocument(document, { file, index, lines })) };
  } catch (error) {
    if (error instanceof NestsTooDeep) return { documents: [broken(file, `is nested more than ${yamlLimits.maxDepth} levels deep`)] };
    // The parser recurses; only depth (RangeError) is known to make it throw.
    return { documents: [broken(file, `cannot be read: ${error instanceof RangeError ? 'it is nested too deeply' : String(error)}`)] };
  }
}

function* syntax(text: string, lines: LineCounter): Generator<CST.Token, void> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const token of shallowTokens(text)) yield* parser.next(token);
  yield* parser.end();
}

interface Place {
  readonly file: string;
  readonly index: number;
  readonly lines: LineCounter;
}

function readDocument(document: Document, place: Place): ParsedDocument[] {
  const start = place.lines.linePos(document.contents?.range?.[0] ?? 0);
  const whole = { file: place.file, index: place.index, line: Math.max(1, start.line), within: '' };
  const at = (path: string): Position => locate(document, place.lines, path);
  const failed = (errors: readonly LocatedError[]): ParsedDocument[] => [{ ...whole, errors, named: nobody, pathInFile: same, locate: at }];
  const unreadable = document.errors.map(({ message, pos }) => ({ message: `is not readable YAML: ${message}`, offset: pos[0] }));
  const problems = unreadable.length > 0 ? unreadable : duplicateKeys(document).map(({ key, offset }) => ({ message: `the key "${key}" is written twice`, offset }));
  if (problems.length > 0)
    return failed(
      problems.slice(0, yamlLimits.maxErrors).map(({ message, offset }) => {
        const { line, col } = place.lines.linePos(offset);
        return { path: '', message: `line ${line}, column ${col}: ${message}`, line, column: col };
      }),
    );
  const value = toJson(document);
  if (!value.ok) return failed([{ path: '', message: value.reason, ...at('') }]);
  if (value.content === null || value.content === undefined) return [];
  return objectsIn(value.content).map(({ content, within }) => readObject(content, { ...whole, within }, at));
}

function readObject(content: unknown, whole: Pick<ParsedDocument, 'file' | 'index' | 'line' | 'within'>, at: (path: string) => Position): ParsedDocument {
  const bare = bareMeshKind(content);
  const below = (path: string): string => (whole.within === '' ? path : path === '' ? whole.within : `${whole.within}${path.startsWith('[') ? '' : '.'}${path}`);
  const pathInFile = bare ? (path: string) => path.replace(/^spec\.?/, '') : below;
  const position = (path: string): Position => at(pathInFile(path));
  const common = { ...whole, line: whole.within === '' ? whole.line : at(whole.within).line, pathInFile, locate: position };
  const raw = bare ? { ok: true as const, value: wrapBareMesh(bare, content) } : toRawObject(content);
  if (raw.ok) return { ...common, raw: raw.value, named: raw.value.key, errors: [] };
  return { ...common, named: namesIn(content), errors: raw.error.map((error) => ({ path: pathInFile(error.path), message: error.message, ...position(error.path) })) };
}

const nobody = { kind: '', name: '', namespace: '' };

function namesIn(content: unknown): ParsedDocument['named'] {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const { kind, metadata } = isMap(content) ? content : {};
  const { name, namespace } = isMap(metadata) ? metadata : {};
  return { kind: text(kind), name: text(name), namespace: text(namespace) };
}

// kubectl's List wraps objects; lists in lists are not a thing.
function objectsIn(content: unknown): { readonly content: unknown; readonly within: string }[] {
  if (!isMap(content) || content['kind'] !== 'List' || !Array.isArray(content['items'])) return [{ content, within: '' }];
  return content['items'].map((one: unknown, i) => ({ content: one, within: item('items', i) }));
}

function toJson(document: Document): { readonly ok: true; readonly content: unknown } | { readonly ok: false; readonly reason: string } {
  try {
    const content: unknown = document.toJS({ maxAliasCount: yamlLimits.maxAliases });
    const reason = depthReason(content);
    return reason === undefined ? { ok: true, content } : { ok: false, reason };
  } catch (error) {
    return { ok: false, reason: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function broken(file: string, message: string): ParsedDocument {
  const start = { line: 1, column: 1 };
  return { file, index: 0, line: 1, within: '', errors: [{ path: '', message, ...start }], named: nobody, pathInFile: same, locate: () => start };
}

function same(path: string): string {
  return path;
}
