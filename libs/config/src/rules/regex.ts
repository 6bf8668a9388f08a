import { compileRegex } from '@meltemi/match';

/** Longer patterns make programs Envoy's RE2 limit refuses; Istio draws the line here too. */
const maxPatternLength = 1024;

/** True when the pattern compiles as RE2 (no look-around, no back-references), and is not too costly to match. */
export function isRe2(pattern: string): boolean {
  return compileRegex(pattern).ok;
}

/** Why a pattern cannot be used, or undefined. */
export function regexReason(pattern: string): string | undefined {
  if (pattern === '') return 'a regex must not be empty';
  if (pattern.length > maxPatternLength) return `a regex must have at most ${maxPatternLength} characters, has ${pattern.length}`;
  const made = compileRegex(pattern);
  return made.ok ? undefined : `${JSON.stringify(pattern)}: ${made.error}`;
}
