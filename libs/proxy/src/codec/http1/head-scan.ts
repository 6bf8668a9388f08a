import type { FieldName } from './field-names.ts';
import { beginning, isAt, spellingOf, type Spelling } from './spellings.ts';

/** Fields that one scan can hold; longer heads are read the slow way. */
export const maxScannedFields = 128;

/** What a byte may be part of. */
const Class = { none: 0, value: 1, token: 2 } as const;

const classes = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) classes[byte] = byte === 9 || (byte >= 32 && byte !== 127) ? Class.value : Class.none;
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") classes[character.charCodeAt(0)] = Class.token;

/**
 * Where the parts of a head are, found in one pass over its bytes. It knows heads as nearly all are; whatever it does not know, the parser reads as text
 * and says what is wrong with it. One per thread: valid until the next scan. @hot
 */
export class HeadScan {
  /** Offsets from the head's first byte: of the CR after the start line … */
  lineEnd = 0;
  /** … and of the first blank in it. */
  firstSpace = 0;
  /** The start line has exactly two blanks, otherwise visible ASCII, and no "#". */
  plainLine = false;
  fields = 0;
  readonly names: FieldName[] = [];
  readonly valueStarts = new Uint16Array(maxScannedFields);
  readonly valueEnds = new Uint16Array(maxScannedFields);

  #buffer: Buffer | null = null;
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Where its last four bytes begin. */
  #lastWord = -4;
  readonly #requests = beginning();
  readonly #responses = beginning();

  /** Scans from `start`; returns where the empty line after the head ends, or -1 when the head is not whole, or not as this knows them. Heads up to 64 KB. */
  scan(buffer: Buffer, start: number, end: number): number {
    if (this.#buffer !== buffer) {
      this.#buffer = buffer;
      this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      this.#lastWord = buffer.byteLength - 4;
    }
    const view = this.#view;
    const stop = Math.min(end, start + 65_535);
    const lastWord = Math.min(this.#lastWord, stop - 1);
    let at = this.#startLine(buffer, start, stop, lastWord);
    if (at < 0) return -1;
    let count = 0;
    // "H" begins a response, and no request but HEAD's.
    let before = buffer[start] === 72 ? this.#responses : this.#requests;
    while (at + 1 < stop) {
      if (buffer[at] === 13) {
        this.fields = count;
        return buffer[at + 1] === 10 ? at + 2 : -1;
      }
      if (count === maxScannedFields) return -1;
      let spelling = before.next;
      if (spelling === null || !isAt(spelling, view, at, lastWord)) {
        spelling = spellingAt(buffer, at);
        if (spelling === null) return -1;
        if (spelling.kept) before.next = spelling;
      }
      before = spelling;
      at += spelling.length;
      let byte = buffer[at] ?? 0;
      while (byte === 32 || byte === 9) byte = buffer[++at] ?? 0;
      const valueStart = at;
      at = endOfValue(buffer, view, at, lastWord, stop);
      if (at + 1 >= stop || buffer[at] !== 13 || buffer[at + 1] !== 10) return -1;
      let valueEnd = at;
      while (valueEnd > valueStart && isBlank(buffer[valueEnd - 1] ?? 0)) valueEnd--;
      this.names[count] = spelling.field;
      this.valueStarts[count] = valueStart - start;
      this.valueEnds[count] = valueEnd - start;
      count++;
      at += 2;
    }
    return -1;
  }

  /** The start line; returns where the next one begins, or -1. */
  #startLine(buffer: Buffer, start: number, stop: number, lastWord: number): number {
    const view = this.#view;
    let at = start;
    let spaces = 0;
    let plain = true;
    for (;;) {
      if (at <= lastWord) {
        const word = view.getInt32(at, true);
        const del = word ^ 0x7f7f7f7f;
        const hash = word ^ 0x23232323;
        // As in endOfValue, for blanks, "#" and what is no ASCII, too.
        const odd = (((word - 0x21212121) & ~word) | word | ((del - 0x01010101) & ~del) | ((hash - 0x01010101) & ~hash)) & 0x80808080;
        if (odd === 0) {
          at += 4;
          continue;
        }
        at += (31 - Math.clz32(odd & (0 - odd))) >> 3;
      }
      const byte = buffer[at] ?? 0;
      if (byte < 32 || byte === 127 || at >= stop) break;
      if (byte === 32) {
        if (spaces++ === 0) this.firstSpace = at - start;
      } else if (byte === 35 || byte > 127) plain = false;
      at++;
    }
    if (at + 1 >= stop || buffer[at] !== 13 || buffer[at + 1] !== 10 || spaces === 0) return -1;
    this.lineEnd = at - start;
    this.plainLine = plain && spaces === 2;
    return at + 2;
  }
}

/** The spelling of the name at `at`, which a colon follows; null when there is none. */
function spellingAt(buffer: Buffer, start: number): Spelling | null {
  let at = start;
  let hash = 0;
  let byte = buffer[at] ?? 0;
  while (classes[byte] === Class.token) {
    hash = (Math.imul(hash, 31) + byte) | 0;
    byte = buffer[++at] ?? 0;
  }
  return byte === 58 && at > start ? spellingOf(buffer, start, at, hash) : null;
}

/** Where the first byte is that no value has, or `stop` or a little behind it; four bytes at once up to `lastWord`. */
function endOfValue(buffer: Buffer, view: DataView, start: number, lastWord: number, stop: number): number {
  let at = start;
  for (;;) {
    if (at <= lastWord) {
      const word = view.getInt32(at, true);
      const del = word ^ 0x7f7f7f7f;
      // The upper bit of each byte below 32, and of each that is 127; the lowest such bit is right.
      const odd = (((word - 0x20202020) & ~word) | ((del - 0x01010101) & ~del)) & 0x80808080;
      if (odd === 0) {
        at += 4;
        continue;
      }
      at += (31 - Math.clz32(odd & (0 - odd))) >> 3;
    }
    if (at >= stop || classes[buffer[at] ?? 0] === Class.none) return at;
    at++;
  }
}

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9;
}
