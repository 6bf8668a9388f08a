import type { Clock } from '@meltemi/base';
import { enterTurn, leaveTurn, turnTime } from '../transport/turn.ts';

/** The worker's clock: monotonic time stands still within a turn; timers run as turns of their own. */
export const workerClock: Clock = {
  now: () => Date.now(),
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

let dateText = '';
let dateSecond = -1;

/** The Date header's value of now, made once a second. */
export function httpDate(): string {
  const now = Date.now();
  const second = Math.floor(now / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(now).toUTCString();
  }
  return dateText;
}
