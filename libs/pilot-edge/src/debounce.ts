import type { Clock } from '@meltemi/base';

export interface DebounceOptions {
  readonly clock: Clock;
  /** Quiet time after the last event before the task runs. */
  readonly quietMs: number;
  /** The longest an event waits, however busy it is. */
  readonly maxMs: number;
  readonly task: (reasons: readonly string[]) => void;
}

const maxReasons = 20;

/** Calms a burst of events down to one run that knows why: config changes come in flocks. Source: Istio's PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX. */
export class Debounce {
  readonly #options: DebounceOptions;
  #reasons = new Set<string>();
  #firstAt = 0;
  #cancel: (() => void) | undefined;

  constructor(options: DebounceOptions) {
    this.#options = options;
  }

  event(reason: string): void {
    const { clock, quietMs, maxMs } = this.#options;
    if (!this.#cancel) this.#firstAt = clock.monotonic();
    if (this.#reasons.size < maxReasons) this.#reasons.add(reason);
    this.#cancel?.();
    const left = Math.max(0, this.#firstAt + maxMs - clock.monotonic());
    this.#cancel = clock.after(Math.min(quietMs, left), () => this.#run());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #run(): void {
    const reasons = [...this.#reasons];
    this.#reasons = new Set();
    this.#cancel = undefined;
    this.#options.task(reasons);
  }
}
