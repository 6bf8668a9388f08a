/** What /healthz/ready answers from: open conditions, and whether the program drains. */
export class Readiness {
  readonly #waiting = new Set<{ readonly what: string; readonly why: () => string | undefined }>();
  #draining = false;

  /** Adds a condition; call the result once it holds. `why` says what keeps it from holding, when that is known. */
  waitFor(what: string, why: () => string | undefined = () => undefined): () => void {
    const condition = { what, why };
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

  /** "ready", "draining", or "waiting for: a (why), b". */
  describe(): string {
    if (this.#draining) return 'draining';
    return this.#waiting.size === 0 ? 'ready' : `waiting for: ${[...this.#waiting].map(text).join(', ')}`;
  }
}

function text({ what, why }: { readonly what: string; readonly why: () => string | undefined }): string {
  const reason = why();
  return reason === undefined ? what : `${what} (${reason})`;
}
