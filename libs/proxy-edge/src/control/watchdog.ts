import type { Counter, FlatStats } from '@meltemi/observe';

/** Envoy's Watchdog settings, in milliseconds. */
export interface WatchdogLimits {
  /** A thread that was silent for so long missed a beat. Default 200. */
  readonly missMs: number;
  /** Default 1000. */
  readonly megaMissMs: number;
  /** A worker that was silent for so long is ended and replaced; 0 never. Default 30,000. Deviation: Envoy never does by default, as its whole process would have to go. */
  readonly killMs: number;
}

export const defaultWatchdog: WatchdogLimits = { missMs: 200, megaMissMs: 1000, killMs: 30_000 };

/** What the watchdog says of a silent thread. */
export interface WatchdogEvents {
  /** Once per silence. */
  onMegaMiss(silentMs: number): void;
  onKill(silentMs: number): void;
}

/** How often a thread beats, and is looked at. */
export function beatIntervalMs({ missMs }: WatchdogLimits): number {
  return Math.max(1, Math.floor(missMs / 2));
}

/** Notices when a worker's thread does nothing any more. The thread counts up a shared number; nothing is sent. */
export class Watchdog {
  readonly #limits: WatchdogLimits;
  readonly #beats: Int32Array<SharedArrayBuffer>;
  readonly #events: WatchdogEvents;
  readonly #misses: readonly Counter[];
  readonly #megaMisses: readonly Counter[];
  readonly #timer: NodeJS.Timeout;
  #seen = -1;
  #silentMs = 0;
  #lastLookMs = performance.now();
  #level: 'beating' | 'missed' | 'mega' | 'killed' = 'beating';

  constructor(worker: number, beats: Int32Array<SharedArrayBuffer>, options: { readonly limits: WatchdogLimits; readonly stats: FlatStats; readonly events: WatchdogEvents }) {
    this.#limits = options.limits;
    this.#beats = beats;
    this.#events = options.events;
    const both = (name: string) => ['workers', `server.worker_${worker}`].map((prefix) => options.stats.counter(`${prefix}.${name}`));
    this.#misses = both('watchdog_miss');
    this.#megaMisses = both('watchdog_mega_miss');
    const everyMs = beatIntervalMs(this.#limits);
    this.#timer = setInterval(() => this.#look(everyMs), everyMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Time in which this thread could not look either (the machine slept) says nothing of the other. */
  #look(everyMs: number): void {
    const nowMs = performance.now();
    const passedMs = Math.min(nowMs - this.#lastLookMs, 2 * everyMs);
    this.#lastLookMs = nowMs;
    const beats = Atomics.load(this.#beats, 0);
    if (beats !== this.#seen) {
      this.#seen = beats;
      this.#silentMs = 0;
      this.#level = 'beating';
      return;
    }
    this.#silentMs += passedMs;
    this.#judge(this.#silentMs);
  }

  #judge(silentMs: number): void {
    const { missMs, megaMissMs, killMs } = this.#limits;
    if (this.#level === 'beating' && silentMs > missMs) {
      this.#level = 'missed';
      for (const counter of this.#misses) counter.inc();
    }
    if (this.#level === 'missed' && silentMs > megaMissMs) {
      this.#level = 'mega';
      for (const counter of this.#megaMisses) counter.inc();
      this.#events.onMegaMiss(silentMs);
    }
    if (this.#level === 'mega' && killMs > 0 && silentMs > killMs) {
      this.#level = 'killed';
      this.stop();
      this.#events.onKill(silentMs);
    }
  }
}

/** The worker's half: counts while its loop turns. */
export function beat(beats: Int32Array<SharedArrayBuffer>, everyMs: number): void {
  setInterval(() => Atomics.add(beats, 0, 1), everyMs).unref();
}
