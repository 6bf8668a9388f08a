import type { Clock } from '@meltemi/base';

/** Parts of the interval that requests are forgotten in. Envoy's number. */
const slots = 10;

/** Requests that ended within an interval: what a retry budget counts besides those that are active. No timer runs while there are none. */
export class RecentRequests {
  readonly #clock: Clock;
  readonly #onChange: (by: number) => void;
  readonly #ended = new Int32Array(slots);
  #at = 0;
  #count = 0;
  #cancel: (() => void) | null = null;

  /** Told of every change of the number. */
  constructor(clock: Clock, onChange: (by: number) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get count(): number {
    return this.#count;
  }

  /** So many requests have ended now; they are forgotten an interval later. */
  end(many: number, intervalMs: number): void {
    this.#ended[this.#at] = (this.#ended[this.#at] ?? 0) + many;
    this.#add(many);
    this.#cancel ??= this.#clock.after(intervalMs / slots, () => this.#turn(intervalMs));
  }

  /** Forgets all. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#ended.fill(0);
    this.#add(-this.#count);
  }

  #turn(intervalMs: number): void {
    this.#at = (this.#at + 1) % slots;
    const forgotten = this.#ended[this.#at] ?? 0;
    this.#ended[this.#at] = 0;
    this.#add(-forgotten);
    this.#cancel = this.#count === 0 ? null : this.#clock.after(intervalMs / slots, () => this.#turn(intervalMs));
  }

  #add(by: number): void {
    if (by === 0) return;
    this.#count += by;
    this.#onChange(by);
  }
}
