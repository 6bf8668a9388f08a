import type { Problem } from './problem.ts';

/** A status condition as the Gateway API has it; the time it changed is the reader's to add. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** What a condition says when all is well. */
export interface Wanted {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  /** Default True: Conflicted is good when False. */
  readonly good?: 'True' | 'False';
}

/** `wanted` as it is, or turned round by a problem. */
export function condition({ type, reason, message, good = 'True' }: Wanted, problem?: Problem): Condition {
  if (!problem) return { type, status: good, reason, message };
  return { type, status: good === 'True' ? 'False' : 'True', ...problem };
}

/** In order of type, as kubectl shows them. */
export function sortedConditions(conditions: readonly Condition[]): Condition[] {
  return conditions.toSorted((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0));
}
