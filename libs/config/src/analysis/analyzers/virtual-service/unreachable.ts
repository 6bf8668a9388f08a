import type { HttpMatchRequest, HttpRoute, VirtualServiceSpec } from '../../../kinds/virtual-service/types.ts';
import type { StringMatch } from '../../../kinds/types.ts';
import type { Report } from '../../analyzer.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';

interface Rule {
  readonly name?: string;
  readonly match: readonly (object & { readonly name?: string })[];
}

/** Rules and matches that earlier ones leave nothing to. */
export function reportUnreachable(service: AnalyzedObject<VirtualServiceSpec>, report: Report): void {
  for (const protocol of ['http', 'tcp', 'tls'] as const) reportTaken(service, { path: `spec.${protocol}`, rules: service.spec[protocol] }, report);
  reportCovered(service, report);
}

/** Equal matches, and everything after a rule without a match. */
function reportTaken(service: AnalyzedObject, { path, rules }: { readonly path: string; readonly rules: readonly Rule[] }, report: Report): void {
  const taken = new Map<string, number>();
  let catchAll = false;
  for (const [i, rule] of rules.entries()) {
    const at = `${path}[${i}]`;
    const unreachable = (reason: string): void => report(service, messages.unreachableRule(named(rule, i), reason), { path: at, fix: { do: 'remove', path: at } });
    if (rule.match.length === 0) {
      if (catchAll) unreachable('only the last rule may be without a match');
      catchAll = true;
      continue;
    }
    if (catchAll) {
      unreachable('an earlier rule has no match and takes everything');
      continue;
    }
    let duplicates = 0;
    for (const [j, match] of rule.match.entries()) {
      const key = JSON.stringify({ ...match, name: '' });
      const earlier = taken.get(key);
      if (earlier === undefined) {
        taken.set(key, i);
        continue;
      }
      duplicates++;
      const matchAt = `${at}.match[${j}]`;
      const isLast = duplicates === rule.match.length;
      report(service, messages.ineffectiveMatch(named(rule, i), named(match, j), `rule ${named(rules[earlier], earlier)}`), { path: matchAt, ...(isLast ? {} : { fix: { do: 'remove', path: matchAt } as const }) });
    }
    if (duplicates === rule.match.length) unreachable('earlier rules have all its matches');
  }
}

interface Prefixed {
  readonly rule: number;
  readonly match: number;
  readonly prefix: string;
  readonly request: HttpMatchRequest;
}

/** Prefixes that an earlier, shorter prefix takes. Only what is comparable is compared: a regex may match anything. */
function reportCovered(service: AnalyzedObject<VirtualServiceSpec>, report: Report): void {
  const { http } = service.spec;
  const prefixed = reachable(http).flatMap(({ rule, matches }) =>
    matches.flatMap(({ match, request }): Prefixed[] => (request.uri?.prefix ? [{ rule, match, prefix: request.uri.prefix, request }] : [])),
  );
  for (const [n, earlier] of prefixed.entries())
    for (const later of prefixed.slice(n + 1)) {
      if (later.prefix === earlier.prefix || !covers(earlier, later)) continue;
      const say = ({ match, request, prefix }: Prefixed): string => `${named(request, match)} of prefix ${prefix}`;
      report(service, messages.ineffectiveMatch(named(http[later.rule], later.rule), say(later), `match ${say(earlier)} of rule ${named(http[earlier.rule], earlier.rule)}`), { path: `spec.http[${later.rule}].match[${later.match}]` });
    }
}

interface ReachableRule {
  readonly rule: number;
  readonly matches: readonly { readonly match: number; readonly request: HttpMatchRequest }[];
}

/** Rules before the first without a match, and in them the matches that no earlier one equals. */
function reachable(http: readonly HttpRoute[]): readonly ReachableRule[] {
  const end = http.findIndex((rule) => rule.match.length === 0);
  const taken = new Set<string>();
  return http.slice(0, end < 0 ? http.length : end).map(({ match }, rule) => ({
    rule,
    matches: match.flatMap((request, j) => {
      const key = JSON.stringify({ ...request, name: '' });
      if (taken.has(key)) return [];
      taken.add(key);
      return [{ match: j, request }];
    }),
  }));
}

function covers(earlier: Prefixed, later: Prefixed): boolean {
  const [a, b] = [earlier.request, later.request];
  if (!later.prefix.startsWith(earlier.prefix) || a.port !== b.port) return false;
  // No method reads as GET here: that is what Istio compares.
  if (!valueCovers(a.method ?? { exact: 'GET' }, b.method ?? { exact: 'GET' }) || !valueCovers(a.authority, b.authority)) return false;
  return (['headers', 'queryParams', 'withoutHeaders'] as const).every((field) => mapCovers(a[field], b[field]));
}

function mapCovers(a: Readonly<Record<string, StringMatch>>, b: Readonly<Record<string, StringMatch>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => b[name] !== undefined && valueCovers(a[name], b[name]));
}

/** Values compare as "kind:text"; the later one may be a beginning of the earlier one, nothing included. */
function valueCovers(a: StringMatch | undefined, b: StringMatch | undefined): boolean {
  return valueText(a).startsWith(valueText(b));
}

function valueText(value: StringMatch | undefined): string {
  if (value?.exact) return `exact:${value.exact}`;
  return value?.prefix ? `prefix:${value.prefix}` : '';
}

function named(one: { readonly name?: string } | undefined, index: number): string {
  return one?.name ? `"${one.name}"` : `#${index}`;
}
