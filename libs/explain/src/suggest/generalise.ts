/** When paths are no longer written out one by one. */
export interface Thresholds {
  /** Different values in the place of an identifier before they become {*}. */
  readonly ids: number;
  /** Different words in one place, not the first, before they become {*}. */
  readonly words: number;
  /** Patterns below one first segment before they become a prefix. */
  readonly patterns: number;
}

export const defaultThresholds: Thresholds = { ids: 3, words: 10, patterns: 50 };

export interface PathPattern {
  /** As AuthorizationPolicies write it: exact, with {*}, or with * at its end. */
  readonly pattern: string;
  readonly kind: 'exact' | 'template' | 'prefix';
  /** The observed paths it stands for. */
  readonly paths: readonly string[];
}

export interface Paths {
  /** Paths that may widen a pattern. */
  readonly sound: readonly string[];
  /** Paths that are written out as they are unless a pattern of the others has them. */
  readonly doubtful: readonly string[];
  /** Paths that were refused: no pattern may let them in. */
  readonly refused: readonly string[];
}

/**
 * The patterns that stand for paths. Exact while few; then identifiers (numbers, UUIDs, long tokens) become {*}, then a place with many words, then
 * what is below one first segment becomes a prefix. A pattern that would let in what was refused is not made.
 */
export function generalise({ sound, doubtful, refused }: Paths, thresholds: Thresholds = defaultThresholds): PathPattern[] {
  const admits = (pattern: string) => refused.some((path) => matches(pattern, path));
  let patterns = [...new Set(sound)].toSorted().map(exact);
  patterns = foldBy(patterns, { shapeOf: idShape, moreThan: thresholds.ids, admits });
  for (let place = 1; place < maxPlaces; place++) patterns = foldBy(patterns, { shapeOf: (path) => wordShape(path, place), moreThan: thresholds.words, admits });
  patterns = foldIntoPrefixes(patterns, thresholds.patterns, admits);
  return withoutCovered([...patterns, ...[...new Set(doubtful)].map(exact)]).toSorted((a, b) => (a.pattern < b.pattern ? -1 : a.pattern > b.pattern ? 1 : 0));
}

/** What is written out though a wider pattern has it, is that one's. */
function withoutCovered(patterns: readonly PathPattern[]): PathPattern[] {
  const wide = patterns.filter(({ kind }) => kind !== 'exact');
  const found = new Map<string, PathPattern>();
  for (const one of patterns) {
    const { pattern, kind } = (one.kind === 'exact' ? wide.find((other) => matches(other.pattern, one.pattern)) : undefined) ?? one;
    found.set(pattern, { pattern, kind, paths: [...new Set([...(found.get(pattern)?.paths ?? []), ...one.paths])] });
  }
  return [...found.values()];
}

/** Deeper places of a path stay as they are. */
const maxPlaces = 16;

/** Whether a pattern as written above has the path. */
export function matches(pattern: string, path: string): boolean {
  if (pattern.endsWith('*')) return path.startsWith(pattern.slice(0, -1));
  if (!pattern.includes('{*}')) return pattern === path;
  const [wanted, given] = [pattern.split('/'), path.split('/')];
  return wanted.length === given.length && wanted.every((segment, i) => (segment === '{*}' ? literal.test(given[i] ?? '') : segment === given[i]));
}

function exact(path: string): PathPattern {
  return { pattern: path, kind: 'exact', paths: [path] };
}

interface Fold {
  /** What a pattern would become; undefined when it would not. */
  readonly shapeOf: (pattern: string) => string | undefined;
  readonly moreThan: number;
  readonly admits: (pattern: string) => boolean;
}

function foldBy(patterns: readonly PathPattern[], { shapeOf, moreThan, admits }: Fold): PathPattern[] {
  const groups = new Map<string, PathPattern[]>();
  for (const one of patterns) {
    const shape = shapeOf(one.pattern);
    if (shape !== undefined) groups.set(shape, [...(groups.get(shape) ?? []), one]);
  }
  const folded = new Map([...groups].filter(([shape, members]) => members.length > moreThan && !admits(shape)));
  const made = [...folded].map(([pattern, members]): PathPattern => ({ pattern, kind: 'template', paths: members.flatMap(({ paths }) => paths) }));
  const gone = new Set([...folded.values()].flat());
  return [...patterns.filter((one) => !gone.has(one)), ...made];
}

function foldIntoPrefixes(patterns: readonly PathPattern[], moreThan: number, admits: (pattern: string) => boolean): PathPattern[] {
  const groups = new Map<string, PathPattern[]>();
  for (const one of patterns) {
    const [, first = '', ...rest] = one.pattern.split('/');
    if (rest.length > 0 && first !== '' && first !== '{*}') groups.set(first, [...(groups.get(first) ?? []), one]);
  }
  let left = [...patterns];
  for (const members of groups.values()) {
    const pattern = `${commonFolder(members.map((one) => one.pattern))}*`;
    if (members.length <= moreThan || admits(pattern)) continue;
    left = [...left.filter((one) => !members.includes(one)), { pattern, kind: 'prefix', paths: members.flatMap(({ paths }) => paths) }];
  }
  return left;
}

/** "/static/js/", of paths below it: up to the first segment that differs or is no literal. */
function commonFolder(patterns: readonly string[]): string {
  const [one = [], ...others] = patterns.map((pattern) => pattern.split('/').slice(0, -1));
  const end = one.findIndex((segment, i) => segment.includes('*') || others.some((other) => other[i] !== segment));
  return `${one.slice(0, end < 0 ? one.length : end).join('/')}/`;
}

function idShape(path: string): string | undefined {
  const segments = literalSegments(path);
  return segments?.some(isIdentifier) ? `/${segments.map((segment) => (isIdentifier(segment) ? '{*}' : segment)).join('/')}` : undefined;
}

/** Of the place alone; identifiers beside it stay what they are, so that a fold is one step. */
function wordShape(path: string, place: number): string | undefined {
  const segments = literalSegments(path);
  return segments && place < segments.length && segments[place] !== '{*}' ? `/${segments.map((segment, i) => (i === place ? '{*}' : segment)).join('/')}` : undefined;
}

/** RFC 3986's characters of a segment: what {*} has, and what may stand beside it. */
const literal = /^[a-zA-Z0-9._~%!$&'()+,;:@=-]+$/;

/** Segments, where all of them may stand beside {*}. */
function literalSegments(path: string): readonly string[] | undefined {
  const segments = path.slice(1).split('/');
  return segments.every((segment) => segment === '{*}' || literal.test(segment)) ? segments : undefined;
}

const identifiers: readonly RegExp[] = [
  /^\d+$/,
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i,
  // digests and object ids
  /^(?=.*\d)[0-9a-f]{16,}$/i,
  // ULIDs and other opaque tokens: long, with digits and letters
  /^(?=.*\d)(?=.*[a-z])[a-z0-9_-]{20,}$/i,
];

/** A number, a UUID, a digest, a long token. */
export function isIdentifier(segment: string): boolean {
  return identifiers.some((form) => form.test(segment));
}
