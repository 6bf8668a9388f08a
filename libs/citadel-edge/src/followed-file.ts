import { stat } from 'node:fs/promises';
import type { Clock } from '@meltemi/base';
import { readBounded } from './read-bounded.ts';

export interface FollowedFileOptions {
  readonly path: string;
  readonly maxBytes: number;
  /** What is in force: the text the program started with. */
  readonly text: string;
  /** Puts a new text in force as a whole, or rejects with the reason and changes nothing. */
  readonly take: (text: string) => Promise<void>;
  /** Told "" when all is well again. */
  readonly onProblem: (reason: string) => void;
  readonly onTaken: () => void;
  readonly clock: Clock;
  readonly everyMs?: number;
}

const defaultEveryMs = 1000;

/** A file of settings that may be replaced while the program runs: what it says acts within two seconds, and what cannot be used leaves the last good state. */
export class FollowedFile {
  readonly #options: FollowedFileOptions;
  #text: string;
  /** Of the last look: a file that is just being written is looked at again. */
  #seen = '';
  /** Of the last text that was judged. */
  #judged = '';
  #problem = '';
  #stopped = false;
  #cancel: () => void = () => undefined;

  constructor(options: FollowedFileOptions) {
    this.#options = options;
    this.#text = options.text;
  }

  start(): this {
    this.#schedule();
    return this;
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Why what is there now is not in force; "" when it is. */
  get problem(): string {
    return this.#problem;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.clock.after(this.#options.everyMs ?? defaultEveryMs, () => void this.#look().finally(() => this.#schedule()));
  }

  async #look(): Promise<void> {
    const { path, maxBytes, take, onTaken } = this.#options;
    try {
      const seen = await signatureOf(path).catch((cause: unknown) => {
        // When it is back it is judged again, also if it is the same.
        this.#judged = '';
        throw cause;
      });
      const settled = seen === this.#seen;
      this.#seen = seen;
      if (!settled || seen === this.#judged) return;
      const text = await readBounded(path, maxBytes);
      if (text === undefined) throw new Error(`${path} is missing`);
      if (text !== this.#text) {
        this.#judged = seen;
        await take(text);
        this.#text = text;
        onTaken();
      }
      this.#judged = seen;
      this.#say('');
    } catch (cause) {
      this.#say(cause instanceof Error ? cause.message : String(cause));
    }
  }

  #say(reason: string): void {
    if (reason === this.#problem || this.#stopped) return;
    this.#problem = reason;
    this.#options.onProblem(reason);
  }
}

/** Another one for another file, also where a name leads to another file than before. */
async function signatureOf(path: string): Promise<string> {
  const { ino, size, mtimeMs, ctimeMs } = await stat(path);
  return [ino, size, mtimeMs, ctimeMs].join(' ');
}
