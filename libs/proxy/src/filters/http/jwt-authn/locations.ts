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

/**
 * Every token at these places: headers, then parameters, then cookies. Deviation: of a parameter or cookie that comes twice both, where
 * Envoy takes the first, for an upstream may believe the other. As many as the head has room for.
 */
export function findTokens(locations: TokenLocations, head: RequestHead): FoundToken[] {
  const found = new Map<string, FoundToken>();
  // The same one again says nothing new.
  const add = (token: FoundToken): unknown => found.set(`${token.kind} ${token.name} ${token.text}`, token);
  for (const { name, prefix } of locations.headers)
    for (const value of head.headers.values(name)) {
      const text = afterPrefix(value, prefix);
      if (text !== null) add({ text, kind: 'header', name, prefix });
    }
  const query = locations.params.length === 0 ? '' : queryOf(head.path);
  for (const name of locations.params)
    for (const [key, value] of pairs(query)) if (key === name) add({ text: decoded(value), kind: 'param', name, prefix: '' });
  for (const name of locations.cookies) for (const text of cookies(head, name)) add({ text, kind: 'cookie', name, prefix: '' });
  return [...found.values()];
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

function cookies(head: RequestHead, name: string): string[] {
  return head.headers.values('cookie').flatMap((field) => field.split(';')).flatMap((part) => {
    const equals = part.indexOf('=');
    if (equals < 0 || part.slice(0, equals).trim() !== name) return [];
    const value = part.slice(equals + 1).trim();
    return [value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value];
  });
}
