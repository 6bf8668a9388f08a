import type { Duration } from '@meltemi/api/gen/google/protobuf/duration.ts';

/** Milliseconds of a Duration, negative ones as 0; `whenUnset` when there is none. Capped to what setTimeout's callers can add up (2^53). */
export function durationMs<T>(duration: Duration | undefined, whenUnset: T): number | T {
  if (!duration) return whenUnset;
  return Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, Number(duration.seconds) * 1000 + duration.nanos / 1e6));
}
