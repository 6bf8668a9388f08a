import type { Clock } from '@meltemi/base';

export interface BatchOptions<T> {
  /** Items waiting or on their way; beyond it none are taken. */
  readonly maxHeld: number;
  /** Items that go together. */
  readonly maxItems: number;
  /** Bytes that go together, by `sizeOf`. Default: no limit. */
  readonly maxBytes?: number;
  readonly sizeOf?: (item: T) => number;
  /** Longest wait of an item for others. */
  readonly flushMs: number;
  readonly clock: Clock;
  /** Sends a batch; `over` once it is known what came of it. */
  readonly send: (batch: readonly T[], over: () => void) => void;
  /** A batch goes for the time it waited. */
  readonly onTimer?: () => void;
}

/** Gathers what is reported, and hands it over in batches within a bound: nobody who adds ever waits. */
export class Batches<T> {
  readonly #options: BatchOptions<T>;
  #waiting: T[] = [];
  #waitingBytes = 0;
  #underWay = 0;
  #cancelTimer: (() => void) | null = null;
  #idle: (() => void)[] = [];

  constructor(options: BatchOptions<T>) {
    this.#options = options;
  }

  /** There is no room for another item. */
  get full(): boolean {
    return this.#waiting.length + this.#underWay >= this.#options.maxHeld;
  }

  /** Not while it is full. */
  add(item: T): void {
    const { maxItems, maxBytes = Infinity, sizeOf, flushMs, clock } = this.#options;
    this.#waiting.push(item);
    if (sizeOf !== undefined) this.#waitingBytes += sizeOf(item);
    if (this.#waiting.length >= maxItems || this.#waitingBytes >= maxBytes) return this.flush();
    this.#cancelTimer ??= clock.after(flushMs, () => {
      this.#cancelTimer = null;
      this.#options.onTimer?.();
      this.flush();
    });
    return undefined;
  }

  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#underWay += batch.length;
    this.#options.send(batch, () => {
      this.#underWay -= batch.length;
      if (this.#underWay > 0) return;
      const idle = this.#idle;
      this.#idle = [];
      for (const told of idle) told();
    });
  }

  /** Sends what waits, and resolves when everything is over. */
  finished(): Promise<void> {
    this.flush();
    return this.#underWay === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }
}
