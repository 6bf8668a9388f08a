import type { StringMatch } from '@meltemi/config';
import { StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import { create, regex } from '../message.ts';

export function stringMatcher(match: StringMatch): StringMatcher {
  if (match.exact !== undefined) return create(StringMatcher, { matchPattern: { $case: 'exact', value: match.exact } });
  if (match.prefix !== undefined) return create(StringMatcher, { matchPattern: { $case: 'prefix', value: match.prefix } });
  return create(StringMatcher, { matchPattern: { $case: 'safeRegex', value: regex(match.regex ?? '.*') } });
}
