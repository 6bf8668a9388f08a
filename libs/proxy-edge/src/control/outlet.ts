import type { Readable, Writable } from 'node:stream';

/**
 * Passes on what workers write to a standard stream of the process. Node's own way ends the process when the reader is gone or the disk is
 * full; here what cannot be written then is lost, and whoever was held back goes on.
 */
export class Outlet {
  readonly #to: Writable;
  readonly #held = new Set<Readable>();
  #failed = false;

  /** `onFailure` is told once. */
  constructor(to: Writable, onFailure: (error: Error) => void) {
    this.#to = to;
    to.on('drain', () => this.#resume());
    to.on('error', (error) => {
      if (!this.#failed) onFailure(error);
      this.#failed = true;
      this.#resume();
    });
  }

  take(from: Readable): void {
    from.on('data', (chunk: Buffer) => {
      if (this.#to.write(chunk)) return;
      this.#held.add(from);
      from.pause();
    });
    from.once('close', () => this.#held.delete(from));
  }

  #resume(): void {
    for (const from of this.#held) from.resume();
    this.#held.clear();
  }
}
