export { ok, err, fail, formatFieldErrors, type Result, type FieldError } from './result.ts';
export { systemClock, ManualClock, type Clock } from './clock.ts';
export { mathRandom, seededRandom, type Random } from './random.ts';
export { parseDurationMs, formatDuration } from './duration.ts';
export { Lifecycle, withDeadline, waitFor, type StopReport } from './lifecycle.ts';
export { hash64, hashModulo, type Hash64 } from './hash64.ts';
export { xxHash64 } from './xx-hash.ts';
export { murmurHash2 } from './murmur-hash.ts';
export { closest } from './closest.ts';
