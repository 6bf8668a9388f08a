import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Counter } from '@meltemi/observe';
import type { WorkerLog } from './options.ts';

/** Of the process's file descriptors this part is for upstreams, the admin port, files: as nginx keeps an eighth of its connections. */
const reservedShare = 1 / 8;
const leastReserved = 32;
/** Trouble that goes on is told again so often. */
const sayAgainMs = 10_000;
/**
 * Turns connections away before the process is out of file descriptors, so that requests under way still get their upstreams. Told by the number of
 * the connection's own descriptor: the system gives out the lowest that is free.
 *
 * Deviation: nginx stops accepting for a while, and clients wait in the queue; the runtime cannot stop accepting, and closes what comes.
 */
export class DescriptorGuard {
  readonly #log: WorkerLog;
  readonly #system: Descriptors;
  #limit: number;
  #ceiling = Infinity;
  #turnedAway = 0;
  #saidMs = -Infinity;

  constructor(log: WorkerLog, system: Descriptors = descriptors) {
    this.#log = log;
    this.#system = system;
    this.#limit = system.limit();
    this.#ceiling = ceilingOf(this.#limit);
  }

  /** Whether a connection with this descriptor may stay. Counts one that may not. */
  admits(fd: number, refused: Counter): boolean {
    if (fd < this.#ceiling) return true;
    this.turnedAway(refused);
    return false;
  }

  /** A connection was turned away, here or by the system. */
  turnedAway(refused: Counter): void {
    refused.inc();
    this.#turnedAway++;
    const now = performance.now();
    if (now - this.#saidMs < sayAgainMs) return;
    this.#saidMs = now;
    this.#log.warn({ limit: this.#limit, turnedAway: this.#turnedAway }, 'file descriptors run out: new connections are turned away; raise the limit on open files');
  }

  /** Called now and then: says when it is over, and sees a limit that was changed meanwhile. */
  tick(): void {
    if (this.#turnedAway === 0) return;
    this.#limit = this.#system.limit();
    this.#ceiling = ceilingOf(this.#limit);
    if (this.#system.lowestFree() >= this.#ceiling) return;
    this.#log.info({ limit: this.#limit, turnedAway: this.#turnedAway }, 'file descriptors are free again');
    this.#turnedAway = 0;
    this.#saidMs = -Infinity;
  }
}

function ceilingOf(limit: number): number {
  if (limit === Infinity) return Infinity;
  return limit - Math.min(Math.max(leastReserved, Math.floor(limit * reservedShare)), Math.floor(limit / 2));
}

/** What the system says of this process. */
export interface Descriptors {
  /** RLIMIT_NOFILE; Infinity when it is not to be read. */
  limit(): number;
  /** The descriptor that the next file would get; Infinity when there is none. */
  lowestFree(): number;
}

export const descriptors: Descriptors = {
  limit: () => {
    try {
      const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
      return soft === undefined ? Infinity : Number(soft);
    } catch {
      return Infinity;
    }
  },
  lowestFree: () => {
    try {
      const fd = openSync('/dev/null', 'r');
      closeSync(fd);
      return fd;
    } catch {
      return Infinity;
    }
  },
};
