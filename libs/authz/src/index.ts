export { AccessControl, compileRbac, deniedDetails } from './access-control.ts';
export { AccessMatcher, compileAccessMatcher } from './access-matcher.ts';
export type { Verdict } from './verdict.ts';
export type { Rule } from './logic.ts';
