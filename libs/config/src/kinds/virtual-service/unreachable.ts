import type { Findings } from '../../rules/findings.ts';
import { item } from '../../schema/schema.ts';

interface Rule {
  readonly match: readonly object[];
}

/** Warns of rules that never apply: after one without a match, or with only matches that earlier rules took. Names do not make a match different. */
export function warnUnreachable(rules: readonly Rule[], path: string, findings: Findings): void {
  const taken = new Map<string, number>();
  let catchAll: number | undefined;
  for (const [i, rule] of rules.entries()) {
    const at = item(path, i);
    if (catchAll !== undefined) {
      findings.warn(at, `is never used: rule ${catchAll} before it has no match and takes everything`);
      continue;
    }
    if (rule.match.length === 0) catchAll = i;
    let duplicates = 0;
    for (const [j, match] of rule.match.entries()) {
      const key = JSON.stringify({ ...match, name: '' });
      const earlier = taken.get(key);
      if (earlier === undefined) taken.set(key, i);
      else {
        duplicates++;
        findings.warn(item(`${at}.match`, j), `is never used: rule ${earlier} has the same match`);
      }
    }
    if (duplicates > 0 && duplicates === rule.match.length) findings.warn(at, 'is never used: earlier rules have all its matches');
  }
}
