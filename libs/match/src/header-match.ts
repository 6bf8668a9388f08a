import { fail, ok, type Result } from '@meltemi/base';
import type { HeaderMatcher, QueryParameterMatcher } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import { fieldNameOf, fromWire, queryParameter, toWire } from '@meltemi/http';
import { compileRegexMatch, compileStringMatcher, stringMatch } from './string-match.ts';
import type { FieldSource, HeaderMatch, QueryMatch, StringMatch } from './types.ts';

/**
 * Compiles a HeaderMatcher. Several values of a field are joined by "," before matching; pseudo headers work. A missing header matches
 * nothing, inverted or not, unless the matcher is about presence or treats it as empty. Source: Envoy's route_components docs. Patterns are
 * texts, values the bytes of texts: literal patterns become bytes here, so that no value has to become text.
 */
export function compileHeaderMatcher(matcher: HeaderMatcher, path: string): Result<HeaderMatch> {
  if (matcher.name === '') return fail(`${path}.name`, 'a header matcher needs a name');
  const name = fieldNameOf(matcher.name);
  const specifier = matcher.headerMatchSpecifier;
  if (!specifier || specifier.$case === 'presentMatch') return ok(presence(name, specifier ? specifier.value : true, matcher));
  const value = compileValue(specifier, path);
  if (!value.ok) return value;
  return ok(new ValueMatch(name, value.value, matcher.invertMatch, matcher.treatMissingHeaderAsEmpty));
}

/** All must hold. Errors carry `path[i]`. */
export function compileHeaderMatchers(matchers: readonly HeaderMatcher[], path: string): Result<HeaderMatch[]> {
  return compileAll(matchers, path, compileHeaderMatcher);
}

/** Compiles a QueryParameterMatcher; a missing parameter matches only `present_match: false`. */
export function compileQueryMatcher(matcher: QueryParameterMatcher, path: string): Result<QueryMatch> {
  const name = matcher.name;
  if (name === '') return fail(`${path}.name`, 'a query parameter matcher needs a name');
  const specifier = matcher.queryParameterMatchSpecifier;
  if (specifier?.$case !== 'stringMatch') {
    const present = specifier ? specifier.value : true;
    return ok({ name, matches: (query) => (queryParameter(query, name) !== null) === present });
  }
  const value = compileStringMatcher(specifier.value, `${path}.string_match`);
  if (!value.ok) return value;
  const match = value.value;
  return ok({
    name,
    matches: (query) => {
      const found = queryParameter(query, name);
      return found !== null && match.matches(found);
    },
  });
}

/** Runs `compile` on each, collecting every error. */
export function compileAll<In, Out>(inputs: readonly In[], path: string, compile: (input: In, path: string) => Result<Out>): Result<Out[]> {
  const results = inputs.map((input, i) => compile(input, `${path}[${i}]`));
  const errors = results.flatMap((result) => (result.ok ? [] : result.error));
  return errors.length > 0 ? { ok: false, error: errors } : ok(results.flatMap((result) => (result.ok ? [result.value] : [])));
}

/** @hot */
class ValueMatch implements HeaderMatch {
  readonly name: string;
  readonly #value: StringMatch;
  readonly #invert: boolean;
  readonly #missingIsEmpty: boolean;

  constructor(name: string, value: StringMatch, invert: boolean, missingIsEmpty: boolean) {
    this.name = name;
    this.#value = value;
    this.#invert = invert;
    this.#missingIsEmpty = missingIsEmpty;
  }

  matches(head: FieldSource): boolean {
    const found = head.field(this.name);
    if (found !== null) return this.#value.matches(found) !== this.#invert;
    return this.#missingIsEmpty && this.#value.matches('') !== this.#invert;
  }
}

function presence(name: string, present: boolean, matcher: HeaderMatcher): HeaderMatch {
  const wanted = present !== matcher.invertMatch;
  const empty = matcher.treatMissingHeaderAsEmpty;
  return { name, matches: (head) => (empty || head.field(name) !== null) === wanted };
}

function compileValue(specifier: NonNullable<HeaderMatcher['headerMatchSpecifier']>, path: string): Result<StringMatch> {
  switch (specifier.$case) {
    case 'exactMatch':
      return ok(stringMatch('exact', toWire(specifier.value)));
    case 'prefixMatch':
      return ok(stringMatch('prefix', toWire(specifier.value)));
    case 'suffixMatch':
      return ok(stringMatch('suffix', toWire(specifier.value)));
    case 'containsMatch':
      return ok(stringMatch('contains', toWire(specifier.value)));
    case 'safeRegexMatch':
      return asText(specifier.value.regex, compileRegexMatch(specifier.value, `${path}.safe_regex_match`));
    case 'stringMatch':
      return compileText(specifier.value, `${path}.string_match`);
    case 'rangeMatch':
      return ok(rangeMatch(specifier.value.start, specifier.value.end));
    case 'presentMatch':
      return fail(path, 'present_match has no value');
  }
}

function compileText(matcher: StringMatcher, path: string): Result<StringMatch> {
  const pattern = matcher.matchPattern;
  if (pattern === undefined || pattern.$case === 'custom') return compileStringMatcher(matcher, path);
  if (pattern.$case === 'safeRegex') return asText(pattern.value.regex, compileStringMatcher(matcher, path));
  return ok(stringMatch(pattern.$case, toWire(pattern.value), matcher.ignoreCase));
}

/** A regular expression is over characters; one of ASCII alone is as good over bytes. */
function asText(regex: string, match: Result<StringMatch>): Result<StringMatch> {
  if (!match.ok || toWire(regex) === regex) return match;
  const { value } = match;
  return ok({ matches: (bytes) => value.matches(fromWire(bytes)) });
}

/** Whole value a base-10 integer in [start, end). */
function rangeMatch(start: bigint, end: bigint): StringMatch {
  return {
    matches: (value) => {
      if (!/^[+-]?\d{1,19}$/.test(value)) return false;
      const number = BigInt(value.startsWith('+') ? value.slice(1) : value);
      return number >= start && number < end;
    },
  };
}
