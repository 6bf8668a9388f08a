import { createWriteStream, type WriteStream } from 'node:fs';
import type { LineSink } from '@meltemi/proxy';

/** Characters buffered per file while the disk is slow; beyond it lines are dropped and counted, traffic never waits. */
const maxBuffered = 1024 * 1024;
const flushMs = 1000;
const flushAt = 64 * 1024;

/** Access log files and standard streams, shared by path. Lines are gathered and written together, as Envoy does. */
export class FileSinks {
  readonly #sinks = new Map<string, FileSink>();
  readonly #onError: (path: string, error: Error) => void;

  constructor(onError: (path: string, error: Error) => void) {
    this.#onError = onError;
  }

  open(path: string): LineSink {
    let sink = this.#sinks.get(path);
    if (!sink) {
      sink = new FileSink(path, (error) => this.#onError(path, error));
      this.#sinks.set(path, sink);
    }
    return sink;
  }

  flush(): void {
    for (const sink of this.#sinks.values()) sink.flush();
  }
}

class FileSink implements LineSink {
  readonly #stream: WriteStream | NodeJS.WriteStream;
  #text = '';
  #timer: NodeJS.Timeout | undefined;
  #full = false;
  dropped = 0;

  constructor(path: string, onError: (error: Error) => void) {
    this.#stream = path === '/dev/stdout' ? process.stdout : path === '/dev/stderr' ? process.stderr : createWriteStream(path, { flags: 'a', mode: 0o640 });
    this.#stream.on('error', onError);
    this.#stream.on('drain', () => { this.#full = false; });
  }

  write(line: string): void {
    if (this.#text.length > maxBuffered) {
      this.dropped += 1;
      return;
    }
    this.#text += line;
    if (this.#text.length >= flushAt) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), flushMs).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#text === '' || this.#full) return;
    this.#full = !this.#stream.write(this.#text);
    this.#text = '';
  }
}
