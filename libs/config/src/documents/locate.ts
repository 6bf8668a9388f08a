import { isAlias, isMap, isNode, isScalar, isSeq, type Document, type LineCounter } from 'yaml';

/** Counting from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Where in the text the field of this path is written, or the nearest parent that is. */
export function locate(document: Document, lines: LineCounter, path: string): Position {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const segment of parsePath(path)) {
    if (isAlias(node)) node = node.resolve(document);
    const next = step(node, segment);
    if (next === undefined) break;
    offset = next.offset;
    node = next.value;
  }
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** `spec.http[0].headers["end-user"]` → spec, http, 0, headers, end-user. */
export function parsePath(path: string): (string | number)[] {
  const segments: (string | number)[] = [];
  for (const match of path.matchAll(/\[(\d+)\]|\[("(?:\\.|[^"\\])*")\]|([^.[\]]+)/g)) {
    if (match[1] !== undefined) segments.push(Number(match[1]));
    else if (match[2] !== undefined) segments.push(unquote(match[2]));
    else if (match[3] !== undefined) segments.push(match[3]);
  }
  return segments;
}

function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

function step(node: unknown, segment: string | number): { offset: number; value: unknown } | undefined {
  if (isSeq(node)) {
    const value = node.items[Number(segment)];
    return isNode(value) ? { offset: value.range?.[0] ?? 0, value } : undefined;
  }
  if (!isMap(node)) return undefined;
  // Validation speaks camelCase where the user may have written proto's snake_case.
  const snake = String(segment).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  for (const pair of node.items) {
    if (!isScalar(pair.key)) continue;
    const name = String(pair.key.value);
    if (name === String(segment) || name === snake) return { offset: pair.key.range?.[0] ?? 0, value: pair.value };
  }
  return undefined;
}
