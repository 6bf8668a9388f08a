import type { Findings } from '../../rules/findings.ts';
import { item } from '../../schema/schema.ts';
import type { CorsFilter, GrpcRouteFilter, HeaderModifier, HttpRouteFilter, PathModifier, RequestMirror } from './filters.ts';
import { patternReason } from './patterns.ts';
import { checkBackend } from './validate-references.ts';

const fieldOf: Readonly<Record<HttpRouteFilter['type'], keyof HttpRouteFilter>> = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
  ExternalAuth: 'externalAuth',
};

/** Those may stand several times; each of the others only once. */
const repeatable: readonly string[] = ['RequestMirror', 'ExtensionRef', 'ExternalAuth'];

/** What the CRD's rules say of a rule's or a backend's filters. Source: kubernetes-sigs/gateway-api, config/crd (CEL). */
export function checkFilters(filters: readonly (HttpRouteFilter | GrpcRouteFilter)[], path: string, findings: Findings): void {
  const seen = new Set<string>();
  for (const [i, filter] of filters.entries()) {
    const at = item(path, i);
    checkUnion(filter, at, findings);
    if (seen.has(filter.type) && !repeatable.includes(filter.type)) findings.error(at, `a second ${filter.type} filter: keep one`);
    seen.add(filter.type);
    if (filter.requestHeaderModifier) checkModifier(filter.requestHeaderModifier, `${at}.requestHeaderModifier`, findings);
    if (filter.responseHeaderModifier) checkModifier(filter.responseHeaderModifier, `${at}.responseHeaderModifier`, findings);
    if (filter.requestMirror) checkMirror(filter.requestMirror, `${at}.requestMirror`, findings);
    if (isHttpFilter(filter)) checkHttpFilter(filter, at, findings);
  }
  if (seen.has('RequestRedirect') && seen.has('URLRewrite')) findings.error(path, 'RequestRedirect and URLRewrite exclude each other');
}

function isHttpFilter(filter: HttpRouteFilter | GrpcRouteFilter): filter is HttpRouteFilter {
  return 'requestRedirect' in filter || 'urlRewrite' in filter || 'cors' in filter;
}

function checkUnion(filter: HttpRouteFilter | GrpcRouteFilter, at: string, findings: Findings): void {
  const wanted = fieldOf[filter.type];
  const fields = filter as HttpRouteFilter;
  for (const field of Object.values(fieldOf)) {
    if (field === wanted && fields[field] === undefined) findings.error(`${at}.${field}`, `is required for type ${filter.type}`);
    if (field !== wanted && fields[field] !== undefined) findings.error(`${at}.${field}`, `cannot be set for type ${filter.type}`);
  }
}

function checkHttpFilter(filter: HttpRouteFilter, at: string, findings: Findings): void {
  const redirect = filter.requestRedirect;
  if (redirect) {
    if (![301, 302, 303, 307, 308].includes(redirect.statusCode)) findings.error(`${at}.requestRedirect.statusCode`, `must be one of 301, 302, 303, 307, 308, found ${redirect.statusCode}`);
    if (redirect.hostname !== undefined) findings.check(`${at}.requestRedirect.hostname`, patternReason(redirect.hostname, 'subdomain'));
    checkPath(redirect.path, `${at}.requestRedirect.path`, findings);
  }
  if (filter.urlRewrite?.hostname !== undefined) findings.check(`${at}.urlRewrite.hostname`, patternReason(filter.urlRewrite.hostname, 'subdomain'));
  checkPath(filter.urlRewrite?.path, `${at}.urlRewrite.path`, findings);
  if (filter.cors) checkCors(filter.cors, `${at}.cors`, findings);
}

function checkPath(path: PathModifier | undefined, at: string, findings: Findings): void {
  if (!path) return;
  const [wanted, other] = path.type === 'ReplaceFullPath' ? (['replaceFullPath', 'replacePrefixMatch'] as const) : (['replacePrefixMatch', 'replaceFullPath'] as const);
  if (path[wanted] === undefined) findings.error(`${at}.${wanted}`, `is required for type ${path.type}`);
  if (path[other] !== undefined) findings.error(`${at}.${other}`, `cannot be set for type ${path.type}`);
}

function checkModifier(modifier: HeaderModifier, at: string, findings: Findings): void {
  for (const part of ['set', 'add'] as const) {
    const names = new Set<string>();
    for (const [i, { name, value }] of modifier[part].entries()) {
      findings.check(`${item(`${at}.${part}`, i)}.name`, patternReason(name, 'headerName'));
      findings.check(`${item(`${at}.${part}`, i)}.value`, patternReason(value, 'headerValue'));
      if (names.has(name)) findings.error(`${item(`${at}.${part}`, i)}.name`, `"${name}" is listed already`);
      names.add(name);
    }
  }
}

function checkMirror(mirror: RequestMirror, at: string, findings: Findings): void {
  checkBackend(mirror.backendRef, `${at}.backendRef`, findings);
  if (mirror.percent !== undefined && mirror.fraction) findings.error(at, 'only one of percent, fraction may be set');
  if (mirror.fraction && mirror.fraction.numerator > mirror.fraction.denominator) findings.error(`${at}.fraction`, 'the numerator must not be greater than the denominator');
}

const origin = /(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)/;
const methods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', '*'];

function checkCors(cors: CorsFilter, at: string, findings: Findings): void {
  for (const [i, text] of cors.allowOrigins.entries()) if (!origin.test(text)) findings.error(item(`${at}.allowOrigins`, i), `${JSON.stringify(text)} is not an origin, like "https://example.com" or "https://*.example.com"`);
  for (const [i, text] of cors.allowMethods.entries()) if (!methods.includes(text)) findings.error(item(`${at}.allowMethods`, i), `${JSON.stringify(text)} is not a method`);
  for (const part of ['allowHeaders', 'exposeHeaders'] as const) for (const [i, text] of cors[part].entries()) findings.check(item(`${at}.${part}`, i), patternReason(text, 'headerName'));
  for (const part of ['allowOrigins', 'allowMethods', 'allowHeaders'] as const) if (cors[part].includes('*') && cors[part].length > 1) findings.error(`${at}.${part}`, '"*" must stand alone');
}
