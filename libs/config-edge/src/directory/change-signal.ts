import { statSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** Says when something below a directory, or a file, may have changed. A hint only: what the system does not report, a slow rescan finds. */
export class ChangeSignal {
  readonly #root: string;
  #watcher: FSWatcher | undefined;
  #changed = false;
  #wake = (): void => undefined;

  constructor(root: string) {
    this.#root = root;
  }

  /** Resolves at a change since the last call, after `maxWaitMs`, or when `signal` aborts. (Re)starts watching when it is not. */
  async next(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    this.#watch();
    if (!this.#changed && !signal.aborted) await this.#wait(maxWaitMs, signal);
    this.#changed = false;
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #watch(): void {
    if (this.#watcher !== undefined) return;
    try {
      // A file is replaced, not written, by most editors: its directory hears of both.
      const single = statSync(this.#root).isFile();
      const watcher = watch(single ? dirname(this.#root) : this.#root, { recursive: !single }, () => {
        this.#changed = true;
        this.#wake();
      });
      this.#watcher = watcher;
      // The directory went away, or there are no watches left: rescans go on, and each tries to watch again.
      watcher.on('error', () => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = undefined;
      });
    } catch {
      this.#watcher = undefined;
    }
  }

  #wait(maxWaitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = () => undefined;
        resolve();
      };
      const timer = setTimeout(done, maxWaitMs);
      signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
