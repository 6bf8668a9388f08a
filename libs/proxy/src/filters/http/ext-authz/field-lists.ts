import type { ListStringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import type { Result } from '@meltemi/base';
import { compileAll, compileStringMatcher, type StringMatch } from '@meltemi/match';

/** Compiles a list over lower-case field names; empty when unset. */
export function compileNames(list: ListStringMatcher | undefined, path: string): Result<StringMatch[]> {
  return compileAll(list?.patterns ?? [], `${path}.patterns`, compileStringMatcher);
}

export function anyMatches(matchers: readonly StringMatch[], name: string): boolean {
  for (const matcher of matchers) if (matcher.matches(name)) return true;
  return false;
}
