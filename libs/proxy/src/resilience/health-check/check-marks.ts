import type { HostState } from '../../balance/index.ts';

/**
 * What active health checks say of a host, as one number that workers share: the bits below. 0 says nothing yet.
 */
const Mark = { known: 1, failed: 2, degraded: 4, pending: 8, asked: 16, checked: 32 } as const;

/** The flags of a host's state; `checked`: it has been checked at least once. */
export function marksOf({ failedHealthCheck, degradedHealthCheck, excluded }: HostState, checked: boolean): number {
  return Mark.known | (failedHealthCheck ? Mark.failed : 0) | (degradedHealthCheck ? Mark.degraded : 0) | (excluded === 'pending' ? Mark.pending : excluded === 'asked' ? Mark.asked : 0) | (checked ? Mark.checked : 0);
}

export function isKnown(marks: number): boolean {
  return (marks & Mark.known) !== 0;
}

export function isChecked(marks: number): boolean {
  return (marks & Mark.checked) !== 0;
}

/** Puts marks in force; true when a flag changed. */
export function applyMarks(marks: number, state: HostState, nowMs: number): boolean {
  const failed = (marks & Mark.failed) !== 0;
  const degraded = (marks & Mark.degraded) !== 0;
  const excluded = (marks & Mark.pending) !== 0 ? 'pending' : (marks & Mark.asked) !== 0 ? 'asked' : 'no';
  if (failed === state.failedHealthCheck && degraded === state.degradedHealthCheck && excluded === state.excluded) return false;
  if (state.failedHealthCheck && !failed) state.readySinceMs = nowMs;
  state.failedHealthCheck = failed;
  state.degradedHealthCheck = degraded;
  state.excluded = excluded;
  return true;
}
