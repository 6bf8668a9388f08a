import type { Findings } from '../../rules/findings.ts';
import type { StringMatch } from '../types.ts';
import type { HttpMatchRequest, HttpRoute } from './types.ts';

interface Prefixed {
  readonly path: string;
  readonly rule: number;
  readonly prefix: string;
  readonly match: HttpMatchRequest;
}

/**
 * Warns of matches that an earlier prefix takes: /api before /api/v2. As Istio compares them: everything else alike, or the earlier one's value
 * starting with the later one's.
 */
export function warnCovered(routes: readonly HttpRoute[], findings: Findings): void {
  const seen: Prefixed[] = [];
  for (const [rule, route] of routes.entries())
    for (const [i, match] of route.match.entries()) {
      const prefix = match.uri?.prefix ?? '';
      if (prefix === '') continue;
      const later: Prefixed = { path: `spec.http[${rule}].match[${i}]`, rule, prefix, match };
      const earlier = seen.find((one) => one.prefix !== prefix && covers(one, later));
      if (earlier) findings.warn(later.path, `is never used: the prefix ${earlier.prefix} of rule ${earlier.rule} takes ${prefix} already`);
      seen.push(later);
    }
}

function covers(earlier: Prefixed, later: Prefixed): boolean {
  const [a, b] = [earlier.match, later.match];
  if (!later.prefix.startsWith(earlier.prefix) || a.port !== b.port) return false;
  if (!alike(text(a.method) || 'exact:GET', text(b.method) || 'exact:GET') || !alike(text(a.authority), text(b.authority))) return false;
  return (['headers', 'queryParams', 'withoutHeaders'] as const).every((field) => sameNames(a[field], b[field]));
}

function sameNames(a: Readonly<Record<string, StringMatch>>, b: Readonly<Record<string, StringMatch>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && alike(text(a[name]), text(b[name])));
}

function alike(a: string, b: string): boolean {
  return a.startsWith(b);
}

function text(match: StringMatch | undefined): string {
  if (match?.exact !== undefined && match.exact !== '') return `exact:${match.exact}`;
  return match?.prefix !== undefined && match.prefix !== '' ? `prefix:${match.prefix}` : '';
}
