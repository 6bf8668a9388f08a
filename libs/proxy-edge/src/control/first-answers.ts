/** Waits for the first answer to each thing asked for, each with its own deadline. */
export class FirstAnswers {
  readonly #pending = new Map<string, () => void>();
  readonly #onTimeout: (key: string) => void;
  readonly #onDone: () => void;

  /** `onDone` is called after every answer or timeout: something may be complete now. */
  constructor(onTimeout: (key: string) => void, onDone: () => void) {
    this.#onTimeout = onTimeout;
    this.#onDone = onDone;
  }

  /** `timeoutMs` 0 = for ever. */
  expect(key: string, timeoutMs: number): void {
    if (this.#pending.has(key)) return;
    const timer = timeoutMs > 0 ? setTimeout(() => {
      this.#onTimeout(key);
      this.answered(key);
    }, timeoutMs).unref() : undefined;
    this.#pending.set(key, () => clearTimeout(timer));
  }

  answered(key: string): void {
    const cancel = this.#pending.get(key);
    if (!cancel) return;
    cancel();
    this.#pending.delete(key);
    this.#onDone();
  }

  has(key: string): boolean {
    return this.#pending.has(key);
  }

  keys(): Iterable<string> {
    return this.#pending.keys();
  }

  stop(): void {
    for (const cancel of this.#pending.values()) cancel();
    this.#pending.clear();
  }
}
