import { createWriteStream, type WriteStream } from 'node:fs';
import { fromWire, type TextSink } from '@meltemi/http';
import type { LineSink } from '@meltemi/proxy';
import { shortText, writeShort } from '../short-text.ts';

/** Bytes gathered before they are written together. */
const chunkBytes = 64 * 1024;
/** Chunks that wait while the disk is slow; beyond them lines are dropped and counted, traffic never waits. */
const maxHeld = 16;

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

  /** Files that were moved away are written under their name again. */
  reopen(): void {
    for (const sink of this.#sinks.values()) sink.reopen();
  }

  /** Flushes, and resolves when the operating system has every line: what the end of the process waits for. */
  async written(): Promise<void> {
    await Promise.all([...this.#sinks.values()].map((sink) => sink.written()));
  }
}

/** As text; of headers what terminals and readers of lines take for more than a letter is shown: 0x9B begins an escape sequence, 0x85 and U+2028 a line. */
function shown(piece: string): string {
  return fromWire(piece).replace(/[\x7f-\x9f\u2028\u2029]/g, (control) => (control > '\xff' ? '\\u' : '\\x') + control.charCodeAt(0).toString(16));
}

/** Lines become bytes piece by piece: as text, 64 KB of them would be thousands of strings that every garbage collection copies. */
class FileSink implements LineSink, TextSink {
  readonly #path: string;
  readonly #onError: (error: Error) => void;
  /** Null after a failure: a file is opened anew with the next lines, so that logging comes back with the disk. */
  #stream: WriteStream | NodeJS.WriteStream | null;
  #failing = false;
  #chunk: Buffer | null = null;
  /** Of #chunk, from where on nothing was handed over yet, and how far it is full. */
  #start = 0;
  #used = 0;
  readonly #held: Buffer[] = [];
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

  begin(): TextSink | null {
    if (this.#held.length < maxHeld) return this;
    this.dropped += 1;
    return null;
  }

  /** A piece of the line that began, as UTF-8. */
  text(piece: string): void {
    const { length } = piece;
    // A UTF-16 unit takes at most three bytes, one that is escaped six.
    const chunk = this.#room(length * 6);
    const start = this.#used;
    this.#used += length <= shortText && writeShort(chunk, start, piece, length) < 128 ? length : chunk.write(shown(piece), start);
  }

  end(): void {
    if (this.#held.length > 0) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#flushMs).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#full) return;
    this.#holdChunk();
    this.#send(false);
  }

  /** What came so far ends in the file as it is, what follows goes into a new one. */
  reopen(): void {
    const stream = this.#stream;
    if (stream === process.stdout || stream === process.stderr) return;
    this.flush();
    this.#holdChunk();
    this.#send(true);
    this.#stream?.end();
    this.#full = false;
    this.#stream = this.#open();
  }

  /** Flushes, and resolves when the operating system has every line: an empty write is called back after those before it. */
  async written(): Promise<void> {
    this.flush();
    this.#holdChunk();
    this.#send(true);
    const stream = this.#stream;
    if (stream !== null) await new Promise<void>((resolve) => { stream.write('', () => resolve()); });
  }

  #room(bytes: number): Buffer {
    if (this.#chunk !== null && bytes <= this.#chunk.length - this.#used) return this.#chunk;
    this.#holdChunk();
    this.#start = this.#used = 0;
    return (this.#chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes)));
  }

  /** Puts all that is new in line to be written; the rest of the chunk stays in use. */
  #holdChunk(): void {
    if (this.#chunk === null || this.#used === this.#start) return;
    this.#held.push(this.#chunk.subarray(this.#start, this.#used));
    this.#start = this.#used;
  }

  #send(all: boolean): void {
    for (let chunk = this.#next(all); chunk !== undefined; chunk = this.#next(all)) {
      this.#stream ??= this.#open();
      this.#full = !this.#stream.write(chunk, (error) => { if (!error) this.#failing = false; });
    }
  }

  #next(all: boolean): Buffer | undefined {
    return all || !this.#full ? this.#held.shift() : undefined;
  }

  #open(): WriteStream | NodeJS.WriteStream {
    const path = this.#path;
    const stream = path === '/dev/stdout' ? process.stdout : path === '/dev/stderr' ? process.stderr : createWriteStream(path, { flags: 'a', mode: 0o640 });
    stream.on('error', (error) => {
      // Once per failure, not once per second of it.
      if (!this.#failing) this.#onError(error);
      this.#failing = true;
      if (stream !== this.#stream) return;
      this.#full = false;
      if (stream !== process.stdout && stream !== process.stderr) this.#stream = null;
    });
    stream.on('drain', () => {
      if (stream !== this.#stream) return;
      this.#full = false;
      this.flush();
    });
    return stream;
  }
}
