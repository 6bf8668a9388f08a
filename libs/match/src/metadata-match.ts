import { fail, ok, type Result } from '@meltemi/base';
import type { MetadataMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/metadata.ts';
import type { ValueMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/value.ts';
import { compileStringMatcher } from './string-match.ts';
import type { MetadataMatch } from './types.ts';

type ValueTest = (value: unknown) => boolean;

/** Deepest nesting of or/list matchers. */
const maxDepth = 16;

/** Compiles a MetadataMatcher over `namespace → values`. */
export function compileMetadataMatcher(matcher: MetadataMatcher, path: string): Result<MetadataMatch> {
  const keys = matcher.path.map((segment) => segment.segment?.value ?? '');
  if (matcher.filter === '') return fail(`${path}.filter`, 'a metadata matcher needs a filter namespace');
  if (keys.length === 0 || keys.includes('')) return fail(`${path}.path`, 'a metadata matcher needs a path of keys');
  const test = compileValue(matcher.value, `${path}.value`, 0);
  if (!test.ok) return test;
  return ok({ matches: (metadata) => test.value(metadataAt(metadata?.[matcher.filter], keys)) !== matcher.invert });
}

/** What stands at a path of keys; undefined when something on the way is no object. */
export function metadataAt(root: unknown, keys: readonly string[]): unknown {
  let value = root;
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function compileValue(matcher: ValueMatcher | undefined, path: string, depth: number): Result<ValueTest> {
  const pattern = matcher?.matchPattern;
  if (!pattern) return fail(path, 'a value matcher needs a pattern');
  if (depth > maxDepth) return fail(path, `value matchers are nested deeper than ${maxDepth}`);
  switch (pattern.$case) {
    case 'nullMatch':
      return ok((value) => value === null);
    case 'boolMatch':
      return ok((value) => value === pattern.value);
    case 'presentMatch':
      return ok((value) => (value !== undefined && value !== null) === pattern.value);
    case 'doubleMatch':
      return ok(doubleTest(pattern.value.matchPattern));
    case 'stringMatch': {
      const match = compileStringMatcher(pattern.value, `${path}.string_match`);
      return match.ok ? ok((value) => typeof value === 'string' && match.value.matches(value)) : match;
    }
    case 'listMatch': {
      const one = compileValue(pattern.value.matchPattern?.value, `${path}.list_match.one_of`, depth + 1);
      return one.ok ? ok((value) => Array.isArray(value) && value.some(one.value)) : one;
    }
    case 'orMatch':
      return orTest(pattern.value.valueMatchers, path, depth);
  }
}

function orTest(matchers: readonly ValueMatcher[], path: string, depth: number): Result<ValueTest> {
  const tests: ValueTest[] = [];
  for (const [i, matcher] of matchers.entries()) {
    const test = compileValue(matcher, `${path}.or_match.value_matchers[${i}]`, depth + 1);
    if (!test.ok) return test;
    tests.push(test.value);
  }
  return ok((value) => tests.some((test) => test(value)));
}

function doubleTest(pattern: { $case: 'range'; value: { start: number; end: number } } | { $case: 'exact'; value: number } | undefined): ValueTest {
  if (pattern?.$case === 'exact') return (value) => value === pattern.value;
  if (pattern?.$case === 'range') return (value) => typeof value === 'number' && value >= pattern.value.start && value < pattern.value.end;
  return () => false;
}
