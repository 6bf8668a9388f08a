export { AccessControl, compileRbac, deniedDetails } from './access-control.ts';
export type { Rule } from './logic.ts';
