import { latin1Write } from '@meltemi/proxy';
import { shortText, writeShort } from '../short-text.ts';

/** A whole read with a head in front of it leaves in one write. */
export const outBufferBytes = 68 * 1024;

/** Views kept by their length, the first that came up: small messages have few different lengths, and a new view costs more than the copy. */
const maxViews = 256;

/** Bytes on their way out of one connection. Taken for a turn, given back when the system has them. @hot */
export class OutBuffer {
  used = 0;
  readonly #bytes = Buffer.allocUnsafeSlow(outBufferBytes);
  readonly #views = new Map<number, Buffer>();

  get room(): number {
    return outBufferBytes - this.used;
  }

  /** Latin1 of that length, no longer than there is room. False, and nothing added, when a character is beyond that. */
  text(text: string, length: number): boolean {
    const end = put(this.#bytes, this.used, text, length);
    if (end < 0) return false;
    this.used = end;
    return true;
  }

  /** "name: value" and CRLF, as `text`. */
  field(name: string, nameLength: number, value: string, valueLength: number): boolean {
    const bytes = this.#bytes;
    let at = put(bytes, this.used, name, nameLength);
    if (at < 0) return false;
    bytes[at] = 58;
    bytes[at + 1] = 32;
    at = put(bytes, at + 2, value, valueLength);
    if (at < 0) return false;
    bytes[at] = 13;
    bytes[at + 1] = 10;
    this.used = at + 2;
    return true;
  }

  /** No longer than there is room. */
  add(buffer: Buffer, start: number, end: number): void {
    buffer.copy(this.#bytes, this.used, start, end);
    this.used += end - start;
  }

  /** What was added so far. */
  view(): Buffer {
    const { used } = this;
    const known = this.#views.get(used);
    if (known !== undefined) return known;
    const view = this.#bytes.subarray(0, used);
    if (this.#views.size < maxViews) this.#views.set(used, view);
    return view;
  }
}

const beyondLatin1 = /[^\0-\xff]/;

/** Writes latin1 from `at` on; returns where it ended, or -1 when there is a character beyond. */
function put(bytes: Buffer, at: number, text: string, length: number): number {
  if (length > shortText) return beyondLatin1.test(text) ? -1 : at + latin1Write(bytes, text, at);
  return writeShort(bytes, at, text, length) > 255 ? -1 : at + length;
}

/** As many wait for their next use, which are those of a busy round (turn.ts); more are for the garbage collector. */
const maxSpare = 32;
const spare: OutBuffer[] = [];

export function takeOutBuffer(): OutBuffer {
  return spare.pop() ?? new OutBuffer();
}

export function giveBack(buffer: OutBuffer): void {
  buffer.used = 0;
  if (spare.length < maxSpare) spare.push(buffer);
}
