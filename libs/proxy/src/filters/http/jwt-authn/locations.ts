import { pathEnd, queryOf, type RequestHead } from '@meltemi/http';

/** Where a provider's tokens are. */
export interface TokenLocations {
  readonly headers: readonly { readonly name: string; readonly prefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
}

/** RFC 6750: what is looked at when a provider names no place. */
export const defaultLocations: TokenLocations = { headers: [{ name: 'authorization', prefix: 'Bearer ' }], params: ['access_token'], cookies: [] };

/** A token as a request has it. */
export interface FoundToken {
  readonly text: string;
  readonly kind: 'header' | 'param' | 'cookie';
  /** Of the header, parameter or cookie. */
  readonly name: string;
  /** Of the header. */
  readonly prefix: string;
}

/** Most tokens looked at in one request. */
const maxTokens = 16;

/** Every token at these places: headers, then parameters, then cookies. */
export function findTokens(locations: TokenLocations, head: RequestHead): FoundToken[] {
  const found: FoundToken[] = [];
  for (const { name, prefix } of locations.headers)
    for (const value of head.headers.values(name)) {
      const text = afterPrefix(value, prefix);
      if (text !== null) found.push({ text, kind: 'header', name, prefix });
    }
  const query = locations.params.length === 0 ? '' : queryOf(head.path);
  for (const name of locations.params) {
    const text = decodedParameter(query, name);
    if (text !== null) found.push({ text, kind: 'param', name, prefix: '' });
  }
  for (const name of locations.cookies) {
    const text = cookie(head, name);
    if (text !== null) found.push({ text, kind: 'cookie', name, prefix: '' });
  }
  return found.slice(0, maxTokens);
}

/** True when these places include the one a token was found at. */
export function includesPlace(locations: TokenLocations, { kind, name, prefix }: FoundToken): boolean {
  if (kind === 'header') return locations.headers.some((header) => header.name === name && header.prefix === prefix);
  return (kind === 'param' ? locations.params : locations.cookies).includes(name);
}

/** Takes a token out of the request, so that the upstream does not see it. Cookies stay, as in Envoy. */
export function removeToken({ kind, name }: FoundToken, head: RequestHead): void {
  if (kind === 'header') head.headers.remove(name);
  if (kind === 'param') head.path = withoutParameter(head.path, name);
}

/** What follows the prefix, wherever in the value it is, from the first character that a token may have; null without the prefix. */
function afterPrefix(value: string, prefix: string): string | null {
  if (prefix === '') return value;
  const at = value.indexOf(prefix);
  if (at < 0) return null;
  const start = value.slice(at + prefix.length).search(/[\w.-]/);
  return start < 0 ? value : value.slice(at + prefix.length + start);
}

function* pairs(query: string): Generator<readonly [name: string, value: string, text: string]> {
  for (const text of query.split('&')) {
    const equals = text.indexOf('=');
    yield equals < 0 ? [decoded(text), '', text] : [decoded(text.slice(0, equals)), text.slice(equals + 1), text];
  }
}

function decodedParameter(query: string, name: string): string | null {
  for (const [key, value] of pairs(query)) if (key === name) return decoded(value);
  return null;
}

function withoutParameter(path: string, name: string): string {
  const kept = [...pairs(queryOf(path))].filter(([key]) => key !== name).map(([, , text]) => text).join('&');
  const start = path.slice(0, pathEnd(path));
  return kept === '' ? start : `${start}?${kept}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function cookie(head: RequestHead, name: string): string | null {
  for (const field of head.headers.values('cookie'))
    for (const part of field.split(';')) {
      const equals = part.indexOf('=');
      if (equals < 0 || part.slice(0, equals).trim() !== name) continue;
      const value = part.slice(equals + 1).trim();
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
  return null;
}
