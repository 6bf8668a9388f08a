import { fieldOfBytes, type FieldName } from './field-names.ts';

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

  /** Scans from `start`; returns where the empty line after the head ends, or -1 when the head is not whole, or not as this knows them. Heads up to 64 KB. */
  scan(buffer: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + 65_535);
    let at = this.#line(buffer, start, stop);
    if (at < 0) return -1;
    let count = 0;
    while (at + 1 < stop) {
      let byte = buffer[at] ?? 0;
      if (byte === 13) {
        this.fields = count;
        return buffer[at + 1] === 10 ? at + 2 : -1;
      }
      const nameStart = at;
      let hash = 0;
      while (classes[byte] === Class.token) {
        hash = (Math.imul(hash, 31) + byte) | 0;
        byte = buffer[++at] ?? 0;
      }
      if (byte !== 58 || at === nameStart || count === maxScannedFields) return -1;
      const name = fieldOfBytes(buffer, nameStart, at, hash);
      if (name === null) return -1;
      do byte = buffer[++at] ?? 0;
      while (byte === 32 || byte === 9);
      const valueStart = at;
      while (classes[byte] !== Class.none && at < stop) byte = buffer[++at] ?? 0;
      if (byte !== 13 || at + 1 >= stop || buffer[at + 1] !== 10) return -1;
      let valueEnd = at;
      while (valueEnd > valueStart && isBlank(buffer[valueEnd - 1] ?? 0)) valueEnd--;
      this.names[count] = name;
      this.valueStarts[count] = valueStart - start;
      this.valueEnds[count] = valueEnd - start;
      count++;
      at += 2;
    }
    return -1;
  }

  /** The start line; returns where the next one begins, or -1. */
  #line(buffer: Buffer, start: number, stop: number): number {
    let at = start;
    let byte = buffer[at] ?? 0;
    let spaces = 0;
    let plain = true;
    while (byte >= 32 && byte !== 127 && at < stop) {
      if (byte === 32) {
        if (spaces++ === 0) this.firstSpace = at - start;
      } else if (byte === 35 || byte > 127) plain = false;
      byte = buffer[++at] ?? 0;
    }
    if (byte !== 13 || at + 1 >= stop || buffer[at + 1] !== 10 || spaces === 0) return -1;
    this.lineEnd = at - start;
    this.plainLine = plain && spaces === 2;
    return at + 2;
  }
}

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9;
}
