export { ok, err, fail, formatFieldErrors, type Result, type FieldError } from './result.ts';
export { systemClock, ManualClock, type Clock } from './clock.ts';
export { mathRandom, seededRandom, type Random } from './random.ts';
export { parseDurationMs, formatDuration } from './duration.ts';
export { Lifecycle, withDeadline, waitFor, type StopReport } from './lifecycle.ts';
