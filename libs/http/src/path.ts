/** What a connection manager does to a request's path before anything looks at it. */
export interface PathOptions {
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'unescape-redirect' | 'unescape-forward';
}

/** The part before "?" (or "#"). @hot */
export function pathOf(path: string): string {
  const end = pathEnd(path);
  return end === path.length ? path : path.slice(0, end);
}

/** The query without "?", "" when none; a fragment is not part of it. @hot */
export function queryOf(path: string): string {
  const mark = path.indexOf('?');
  if (mark < 0) return '';
  const hash = path.indexOf('#', mark);
  return hash < 0 ? path.slice(mark + 1) : path.slice(mark + 1, hash);
}

/** The first value of a query parameter, undecoded as Envoy's route matching takes it; "" for `name` or `name=`; null when absent. @hot */
export function queryParameter(query: string, name: string): string | null {
  let start = 0;
  while (start < query.length) {
    let end = query.indexOf('&', start);
    if (end < 0) end = query.length;
    if (query.startsWith(name, start)) {
      const after = start + name.length;
      if (after === end) return '';
      if (after < end && query.charCodeAt(after) === 61) return query.slice(after + 1, end);
    }
    start = end + 1;
  }
  return null;
}

/** Index where path ends and query or fragment begins. */
export function pathEnd(path: string): number {
  const mark = path.indexOf('?');
  const hash = path.indexOf('#');
  if (mark < 0) return hash < 0 ? path.length : hash;
  return hash < 0 || mark < hash ? mark : hash;
}

/** The path holds %2F or %5C: with 'unescape-redirect' the caller answers 307 to the prepared path when it does. */
export function hasEscapedSlash(path: string): boolean {
  const at = path.indexOf('%');
  return at >= 0 && /%(?:2f|5c)/i.test(path.slice(at, pathEnd(path)));
}

/**
 * Applies the options in Envoy's order (escaped slashes, normalisation, merging) and leaves the query alone. null = refuse with 400.
 * Paths that do not begin with "/" ("*", CONNECT) come back as they are. A clean path comes back itself. @hot
 */
export function preparePath(path: string, options: PathOptions): string | null {
  if (path.charCodeAt(0) !== 47) return path;
  let result = path;
  if (options.escapedSlashes !== 'keep' && hasEscapedSlash(result)) {
    if (options.escapedSlashes === 'reject') return null;
    const end = pathEnd(result);
    result = result.slice(0, end).replace(/%2f/gi, '/').replace(/%5c/gi, '\\') + result.slice(end);
  }
  if (options.normalizePath) {
    const normal = normalizePath(result);
    if (normal === null) return null;
    result = normal;
  }
  return options.mergeSlashes ? mergeSlashes(result) : result;
}

/** Runs of "/" become one, before the query. */
export function mergeSlashes(path: string): string {
  const at = path.indexOf('//');
  if (at < 0) return path;
  const end = pathEnd(path);
  return at >= end ? path : path.slice(0, end).replace(/\/{2,}/g, '/') + path.slice(end);
}

/** Characters that Chromium's canonicalizer leaves in a path as they are, "%", "\" and "." aside. */
const clean = /^[A-Za-z0-9\-_~!$&'()*+,;=:@/|^[\]]*(?:\.[A-Za-z0-9\-_~!$&'()*+,;=:@|^[\]][A-Za-z0-9\-_~!$&'()*+,;=:@/|^[\]]*)*$/;

/**
 * RFC 3986 §6 normalisation as Chromium does it (what Envoy's normalize_path means): dot segments removed, also when written %2E;
 * "\" is "/"; escaped unreserved characters are unescaped; characters that may not stand in a path are escaped; broken escapes
 * stay. Idempotent. null when the path holds a NUL (plain or %00).
 * Deviation: an escaped hex digit right behind a broken escape stays escaped, because it could complete the broken one ("%4%41" → "%4A").
 */
export function normalizePath(path: string): string | null {
  const end = pathEnd(path);
  const part = end === path.length ? path : path.slice(0, end);
  if (!part.includes('/.') && clean.test(part)) return path;
  const escaped = canonicalCharacters(part);
  return escaped === null ? null : removeDotSegments(escaped) + path.slice(end);
}

function canonicalCharacters(part: string): string | null {
  let out = '';
  let broken = -3;
  for (let i = 0; i < part.length; i++) {
    const code = part.charCodeAt(i);
    if (code === 0) return null;
    if (code === 92) out += '/';
    else if (code === 37) {
      const value = escapeAt(part, i);
      if (value === 0) return null;
      if (value < 0) {
        broken = out.length;
        out += '%';
      } else {
        out += isUnreserved(value) && (out.length - broken > 2 || hexValue(value) < 0) ? String.fromCharCode(value) : part.slice(i, i + 3);
        i += 2;
      }
    } else out += needsEscape(code) ? escapeCode(part, i) : part.charAt(i);
    if (code >= 0xd800 && code <= 0xdbff && part.charCodeAt(i + 1) >= 0xdc00) i++;
  }
  return out;
}

/** The byte that `%XY` at `i` stands for, -1 when it is no valid escape. */
function escapeAt(text: string, i: number): number {
  const high = hexValue(text.charCodeAt(i + 1));
  const low = hexValue(text.charCodeAt(i + 2));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function isUnreserved(code: number): boolean {
  const lower = code | 32;
  return (lower >= 97 && lower <= 122 && code < 128) || (code >= 48 && code <= 57) || code === 45 || code === 46 || code === 95 || code === 126;
}

/** Controls, space, `"<>` backquote `{}` and everything beyond ASCII. */
function needsEscape(code: number): boolean {
  return code <= 32 || code >= 127 || code === 34 || code === 60 || code === 62 || code === 96 || code === 123 || code === 125;
}

function escapeCode(text: string, i: number): string {
  // Heads are read as latin1, one character per byte, so a code up to 255 is that byte.
  const code = text.codePointAt(i) ?? 0;
  const bytes = code <= 255 ? [code] : [...Buffer.from(String.fromCodePoint(code))];
  return bytes.map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/');
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] ?? '';
    const last = i === segments.length - 1;
    if (segment === '.' || segment === '..') {
      if (segment === '..') kept.pop();
      if (last) kept.push('');
    } else kept.push(segment);
  }
  return `/${kept.join('/')}`;
}
