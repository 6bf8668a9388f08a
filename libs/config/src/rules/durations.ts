import type { Findings } from './findings.ts';

/** Istio's rule for nearly every duration: at least 1 ms, whole milliseconds. Absent is fine. */
export function durationReason(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  if (ms < 1) return `must be at least 1ms, found ${ms}ms`;
  return Number.isInteger(Math.round(ms * 1e6) / 1e6) ? undefined : `must be in whole milliseconds, found ${ms}ms`;
}

/** Checks several durations of one message. */
export function checkDurations<T>(message: T, names: readonly (keyof T & string)[], { path, findings }: { path: string; findings: Findings }): void {
  for (const name of names) {
    const value = message[name];
    if (typeof value === 'number') findings.check(`${path}.${name}`, durationReason(value));
  }
}
