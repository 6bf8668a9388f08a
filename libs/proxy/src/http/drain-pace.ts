/** As --drain-strategy: how a drain asks clients to leave. */
export type DrainStrategy = 'gradual' | 'immediate';

/**
 * One drain of a listener, while its connections may stay. A response asks its client to leave with the probability `share`: always
 * (immediate), or more and more often until the drain time is over (gradual), so that not all come back to the next proxy at once.
 */
export class DrainPace {
  readonly strategy: DrainStrategy;
  readonly drainTimeMs: number;
  readonly #startedMs: number;

  /** `startedMs`: monotonic. */
  constructor(strategy: DrainStrategy, startedMs: number, drainTimeMs: number) {
    this.strategy = strategy;
    this.drainTimeMs = drainTimeMs;
    this.#startedMs = startedMs;
  }

  /** Part of the responses that ask to leave now, 0 to 1. @hot */
  share(nowMs: number): number {
    if (this.strategy === 'immediate') return 1;
    const elapsed = nowMs - this.#startedMs;
    return elapsed >= this.drainTimeMs ? 1 : Math.max(0, elapsed / this.drainTimeMs);
  }

  /** Time left until the drain is over. */
  leftMs(nowMs: number): number {
    return Math.max(0, this.#startedMs + this.drainTimeMs - nowMs);
  }
}
