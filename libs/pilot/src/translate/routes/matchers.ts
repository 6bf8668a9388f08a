import type { HttpMatchRequest, StringMatch } from '@meltemi/config';
import { HeaderMatcher, QueryParameterMatcher, RouteMatch } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { create, regex } from '../message.ts';
import { claimMatcher, claimNamed } from './claims.ts';
import { stringMatcher } from './string-matcher.ts';

/** What Envoy matches for one Istio match; undefined matches everything. `bySegment`: a prefix ends where a path segment does. */
export function routeMatch(match: HttpMatchRequest | undefined, bySegment = false): RouteMatch {
  if (!match) return create(RouteMatch, { pathSpecifier: { $case: 'prefix', value: '/' }, caseSensitive: true });
  const [headers, claims] = parted(match.headers);
  const [without, withoutClaims] = parted(match.withoutHeaders);
  return create(RouteMatch, {
    pathSpecifier: pathSpecifier(match.uri, bySegment),
    caseSensitive: !match.ignoreUriCase,
    headers: [
      ...headers.map(([name, value]) => headerMatcher(name, value)),
      ...without.map(([name, value]) => withoutHeader(name, value)),
      ...(['method', 'authority', 'scheme'] as const).flatMap((key) => pseudoHeader(key, match[key])),
    ],
    queryParameters: sorted(match.queryParams).map(([name, value]) => queryMatcher(name, value)),
    dynamicMetadata: [...claims.map(([claim, value]) => claimMatcher(claim, value)), ...withoutClaims.map(([claim, value]) => ({ ...claimMatcher(claim, value), invert: true }))],
  });
}

/** Matches on headers, and those that name a claim of the caller's token. */
function parted(matches: Readonly<Record<string, StringMatch>>): [headers: [string, StringMatch][], claims: [readonly string[], StringMatch][]] {
  const headers: [string, StringMatch][] = [];
  const claims: [readonly string[], StringMatch][] = [];
  for (const [name, value] of sorted(matches)) {
    const claim = claimNamed(name);
    if (claim) claims.push([claim, value]);
    else headers.push([name, value]);
  }
  return [headers, claims];
}

function pathSpecifier(uri: StringMatch | undefined, bySegment: boolean): NonNullable<RouteMatch['pathSpecifier']> {
  if (uri?.exact !== undefined) return { $case: 'path', value: uri.exact };
  if (uri?.regex !== undefined) return { $case: 'safeRegex', value: regex(uri.regex) };
  const prefix = uri?.prefix ?? '/';
  return bySegment && prefix !== '/' ? { $case: 'pathSeparatedPrefix', value: prefix.replace(/\/$/, '') } : { $case: 'prefix', value: prefix };
}

function pseudoHeader(key: 'method' | 'authority' | 'scheme', match: StringMatch | undefined): HeaderMatcher[] {
  return match ? [headerMatcher(`:${key}`, match)] : [];
}

/** An empty match asks for presence, and so does "*", which is no regular expression. */
function headerMatcher(name: string, match: StringMatch): HeaderMatcher {
  if (isPresence(match)) return create(HeaderMatcher, { name, headerMatchSpecifier: { $case: 'presentMatch', value: true } });
  return create(HeaderMatcher, { name, headerMatchSpecifier: { $case: 'stringMatch', value: stringMatcher(match) } });
}

/** A header that is missing does not have the unwanted value: Envoy must be told so. */
function withoutHeader(name: string, match: StringMatch): HeaderMatcher {
  const matcher = headerMatcher(name, match);
  return { ...matcher, invertMatch: true, treatMissingHeaderAsEmpty: !isPresence(match) };
}

function queryMatcher(name: string, match: StringMatch): QueryParameterMatcher {
  if (isPresence(match)) return create(QueryParameterMatcher, { name, queryParameterMatchSpecifier: { $case: 'presentMatch', value: true } });
  return create(QueryParameterMatcher, { name, queryParameterMatchSpecifier: { $case: 'stringMatch', value: stringMatcher(match) } });
}

function isPresence(match: StringMatch): boolean {
  return match.regex === '*' || (match.exact === undefined && match.prefix === undefined && match.regex === undefined);
}

function sorted<V>(map: Readonly<Record<string, V>>): [string, V][] {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** True when every request fits: no route after it is reached. */
export function matchesAll({ pathSpecifier: path, headers, queryParameters, dynamicMetadata }: RouteMatch): boolean {
  const anyPath = (path?.$case === 'prefix' && path.value === '/') || (path?.$case === 'safeRegex' && path.value.regex === '.*');
  return anyPath && headers.length === 0 && queryParameters.length === 0 && dynamicMetadata.length === 0;
}

/** "/reviews*" for a prefix, "/reviews" for a path: how spans and decorators name a match. */
export function pathPattern(match: RouteMatch): string {
  const path = match.pathSpecifier;
  if (path?.$case === 'prefix') return `${path.value}*`;
  if (path?.$case === 'path') return path.value;
  return path?.$case === 'safeRegex' ? path.value.regex : '/*';
}
