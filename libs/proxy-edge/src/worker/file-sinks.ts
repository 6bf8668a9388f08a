import { createWriteStream, type WriteStream } from 'node:fs';
import type { LineSink } from '@meltemi/proxy';

/** Characters buffered per file while the disk is slow; beyond it lines are dropped and counted, traffic never waits. */
const maxBuffered = 1024 * 1024;
const flushAt = 64 * 1024;

/** Access log files and standard streams, shared by path. Lines are gathered and written together, as Envoy does. */
export class FileSinks {
  readonly #sinks = new Map<string, FileSink>();
  readonly #onError: (path: string, error: Error) => void;
  readonly #flushMs: number;

  /** `flushMs`: how long a line may wait for others before it is written. */
  constructor(flushMs: number, onError: (path: string, error: Error) => void) {
    this.#flushMs = flushMs;
    this.#onError = onError;
  }

  open(path: string): LineSink {
    let sink = this.#sinks.get(path);
    if (!sink) {
      sink = new FileSink(path, this.#flushMs, (error) => this.#onError(path, error));
      this.#sinks.set(path, sink);
    }
    return sink;
  }

  flush(): void {
    for (const sink of this.#sinks.values()) sink.flush();
  }

  /** Flushes, and resolves when the operating system has every line: what the end of the process waits for. */
  async written(): Promise<void> {
    await Promise.all([...this.#sinks.values()].map((sink) => sink.written()));
  }
}

class FileSink implements LineSink {
  readonly #path: string;
  readonly #onError: (error: Error) => void;
  /** Null after a failure: a file is opened anew with the next lines, so that logging comes back with the disk. */
  #stream: WriteStream | NodeJS.WriteStream | null;
  #failing = false;
  #text = '';
  #timer: NodeJS.Timeout | undefined;
  #full = false;
  dropped = 0;
  readonly #flushMs: number;

  constructor(path: string, flushMs: number, onError: (error: Error) => void) {
    this.#flushMs = flushMs;
    this.#path = path;
    this.#onError = onError;
    this.#stream = this.#open();
  }

  write(line: string): void {
    if (this.#text.length > maxBuffered) {
      this.dropped += 1;
      return;
    }
    this.#text += line;
    if (this.#text.length >= flushAt) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#flushMs).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#text === '' || this.#full) return;
    this.#stream ??= this.#open();
    this.#full = !this.#stream.write(this.#text, (error) => { if (!error) this.#failing = false; });
    this.#text = '';
  }

  /** An empty write is called back after those before it; lines that a full buffer held back go in the next round. */
  async written(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      this.flush();
      const stream = this.#stream;
      if (stream === null) return;
      await new Promise<void>((resolve) => { stream.write('', () => resolve()); });
      if (this.#text === '') return;
      this.#full = false;
    }
  }

  #open(): WriteStream | NodeJS.WriteStream {
    const path = this.#path;
    const stream = path === '/dev/stdout' ? process.stdout : path === '/dev/stderr' ? process.stderr : createWriteStream(path, { flags: 'a', mode: 0o640 });
    stream.on('error', (error) => {
      // Once per failure, not once per second of it.
      if (!this.#failing) this.#onError(error);
      this.#failing = true;
      this.#full = false;
      if (stream !== process.stdout && stream !== process.stderr) this.#stream = null;
    });
    stream.on('drain', () => {
      this.#full = false;
      this.flush();
    });
    return stream;
  }
}
