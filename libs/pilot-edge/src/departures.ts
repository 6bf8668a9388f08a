import type { Clock } from '@meltemi/base';

/** Proxies that may carry traffic by older config though they are not connected. */
export interface Lately {
  /** Left within the grace. */
  readonly names: ReadonlySet<string>;
  /** We started within the grace: anybody may be on the way back. */
  readonly started: boolean;
  /** When, on the clock's monotonic time, the first of these is given up. */
  readonly untilMs: number | undefined;
}

/** Who left, for as long as a grace expects them back; a pilot that has just started expects anybody. */
export class Departures {
  readonly #clock: Clock;
  readonly #graceMs: number;
  /** Name → when it is given up. */
  readonly #left = new Map<string, number>();
  #startGraceUntil = 0;

  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  started(): void {
    this.#startGraceUntil = this.#clock.monotonic() + this.#graceMs;
  }

  came(name: string): void {
    this.#left.delete(name);
  }

  left(name: string): void {
    this.lately();
    this.#left.set(name, this.#clock.monotonic() + this.#graceMs);
  }

  /** Who may be on the way back; forgets who is not any more. */
  lately(): Lately {
    const now = this.#clock.monotonic();
    for (const [name, until] of this.#left) if (until <= now) this.#left.delete(name);
    const started = now < this.#startGraceUntil;
    const ends = [...this.#left.values(), ...(started ? [this.#startGraceUntil] : [])];
    return { names: new Set(this.#left.keys()), started, untilMs: ends.length === 0 ? undefined : Math.min(...ends) };
  }
}
