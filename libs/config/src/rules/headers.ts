import { child, item } from '../schema/schema.ts';
import type { Headers } from '../kinds/virtual-service/types.ts';
import type { Findings } from './findings.ts';
import { formatProblem } from './header-format.ts';

const token = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;
const pseudo = [':method', ':scheme', ':authority', ':path', ':status'];

/** Routing by a claim of the caller's JWT: @request.auth.claims.sub or @request.auth.claims[a][b]. */
export function isJwtClaim(name: string): boolean {
  return /^@request\.auth\.claims(\..+|\[.+\])$/i.test(name);
}

/** A header name that may be matched on. */
export function matchNameReason(name: string): string | undefined {
  if (name === '') return 'a header name must not be empty';
  return token.test(name) || pseudo.includes(name) || isJwtClaim(name) ? undefined : `"${name}" is not a header name`;
}

/** A header name in a CORS list; "*" is every header. */
export function corsNameReason(name: string): string | undefined {
  return token.test(name) ? undefined : `"${name}" is not a header name`;
}

/** Checks `headers.{request,response}.{set,add,remove}`. */
export function checkHeaders(headers: Headers | undefined, path: string, findings: Findings): void {
  for (const side of ['request', 'response'] as const) {
    const operations = headers?.[side];
    if (!operations) continue;
    const at = `${path}.${side}`;
    for (const verb of ['set', 'add'] as const) {
      for (const [name, value] of Object.entries(operations[verb])) {
        const where = child(`${at}.${verb}`, name);
        findings.check(where, side === 'request' ? setNameReason(name) : changeNameReason(name));
        findings.check(where, valueReason(value));
      }
    }
    for (const [i, name] of operations.remove.entries()) findings.check(item(`${at}.remove`, i), changeNameReason(name));
  }
}

/** True for the two spellings of the authority of a request. */
export function isAuthority(name: string): boolean {
  return name.toLowerCase() === ':authority' || name.toLowerCase() === 'host';
}

function setNameReason(name: string): string | undefined {
  return isAuthority(name) ? undefined : changeNameReason(name);
}

function changeNameReason(name: string): string | undefined {
  if (name === '') return 'a header name must not be empty';
  if (name.toLowerCase() === 'host') return '"Host" can only be set, and only on a request: use headers.request.set or rewrite.authority';
  if (name.startsWith(':')) return `"${name}" is a pseudo header and cannot be changed`;
  return token.test(name) ? undefined : `"${name}" is not a header name`;
}

function valueReason(value: string): string | undefined {
  // Everything but tab among the control characters would end or split the header.
  return /\p{Cc}/u.test(value.replaceAll('\t', '')) ? 'a header value must not hold control characters' : formatProblem(value);
}
