import { err, ok, type Result } from '@meltemi/base';
import { RE2JS } from 're2js';
import { hasLoop, isLinear } from './regex-linear.ts';
import { regexStates } from './regex-size.ts';
import { parseRegex, toJavaScript, type ParsedRegex } from './regex-syntax.ts';
import type { RegexRewrite, SafeRegex } from './types.ts';

/** Longest pattern accepted, in characters. */
export const maxPatternLength = 4096;
/** What cannot be proven linear in V8 is walked through state by state, all of them per character: no more than so many beyond one for each character of the pattern. */
const maxRepeatedStates = 2100;
/** Nothing larger is made at all; as Istio's re2.max_program_size. */
const maxStates = 32_768;

/**
 * Compiles a regular expression of RE2's language. V8's engine runs it when it is proven linear there and means the same, the linear-time
 * engine runs it otherwise (some 30 times slower, still about a microsecond). The error is a reason.
 */
export function compileRegex(pattern: string): Result<SafeRegex, string> {
  const slow = compileRe2(pattern);
  if (!slow.ok) return slow;
  const parsed = parseRegex(pattern);
  if (!parsed || !isLinear(parsed.node)) return tooCostly(slow.value, pattern) ?? ok({ source: pattern, engine: 're2', matchesAll: (value) => slow.value.testExact(value) });
  const fast = new RegExp(`^(?:${toJavaScript(parsed.node)})$`);
  return ok({ source: pattern, engine: 'v8', matchesAll: (value) => fast.test(value) });
}

/**
 * Compiles RegexMatchAndSubstitute: every match is replaced; `substitution` uses RE2's `\0`–`\9` and `\\`. An empty match right after a match
 * does not count, as in RE2's GlobalReplace.
 */
export function compileRegexRewrite(pattern: string, substitution: string): Result<RegexRewrite, string> {
  const slow = compileRe2(pattern);
  if (!slow.ok) return slow;
  const parts = parseSubstitution(substitution, slow.value.groupCount());
  if (!parts.ok) return parts;
  const parsed = parseRegex(pattern);
  // Searching starts anew at each character, so a loop is only linear when the pattern can match at the start alone.
  const quick = parsed !== null && isLinear(parsed.node) && (parsed.anchoredStart || !hasLoop(parsed.node));
  const find = quick ? v8Finder(parsed) : re2Finder(slow.value);
  const refused = quick ? null : tooCostly(slow.value, pattern);
  if (refused !== null) return refused;
  return ok({ source: pattern, substitution, rewrite: (value) => replaceAll(value, find, parts.value) });
}

function compileRe2(pattern: string): Result<RE2JS, string> {
  if (pattern.length > maxPatternLength) return err(`the regular expression is longer than ${maxPatternLength} characters`);
  if (regexStates(pattern) > maxStates) return err(`the regular expression counts too far: its repetitions make more than ${maxStates} states`);
  try {
    return ok(RE2JS.compile(pattern));
  } catch (error) {
    return err(`not a regular expression of RE2: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function tooCostly(regex: RE2JS, pattern: string): Result<never, string> | null {
  const states = regex.programSize();
  return states > pattern.length + maxRepeatedStates ? err(`the regular expression is too costly: its repetitions make ${states} states, and each character may pass through all of them; count less far, or write * and +`) : null;
}

/** Whether a text contains a match, in linear time; for patterns that operators type. */
export function compileSearch(pattern: string): Result<Pick<RegExp, 'test'>, string> {
  const regex = compileRe2(pattern);
  if (!regex.ok) return regex;
  return tooCostly(regex.value, pattern) ?? ok({ test: (text) => regex.value.matcher(text).find() });
}

type SubstitutionPart = string | number;

function parseSubstitution(text: string, groups: number): Result<SubstitutionPart[], string> {
  const parts: SubstitutionPart[] = [];
  for (const [token, group] of text.matchAll(/\\([0-9\\])?|[^\\]+/g)) {
    if (token === '\\') return err('in a substitution "\\" must be followed by a digit or another "\\"');
    if (group === undefined) parts.push(token);
    else if (group === '\\') parts.push('\\');
    else if (Number(group) > groups) return err(`the substitution names group ${group}, the regular expression has ${groups}`);
    else parts.push(Number(group));
  }
  return ok(parts);
}

/** Finds the next match at or after `from`: [start, end, group 1 start, …] or null. */
type Finder = (value: string, from: number) => FoundMatch | null;

interface FoundMatch {
  readonly start: number;
  readonly end: number;
  readonly group: (index: number) => string;
}

function v8Finder(parsed: ParsedRegex): Finder {
  const source = `${parsed.anchoredStart ? '^' : ''}${toJavaScript(parsed.node)}${parsed.anchoredEnd ? '$' : ''}`;
  const regex = new RegExp(source, 'g');
  return (value, from) => {
    regex.lastIndex = from;
    const match = regex.exec(value);
    return match === null ? null : { start: match.index, end: match.index + match[0].length, group: (index) => match[index] ?? '' };
  };
}

function re2Finder(regex: RE2JS): Finder {
  return (value, from) => {
    const matcher = regex.matcher(value);
    if (!matcher.find(from)) return null;
    return { start: matcher.start(), end: matcher.end(), group: (index) => matcher.group(index) ?? '' };
  };
}

function replaceAll(value: string, find: Finder, parts: readonly SubstitutionPart[]): string {
  let out = '';
  let copied = 0;
  let from = 0;
  let lastEnd = -1;
  while (from <= value.length) {
    const match = find(value, from);
    if (match === null) break;
    if (match.end > match.start || match.start !== lastEnd) {
      out += value.slice(copied, match.start);
      for (const part of parts) out += typeof part === 'string' ? part : match.group(part);
      copied = match.end;
      lastEnd = match.end;
    }
    from = match.end > match.start ? match.end : match.end + 1;
  }
  return out + value.slice(copied);
}
