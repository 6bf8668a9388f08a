import { latin1 } from '../latin1.ts';

const poolBytes = 8192;
const digits = Buffer.from('0123456789abcdef', 'latin1');
/** Where the two digits of each of the 16 bytes stand in a UUID's text. */
const places: readonly number[] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
const textLength = 36;

/** Makes request ids: version 4 UUIDs from random bytes drawn 8 KB at a time. @hot */
export class RequestIds {
  readonly #fill: (buffer: Buffer) => void;
  readonly #pool = Buffer.alloc(poolBytes);
  /** The text under work, its hyphens in place: one string per id instead of twenty joined. */
  readonly #text = Buffer.from('-'.repeat(textLength), 'latin1');
  #at = poolBytes;

  /** `fill` writes random bytes over the whole buffer. */
  constructor(fill: (buffer: Buffer) => void) {
    this.#fill = fill;
  }

  next(): string {
    const pool = this.#pool;
    const text = this.#text;
    const at = this.#take(16);
    for (let i = 0; i < 16; i++) {
      let byte = pool[at + i] ?? 0;
      if (i === 6) byte = (byte & 0x0f) | 0x40;
      else if (i === 8) byte = (byte & 0x3f) | 0x80;
      const place = places[i] ?? 0;
      text[place] = digits[byte >> 4] ?? 0;
      text[place + 1] = digits[byte & 15] ?? 0;
    }
    return latin1(text, 0, textLength);
  }

  /** 64 random bits as 16 hex digits: ids of traces and spans. */
  hex64(): string {
    const at = this.#take(8);
    return this.#pool.toString('hex', at, at + 8);
  }

  #take(bytes: number): number {
    if (this.#at + bytes > poolBytes) {
      this.#fill(this.#pool);
      this.#at = 0;
    }
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}
