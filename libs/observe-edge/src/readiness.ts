/** What /healthz/ready answers from: open conditions, and whether the program drains. */
export class Readiness {
  readonly #waiting = new Set<{ readonly what: string }>();
  #draining = false;

  /** Adds a condition; call the result once it holds. */
  waitFor(what: string): () => void {
    const condition = { what };
    this.#waiting.add(condition);
    return () => {
      this.#waiting.delete(condition);
    };
  }

  startDraining(): void {
    this.#draining = true;
  }

  get ready(): boolean {
    return !this.#draining && this.#waiting.size === 0;
  }

  /** "ready", "draining", or "waiting for: a, b". */
  describe(): string {
    if (this.#draining) return 'draining';
    return this.#waiting.size === 0 ? 'ready' : `waiting for: ${[...this.#waiting].map(({ what }) => what).join(', ')}`;
  }
}
