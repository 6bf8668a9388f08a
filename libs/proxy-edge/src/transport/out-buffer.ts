import { latin1Write } from '@meltemi/proxy';

/** A whole read with a head in front of it leaves in one write. */
export const outBufferBytes = 68 * 1024;

/** Views up to this length are kept: small answers have few different lengths, and a new view costs more than the copy. */
const keptViews = 4096;

/** Bytes on their way out of one connection. Taken for a turn, given back when the system has them. @hot */
export class OutBuffer {
  used = 0;
  readonly #bytes = Buffer.allocUnsafeSlow(outBufferBytes);
  readonly #views: (Buffer | undefined)[] = [];

  get room(): number {
    return outBufferBytes - this.used;
  }

  /** Latin1, no longer than there is room. */
  text(text: string): void {
    this.used += latin1Write(this.#bytes, text, this.used);
  }

  /** No longer than there is room. */
  add(buffer: Buffer, start: number, end: number): void {
    buffer.copy(this.#bytes, this.used, start, end);
    this.used += end - start;
  }

  /** What was added so far. */
  view(): Buffer {
    const { used } = this;
    return used <= keptViews ? (this.#views[used] ??= this.#bytes.subarray(0, used)) : this.#bytes.subarray(0, used);
  }
}

/** As many wait for their next use; more are for the garbage collector. */
const maxSpare = 16;
const spare: OutBuffer[] = [];

export function takeOutBuffer(): OutBuffer {
  return spare.pop() ?? new OutBuffer();
}

export function giveBack(buffer: OutBuffer): void {
  buffer.used = 0;
  if (spare.length < maxSpare) spare.push(buffer);
}
