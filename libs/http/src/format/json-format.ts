import { fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { StreamInfo } from '../stream-info.ts';
import type { FormatOptions, Operator } from './operator.ts';
import { formatParts, parseFormat, type FormatPart, type Formatter } from './substitution.ts';

type Node =
  | { readonly kind: 'constant'; readonly json: string }
  | { readonly kind: 'operator'; readonly operator: Operator }
  | { readonly kind: 'text'; readonly parts: readonly FormatPart[] }
  | { readonly kind: 'object'; readonly fields: readonly { readonly key: string; readonly node: Node }[] }
  | { readonly kind: 'list'; readonly items: readonly Node[] };

/** Nesting allowed in a JSON format. */
const maxDepth = 16;

/**
 * Compiles a JSON log format: strings hold commands; one that is a single command keeps its type (numbers stay numbers), a missing value is
 * null, or its key is left out under omitEmpty. One line without line end.
 */
export function compileJsonFormat(format: unknown, options: FormatOptions & { readonly sortKeys?: boolean } = {}): Result<Formatter> {
  const errors: FieldError[] = [];
  const root = compileNode(format, '', { options, sortKeys: options.sortKeys === true, errors, depth: 0 });
  if (errors.length > 0) return { ok: false, error: errors };
  if (root?.kind !== 'object') return fail('', 'a JSON format must be an object');
  const omit = options.omitEmpty === true;
  const whole = (info: StreamInfo) => render(root, info, omit) ?? '{}';
  return ok({ source: JSON.stringify(format), format: whole, writeTo: (info, out) => out.text(whole(info)) });
}

interface Build {
  readonly options: FormatOptions;
  readonly sortKeys: boolean;
  readonly errors: FieldError[];
  readonly depth: number;
}

function compileNode(value: unknown, path: string, build: Build): Node | null {
  if (build.depth > maxDepth) build.errors.push({ path, message: `nested deeper than ${maxDepth}` });
  else if (typeof value === 'string') return compileText(value, path, build);
  else if (Array.isArray(value)) {
    const items = value.map((item, i) => compileNode(item, `${path}[${i}]`, { ...build, depth: build.depth + 1 }));
    return { kind: 'list', items: items.filter((item) => item !== null) };
  } else if (typeof value === 'object' && value !== null) return compileObject(value, path, build);
  else return { kind: 'constant', json: JSON.stringify(value) ?? 'null' };
  return null;
}

function compileObject(value: object, path: string, build: Build): Node {
  const entries = Object.entries(value);
  if (build.sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  const fields: { key: string; node: Node }[] = [];
  for (const [key, item] of entries) {
    const node = compileNode(item, path === '' ? key : `${path}.${key}`, { ...build, depth: build.depth + 1 });
    if (node) fields.push({ key: `${JSON.stringify(key)}:`, node });
  }
  return { kind: 'object', fields };
}

function compileText(text: string, path: string, build: Build): Node | null {
  const parts = parseFormat(text, build.options);
  if (!parts.ok) {
    for (const error of parts.error) build.errors.push({ path, message: error.message });
    return null;
  }
  const only = parts.value.length === 1 ? parts.value[0] : undefined;
  if (parts.value.every((part) => typeof part === 'string')) return { kind: 'constant', json: JSON.stringify(parts.value.join('')) };
  return only !== undefined && typeof only !== 'string' ? { kind: 'operator', operator: only } : { kind: 'text', parts: parts.value };
}

/** null = missing, left out by the object around it. @hot */
function render(node: Node, info: StreamInfo, omit: boolean): string | null {
  switch (node.kind) {
    case 'constant':
      return node.json;
    case 'operator':
      return renderOperator(node.operator, info) ?? (omit ? null : 'null');
    case 'text':
      return quote(formatParts(node.parts, info, omit ? '' : '-'));
    case 'object':
      return renderObject(node.fields, info, omit);
    case 'list':
      return `[${node.items.map((item) => render(item, info, omit) ?? 'null').join(',')}]`;
  }
}

function renderObject(fields: readonly { readonly key: string; readonly node: Node }[], info: StreamInfo, omit: boolean): string {
  let out = '{';
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    const text = field === undefined ? null : render(field.node, info, omit);
    if (text !== null && field !== undefined) out += (out.length === 1 ? '' : ',') + field.key + text;
  }
  return `${out}}`;
}

function renderOperator(operator: Operator, info: StreamInfo): string | null {
  if (operator.value === null) {
    const text = operator.text(info);
    return text === null ? null : quote(text);
  }
  const value = operator.value(info);
  if (value === null || value === undefined) return null;
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? null);
}

const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function quote(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}
