import type { MatchPredicate } from '@meltemi/api/gen/envoy/config/common/matcher/v3/matcher.ts';
import type { Report } from '@meltemi/route';

/** Statuses that a predicate over `:status` names; null when it cannot be run: others are refused. */
export function compileErrorStatuses(predicate: MatchPredicate | undefined, path: string, report: Report): ReadonlySet<number> | null {
  if (!predicate) return null;
  const statuses = new Set<number>();
  collect(predicate, path, { statuses, report });
  return statuses;
}

function collect(predicate: MatchPredicate, path: string, found: { readonly statuses: Set<number>; readonly report: Report }): void {
  const { rule } = predicate;
  if (rule?.$case === 'orMatch') return rule.value.rules.forEach((each, i) => collect(each, `${path}.or_match.rules[${i}]`, found));
  const headers = rule?.$case === 'httpResponseHeadersMatch' ? rule.value.headers : [];
  const [only, ...others] = headers;
  const match = only?.headerMatchSpecifier;
  const text = match?.$case === 'exactMatch' ? match.value : match?.$case === 'stringMatch' && match.value.matchPattern?.$case === 'exact' ? match.value.matchPattern.value : '';
  const status = Number(text);
  const readable = others.length === 0 && only?.name === ':status' && !only.invertMatch && Number.isInteger(status) && status >= 100 && status < 600;
  if (readable) found.statuses.add(status);
  else found.report.refuse(path, 'only statuses by exact match on :status, and or_match of them, are supported');
  return undefined;
}
