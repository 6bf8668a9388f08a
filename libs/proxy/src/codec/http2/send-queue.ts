import type { FrameWriter } from './frame-writer.ts';
import type { Http2Stream } from './stream-base.ts';

/** Streams of one connection that have something to send and wait for window or room, in the order they came. @hot */
export class SendQueue<S extends Http2Stream> {
  readonly #writer: FrameWriter;
  #waiting: S[] = [];

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  add(stream: S): void {
    if (stream.queued) return;
    stream.queued = true;
    this.#waiting.push(stream);
  }

  remove(stream: S): void {
    const at = this.#waiting.indexOf(stream);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  clear(): void {
    this.#waiting = [];
  }

  /** Each sends what windows and room allow; who has more left waits on. */
  pump(): void {
    const now = this.#waiting;
    if (now.length === 0) return;
    this.#waiting = [];
    for (let i = 0; i < now.length; i++) {
      const stream = now[i];
      if (stream === undefined || stream.closed) continue;
      if (this.#writer.hasRoom) this.#pumpOne(stream);
      else this.#waiting.push(stream);
    }
  }

  /** Out of its turn: the stream's own window grew. */
  pumpStream(stream: S): void {
    this.remove(stream);
    this.#pumpOne(stream);
  }

  #pumpOne(stream: S): void {
    stream.queued = false;
    if (stream.pump()) stream.writable();
    else if (!stream.closed) this.add(stream);
  }
}
