import { fail, ok, type Result } from '@meltemi/base';
import type { StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import type { RegexMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/regex.ts';
import { compileRegex } from './safe-regex.ts';
import type { StringMatch } from './types.ts';

/** Compiles a StringMatcher; regular expressions must match the whole value and ignore `ignore_case`, as in Envoy. `path` goes before errors' paths. */
export function compileStringMatcher(matcher: StringMatcher | undefined, path: string): Result<StringMatch> {
  const pattern = matcher?.matchPattern;
  if (!matcher || !pattern) return fail(path, 'a string matcher needs exact, prefix, suffix, contains or safe_regex');
  switch (pattern.$case) {
    case 'safeRegex':
      return compileRegexMatch(pattern.value, `${path}.safe_regex`);
    case 'custom':
      return fail(`${path}.custom`, 'custom string matchers are not supported: use exact, prefix, suffix, contains or safe_regex');
    default:
      return ok(stringMatch(pattern.$case, pattern.value, matcher.ignoreCase));
  }
}

/** A whole-value regex match as a StringMatch. */
export function compileRegexMatch(matcher: RegexMatcher, path: string): Result<StringMatch> {
  const regex = compileRegex(matcher.regex);
  if (!regex.ok) return fail(`${path}.regex`, regex.error);
  const compiled = regex.value;
  return ok({ matches: (value) => compiled.matchesAll(value) });
}

/** The literal kinds. */
export function stringMatch(kind: 'exact' | 'prefix' | 'suffix' | 'contains', value: string, ignoreCase = false): StringMatch {
  const wanted = ignoreCase ? value.toLowerCase() : value;
  const test = predicates[kind](wanted);
  return ignoreCase ? { matches: (input) => test(input.toLowerCase()) } : { matches: test };
}

const predicates = {
  exact: (wanted: string) => (input: string) => input === wanted,
  prefix: (wanted: string) => (input: string) => input.startsWith(wanted),
  suffix: (wanted: string) => (input: string) => input.endsWith(wanted),
  contains: (wanted: string) => (input: string) => input.includes(wanted),
} as const;
