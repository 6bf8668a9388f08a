import type { CorsFilter, CorsPolicy, GrpcRouteFilter, HeaderModifier, HeaderOperations, Headers, HttpMirrorPolicy, HttpRedirect, HttpRewrite, HttpRouteFilter, RequestMirror, RequestRedirect, StringMatch, UrlRewrite } from '@meltemi/config';
import { backendDestination, type BackendContext } from './backends.ts';
import { joined, type Problem } from './problem.ts';
import { Refused } from './refused.ts';

/** A rule's filters in the words of a VirtualService. */
export interface ConvertedFilters {
  readonly headers?: Headers;
  readonly redirect?: HttpRedirect;
  readonly rewrite?: HttpRewrite;
  readonly corsPolicy?: CorsPolicy;
  readonly mirrors: readonly HttpMirrorPolicy[];
  readonly problem?: Problem;
}

/** Filters of a rule. Those we do not do are refused by name, and the route with them. */
export function convertFilters(filters: readonly (HttpRouteFilter | GrpcRouteFilter)[], path: string, context: BackendContext): ConvertedFilters {
  let converted: ConvertedFilters = { mirrors: [] };
  for (const [i, filter] of filters.entries()) {
    const at = `${path}[${i}]`;
    const { redirect, rewrite, corsPolicy } = httpOnly(filter);
    if (filter.requestMirror) converted = withMirror(converted, filter.requestMirror, { path: `${at}.requestMirror`, context });
    else if (redirect || rewrite || corsPolicy) converted = { ...converted, ...(redirect ? { redirect } : {}), ...(rewrite ? { rewrite } : {}), ...(corsPolicy ? { corsPolicy } : {}) };
    else if (filter.type !== 'URLRewrite') converted = withHeaders(converted, filter, at);
  }
  return converted;
}

/** Filters of one backend: only headers can differ there. */
export function backendHeaders(filters: readonly (HttpRouteFilter | GrpcRouteFilter)[], path: string): Headers | undefined {
  let converted: ConvertedFilters = { mirrors: [] };
  for (const [i, filter] of filters.entries()) converted = withHeaders(converted, filter, `${path}[${i}]`);
  return converted.headers;
}

function withHeaders(converted: ConvertedFilters, filter: HttpRouteFilter | GrpcRouteFilter, at: string): ConvertedFilters {
  if (filter.type === 'RequestHeaderModifier' && filter.requestHeaderModifier) return { ...converted, headers: { ...converted.headers, request: headerOperations(filter.requestHeaderModifier) } };
  if (filter.type === 'ResponseHeaderModifier' && filter.responseHeaderModifier) return { ...converted, headers: { ...converted.headers, response: headerOperations(filter.responseHeaderModifier) } };
  const what = filter.extensionRef ? ` (${filter.extensionRef.kind} "${filter.extensionRef.name}")` : '';
  throw new Refused(at, { reason: 'InvalidFilter', message: `filter type ${filter.type}${what} is not supported here` });
}

function httpOnly(filter: HttpRouteFilter | GrpcRouteFilter): Pick<ConvertedFilters, 'redirect' | 'rewrite' | 'corsPolicy'> {
  if (filter.type === 'RequestRedirect' && filter.requestRedirect) return { redirect: redirectOf(filter.requestRedirect) };
  if (filter.type === 'CORS' && filter.cors) return { corsPolicy: corsOf(filter.cors) };
  const rewrite = filter.type === 'URLRewrite' && filter.urlRewrite ? rewriteOf(filter.urlRewrite) : undefined;
  return rewrite ? { rewrite } : {};
}

function headerOperations({ set, add, remove }: HeaderModifier): HeaderOperations {
  return { set: byName(set), add: byName(add), remove };
}

/** Of equal names the first counts. */
function byName(headers: HeaderModifier['set']): Readonly<Record<string, string>> {
  const values = new Map<string, string>();
  for (const { name, value } of headers) if (!values.has(name.toLowerCase())) values.set(name.toLowerCase(), value);
  return Object.fromEntries(values);
}

function withMirror(converted: ConvertedFilters, { backendRef, percent, fraction }: RequestMirror, { path, context }: { readonly path: string; readonly context: BackendContext }): ConvertedFilters {
  const { destination, problem } = backendDestination(backendRef, `${path}.backendRef`, context);
  // nobody waits for a mirror: one that leads nowhere is left out
  if (problem) return { ...converted, problem: joined(converted.problem, problem) ?? problem };
  const value = fraction ? (100 * fraction.numerator) / fraction.denominator : percent;
  return { ...converted, mirrors: [...converted.mirrors, { destination, ...(value === undefined ? {} : { percentage: { value } }) }] };
}

function redirectOf({ scheme, hostname, path, port, statusCode }: RequestRedirect): HttpRedirect {
  return {
    uri: path?.replaceFullPath ?? '',
    prefixRewrite: path?.replacePrefixMatch ?? '',
    authority: hostname ?? '',
    scheme: scheme ?? '',
    redirectCode: statusCode,
    ...(port === undefined ? { derivePort: scheme === undefined ? 'FROM_REQUEST_PORT' : 'FROM_PROTOCOL_DEFAULT' } : { port }),
  };
}

function rewriteOf({ hostname, path }: UrlRewrite): HttpRewrite | undefined {
  const authority = hostname ?? '';
  if (path?.replaceFullPath !== undefined) return { uri: '', authority, uriRegexRewrite: { match: '/.*', rewrite: path.replaceFullPath } };
  const prefix = path?.replacePrefixMatch;
  const uri = prefix === undefined ? '' : prefix.replace(/\/$/, '') || '/';
  return uri === '' && authority === '' ? undefined : { uri, authority };
}

function corsOf(cors: CorsFilter): CorsPolicy {
  return {
    allowOrigin: [],
    allowOrigins: cors.allowOrigins.map(originMatch),
    allowMethods: cors.allowMethods,
    allowHeaders: cors.allowHeaders,
    exposeHeaders: cors.exposeHeaders,
    maxAge: cors.maxAge * 1000,
    ...(cors.allowCredentials === true ? { allowCredentials: true } : {}),
    unmatchedPreflights: 'IGNORE',
  };
}

/** "*" stands for any part of an origin; alone, for every well-formed one. */
function originMatch(origin: string): StringMatch {
  if (origin === '*') return { regex: '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\\s?#]+$' };
  if (!origin.includes('*')) return { exact: origin };
  if (origin.indexOf('*') === origin.length - 1) return { prefix: origin.slice(0, -1) };
  return { regex: `^${origin.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\/]/g, (letter) => (letter === '/' ? '/' : `\\${letter}`))).join('.*')}$` };
}
