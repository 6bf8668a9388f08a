/** What /healthz/ready answers from: open conditions, and whether the program drains. */
export class Readiness {
  readonly #waiting = new Set<{ readonly what: string; readonly why: () => string | undefined }>();
  readonly #notes = new Set<() => string | undefined>();
  #draining = false;

  /** Adds a condition; call the result once it holds. `why` says what keeps it from holding, when that is known. */
  waitFor(what: string, why: () => string | undefined = () => undefined): () => void {
    const condition = { what, why };
    this.#waiting.add(condition);
    return () => {
      this.#waiting.delete(condition);
    };
  }

  /** Something is wrong that does not keep the program from its work; `why` says what, undefined when nothing is. Returns how to take it back. */
  note(why: () => string | undefined): () => void {
    this.#notes.add(why);
    return () => {
      this.#notes.delete(why);
    };
  }

  startDraining(): void {
    this.#draining = true;
  }

  get ready(): boolean {
    return !this.#draining && this.#waiting.size === 0;
  }

  /** "ready", "draining", or "waiting for: a (why), b"; then a line for each note. */
  describe(): string {
    const state = this.#draining ? 'draining' : this.#waiting.size === 0 ? 'ready' : `waiting for: ${[...this.#waiting].map(text).join(', ')}`;
    return [state, ...[...this.#notes].flatMap((why) => why() ?? []).map((note) => `but: ${note}`)].join('\n');
  }
}

function text({ what, why }: { readonly what: string; readonly why: () => string | undefined }): string {
  const reason = why();
  return reason === undefined ? what : `${what} (${reason})`;
}
