import type { Clock } from '@meltemi/base';
import { enterTurn, leaveTurn, turnTime } from '../transport/turn.ts';

/** The worker's clock: time stands still within a turn; timers run as turns of their own. */
export const workerClock: Clock = {
  now: wallTime,
  monotonic: turnTime,
  after(delayMs, task) {
    const timer = setTimeout(() => {
      enterTurn();
      try {
        task();
      } finally {
        leaveTurn();
      }
    }, Math.min(delayMs, 0x7fffffff));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Wall time at the monotonic clock's zero, and when that was looked up. */
let zeroMs = 0;
let lookedUpMs = Number.NEGATIVE_INFINITY;

/** Milliseconds since the epoch by the monotonic clock, which a turn has read already; a clock that was set is followed within a second. */
function wallTime(): number {
  const now = turnTime();
  if (now - lookedUpMs > 1000) {
    lookedUpMs = now;
    zeroMs = Date.now() - performance.now();
  }
  return Math.floor(zeroMs + now);
}

let dateText = '';
let dateSecond = -1;

/** The Date header's value of now, made once a second. */
export function httpDate(): string {
  const now = wallTime();
  const second = Math.floor(now / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(now).toUTCString();
  }
  return dateText;
}
