import { latin1 } from '../../../latin1.ts';

/**
 * Code lengths in bits of the 256 bytes and of EOS, RFC 7541 appendix B. The code is canonical: codes of one length follow each other in
 * the order of their symbols, so the lengths say all.
 */
const lengths = Uint8Array.from([
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
]);

const longest = 30;
const eos = 256;
/** Codes up to this length are found in one look: all of printable ASCII but a few signs. */
const lookBits = 10;

const codes = new Uint32Array(257);
/** By the next ten bits: length << 9 | symbol, or 0 when the code is longer. */
const look = new Uint16Array(1 << lookBits);
/** By length: the first code, the place of its symbol in `ordered`, and how many there are. */
const firstCode = new Uint32Array(longest + 1);
const firstPlace = new Uint16Array(longest + 1);
const countOf = new Uint16Array(longest + 1);
const ordered = new Uint16Array(257);

let nextCode = 0;
let place = 0;
for (let length = 5; length <= longest; length++) {
  firstCode[length] = nextCode;
  firstPlace[length] = place;
  for (let symbol = 0; symbol <= eos; symbol++) if (lengths[symbol] === length) assign(symbol, length);
  nextCode *= 2;
}

function assign(symbol: number, length: number): void {
  codes[symbol] = nextCode;
  ordered[place++] = symbol;
  countOf[length] = (countOf[length] ?? 0) + 1;
  if (length <= lookBits) look.fill((length << 9) | symbol, nextCode << (lookBits - length), (nextCode + 1) << (lookBits - length));
  nextCode++;
}

let scratch = Buffer.allocUnsafeSlow(8 * 1024);

/** The text of `buffer[start, end)`, or null when it is no Huffman string: EOS inside, padding that is too long or not all ones. @hot */
export function decodeHuffman(buffer: Buffer, start: number, end: number): string | null {
  const most = (((end - start) * 8) / 5) | 0;
  if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most);
  const out = scratch;
  let size = 0;
  let bits = 0;
  let held = 0;
  let at = start;
  for (;;) {
    while (held <= 16 && at < end) {
      bits = ((bits << 8) | (buffer[at++] ?? 0)) & 0xffffff;
      held += 8;
    }
    const next = held >= lookBits ? (bits >>> (held - lookBits)) & 1023 : (((bits << (lookBits - held)) | ((1 << (lookBits - held)) - 1)) & 1023);
    const found = look[next] ?? 0;
    const length = found >>> 9;
    if (found !== 0) {
      // What is left is padding: fewer than eight ones, which no code of that length begins with but EOS.
      if (length > held) return allOnes(bits, held) ? latin1(out, 0, size) : null;
      held -= length;
      out[size++] = found;
      continue;
    }
    if (at >= end && held < 8 && allOnes(bits, held)) return latin1(out, 0, size);
    const long = decodeLong(buffer, at * 8 - held, end * 8);
    if (long < 0) return null;
    out[size++] = long & 0xff;
    const bit = at * 8 - held + (long >>> 8);
    at = (bit + 7) >>> 3;
    held = at * 8 - bit;
    bits = held === 0 ? 0 : (buffer[at - 1] ?? 0);
  }
}

function allOnes(bits: number, held: number): boolean {
  return held < 8 && (bits & ((1 << held) - 1)) === (1 << held) - 1;
}

/** One code longer than the look, from bit `from`: length << 8 | symbol, or -1. */
function decodeLong(buffer: Buffer, from: number, end: number): number {
  let code = 0;
  for (let length = 1; length <= longest && from + length <= end; length++) {
    const bit = from + length - 1;
    code = code * 2 + (((buffer[bit >>> 3] ?? 0) >>> (7 - (bit & 7))) & 1);
    const offset = code - (firstCode[length] ?? 0);
    if (length < 5 || offset < 0 || offset >= (countOf[length] ?? 0)) continue;
    const symbol = ordered[(firstPlace[length] ?? 0) + offset] ?? eos;
    return symbol === eos ? -1 : (length << 8) | symbol;
  }
  return -1;
}

/** Bytes that `text` (latin1) takes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff] ?? 0;
  return (bits + 7) >>> 3;
}

/** Writes `text` (latin1) to `out` from `at` on; gives the place behind it. */
export function encodeHuffman(text: string, out: Buffer, at: number): number {
  let held = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const code = codes[symbol] ?? 0;
    for (let left = lengths[symbol] ?? 0; left > 0; ) {
      const take = Math.min(left, 8 - held);
      left -= take;
      bits = (bits << take) | ((code >>> left) & ((1 << take) - 1));
      held += take;
      if (held < 8) continue;
      out[at++] = bits;
      bits = 0;
      held = 0;
    }
  }
  if (held > 0) out[at++] = (bits << (8 - held)) | ((1 << (8 - held)) - 1);
  return at;
}
