/** Which store versions have taken effect. Versions of one store are numbers that grow, and are told in order. */
export class ProcessedVersions {
  #newest = '';
  readonly #waiting = new Map<string, Set<() => void>>();

  get newest(): string {
    return this.#newest;
  }

  mark(version: string): void {
    this.#newest = version;
    for (const [waited, wakes] of this.#waiting) {
      if (!this.#reached(waited)) continue;
      this.#waiting.delete(waited);
      for (const wake of wakes) wake();
    }
  }

  /** After a relist everything written before it has taken effect, also where an older store was put in its place. */
  markAll(version: string): void {
    for (const [waited, wakes] of this.#waiting) {
      this.#waiting.delete(waited);
      for (const wake of wakes) wake();
    }
    this.mark(version);
  }

  wait(version: string, signal: AbortSignal): Promise<void> {
    if (version === '' || this.#reached(version)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const set = this.#waiting.get(version) ?? new Set();
      this.#waiting.set(version, set);
      const wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const abort = () => {
        set.delete(wake);
        reject(new Error(`store version ${version} has not arrived here`));
      };
      set.add(wake);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  #reached(version: string): boolean {
    return version === this.#newest || Number(version) <= Number(this.#newest || '-1');
  }
}
