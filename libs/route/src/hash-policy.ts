import type { RouteAction_HashPolicy, RouteAction_HashPolicy_Cookie } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { hash64, xxHash64, type Hash64 } from '@meltemi/base';
import { addressWithoutPort, fieldNameOf, queryOf, queryParameter, type RequestHead } from '@meltemi/http';
import { durationMs } from './duration.ts';
import { compileRewrite } from './regex-rewrite.ts';
import type { Report } from './report.ts';
import type { CookieHash, HashPolicy } from './types.ts';

/** Compiles one hash policy; none when it can never give a hash. */
export function compileHash(policy: RouteAction_HashPolicy, path: string, report: Report): HashPolicy[] {
  const specifier = policy.policySpecifier;
  const terminal = policy.terminal;
  switch (specifier?.$case) {
    case 'header': {
      const { headerName, regexRewrite } = specifier.value;
      if (headerName === '') report.refuse(`${path}.header.header_name`, 'is required');
      return [{ kind: 'header', name: fieldNameOf(headerName), regex: regexRewrite ? compileRewrite(regexRewrite, `${path}.header.regex_rewrite`, report) : null, terminal }];
    }
    case 'cookie':
      return [compileCookie(specifier.value, terminal, `${path}.cookie`, report)];
    case 'connectionProperties':
      return specifier.value.sourceIp ? [{ kind: 'source-ip', terminal }] : [];
    case 'queryParameter':
      if (specifier.value.name === '') report.refuse(`${path}.query_parameter.name`, 'is required');
      return [{ kind: 'query', name: specifier.value.name, terminal }];
    case 'filterState':
      report.refuse(`${path}.filter_state`, 'hashing by filter state is not supported: there are no filter state objects; hash by header, cookie, source IP or query parameter');
      return [];
    case undefined:
      report.refuse(path, 'a hash policy needs header, cookie, connection_properties or query_parameter');
      return [];
  }
}

function compileCookie(cookie: RouteAction_HashPolicy_Cookie, terminal: boolean, path: string, report: Report): CookieHash {
  if (!isToken(cookie.name)) report.refuse(`${path}.name`, cookie.name === '' ? 'is required' : `"${cookie.name}" is not a cookie name`);
  const bad = /[;\r\n\0]/;
  if (bad.test(cookie.path)) report.refuse(`${path}.path`, 'a cookie path has no semicolon or line break');
  for (const [i, { name, value }] of cookie.attributes.entries()) {
    if (!isToken(name)) report.refuse(`${path}.attributes[${i}].name`, `"${name}" is not an attribute name`);
    if (bad.test(value)) report.refuse(`${path}.attributes[${i}].value`, 'an attribute value has no semicolon or line break');
  }
  const ttlMs = durationMs(cookie.ttl, null);
  return { kind: 'cookie', name: cookie.name, ttlMs, suffix: cookieSuffix(cookie, ttlMs ?? 0), terminal };
}

function isToken(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name);
}

/** What follows name and value in set-cookie. */
function cookieSuffix({ path, attributes }: RouteAction_HashPolicy_Cookie, ttlMs: number): string {
  const seconds = Math.floor(ttlMs / 1000);
  return `${seconds > 0 ? `; Max-Age=${seconds}` : ''}${path === '' ? '' : `; Path=${path}`}${attributes.map(({ name, value }) => (value === '' ? `; ${name}` : `; ${name}=${value}`)).join('')}; HttpOnly`;
}

/** Where the values to hash come from. */
export interface HashSource {
  /** Null outside HTTP: only the source address can be hashed. */
  readonly head: RequestHead | null;
  /** The client's address after x-forwarded-for rules, "ip:port". */
  readonly clientAddress: string;
  /** The client has no such cookie: it gets one, and this is the value. */
  newCookie(policy: CookieHash): string;
}

const one = hash64();

/** The request's hash by Envoy's rules: those of all policies that find something, combined in order, up to a terminal one. False when none finds anything. @hot */
export function requestHash(policies: readonly HashPolicy[], source: HashSource, into: Hash64): boolean {
  let found = false;
  for (let i = 0; i < policies.length; i++) {
    const policy = policies[i];
    if (policy === undefined) continue;
    if (evaluate(policy, source)) {
      // Rotating first keeps two equal values from cancelling each other out.
      const hi = found ? (into.hi << 1) | (into.lo >>> 31) : 0;
      const lo = found ? (into.lo << 1) | (into.hi >>> 31) : 0;
      into.hi = (hi ^ one.hi) >>> 0;
      into.lo = (lo ^ one.lo) >>> 0;
      found = true;
    }
    if (found && policy.terminal) break;
  }
  return found;
}

function evaluate(policy: HashPolicy, source: HashSource): boolean {
  const value = valueOf(policy, source);
  if (value === null) return false;
  xxHash64(value, one);
  return true;
}

function valueOf(policy: HashPolicy, source: HashSource): string | null {
  if (policy.kind === 'source-ip') {
    // A Unix socket has no IP.
    const ip = addressWithoutPort(source.clientAddress);
    return ip === '' || ip.startsWith('/') || ip.startsWith('@') ? null : ip;
  }
  const { head } = source;
  if (head === null) return null;
  switch (policy.kind) {
    case 'header':
      return headerValue(policy, head);
    case 'query':
      return queryParameter(queryOf(head.path), policy.name);
    case 'cookie': {
      const value = cookieOf(head, policy.name);
      if (value !== '') return value;
      return policy.ttlMs === null ? null : source.newCookie(policy);
    }
  }
}

/** Several fields of one name count as one text, whatever their order. */
function headerValue({ name, regex }: Extract<HashPolicy, { kind: 'header' }>, head: RequestHead): string | null {
  if (name.charCodeAt(0) === 58 || name === 'host') {
    const value = head.field(name);
    return value === null || regex === null ? value : regex.rewrite(value);
  }
  const { flat } = head.headers;
  let first: string | null = null;
  let more: string[] | null = null;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] !== name) continue;
    const value = regex === null ? (flat[i + 1] ?? '') : regex.rewrite(flat[i + 1] ?? '');
    if (first === null) first = value;
    else (more ??= [first]).push(value);
  }
  return more === null ? first : more.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)).join('');
}

/** The first cookie of that name, without the quotes it may stand in; "" when there is none. */
function cookieOf(head: RequestHead, name: string): string {
  const { flat } = head.headers;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] !== 'cookie') continue;
    const value = cookieIn(flat[i + 1] ?? '', name);
    if (value !== null) return value;
  }
  return '';
}

function cookieIn(field: string, name: string): string | null {
  for (let start = 0; start < field.length; ) {
    let end = field.indexOf(';', start);
    if (end < 0) end = field.length;
    while (field.charCodeAt(start) === 32) start++;
    if (field.startsWith(name, start) && field.charCodeAt(start + name.length) === 61) {
      const value = field.slice(start + name.length + 1, end).trimEnd();
      return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
    start = end + 1;
  }
  return null;
}

/** A new cookie's value: the same for all requests of a connection, so that those that race get the same one. */
export function cookieValue(remoteAddress: string, localAddress: string): string {
  xxHash64(remoteAddress + localAddress, one);
  return hex(one.hi) + hex(one.lo);
}

function hex(half: number): string {
  return half.toString(16).padStart(8, '0');
}
