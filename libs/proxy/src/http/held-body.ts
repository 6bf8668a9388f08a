import type { HeaderMap } from '@meltemi/http';

/** Parts smaller than this are joined: a body of one-byte chunks would cost a hundred times its size. */
const smallPart = 4 * 1024;
const joinedPart = 16 * 1024;

/** Body parts waiting for a filter, copied: their buffers were on loan. */
export class HeldBody {
  readonly parts: Buffer[] = [];
  bytes = 0;
  ended = false;
  trailers: HeaderMap | null = null;
  /** Backs the last part and has room behind it. */
  #tail: Buffer | null = null;

  /** Returns the bytes held. */
  add(buffer: Buffer, start: number, end: number): number {
    const size = end - start;
    this.bytes += size;
    const last = this.parts[this.parts.length - 1];
    if (last === undefined || size >= smallPart || last.length >= joinedPart) {
      this.parts.push(Buffer.from(buffer.subarray(start, end)));
      this.#tail = null;
    } else this.#join(last, buffer, start, end);
    return this.bytes;
  }

  end(trailers: HeaderMap | null): void {
    this.ended = true;
    this.trailers = trailers;
  }

  #join(last: Buffer, buffer: Buffer, start: number, end: number): void {
    const length = last.length + end - start;
    let tail = this.#tail;
    if (tail === null || tail.length < length) {
      tail = Buffer.allocUnsafeSlow(Math.max(1024, length * 2));
      last.copy(tail);
      this.#tail = tail;
    }
    buffer.copy(tail, last.length, start, end);
    this.parts[this.parts.length - 1] = tail.subarray(0, length);
  }
}
