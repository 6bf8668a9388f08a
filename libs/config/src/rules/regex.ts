import { RE2JS } from 're2js';

/** Longer patterns make programs Envoy's RE2 limit refuses; Istio draws the line here too. */
const maxPatternLength = 1024;

/** True when the pattern compiles as RE2 (no look-around, no back-references). */
export function isRe2(pattern: string): boolean {
  return re2Problem(pattern) === undefined;
}

/** Why a pattern cannot be used, or undefined. */
export function regexReason(pattern: string): string | undefined {
  if (pattern === '') return 'a regex must not be empty';
  if (pattern.length > maxPatternLength) return `a regex must have at most ${maxPatternLength} characters, has ${pattern.length}`;
  const problem = re2Problem(pattern);
  return problem === undefined ? undefined : `${JSON.stringify(pattern)} is not an RE2 regex: ${problem}`;
}

function re2Problem(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
