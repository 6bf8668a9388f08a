import { multiply, productHi, type Hash64 } from './hash64.ts';

const mh = 0xc6a4a793 | 0, ml = 0x5bd1e995 | 0;
/** What libstdc++ seeds std::hash with. */
const stdSeed = 0xc70f6907 | 0;

/** The 64-bit MurmurHash2 of libstdc++'s std::hash, of latin1 text. */
export function murmurHash2(text: string, into: Hash64): void {
  const { length } = text;
  let lo = stdSeed ^ multiply(0, length | 0, mh, ml);
  let hi = productHi;
  let at = 0;
  for (; at + 8 <= length; at += 8) {
    let low = multiply(read32(text, at + 4, 4), read32(text, at, 4), mh, ml);
    // k ^= k >> 47; k *= m
    low = multiply(productHi, low ^ (productHi >>> 15), mh, ml);
    lo = multiply(hi ^ productHi, lo ^ low, mh, ml);
    hi = productHi;
  }
  const rest = length - at;
  if (rest > 0) {
    lo = multiply(hi ^ read32(text, at + 4, rest - 4), lo ^ read32(text, at, rest), mh, ml);
    hi = productHi;
  }
  lo = multiply(hi, lo ^ (hi >>> 15), mh, ml);
  hi = productHi;
  into.hi = hi >>> 0;
  into.lo = (lo ^ (hi >>> 15)) >>> 0;
}

/** Up to four bytes, little endian. */
function read32(text: string, at: number, count: number): number {
  let value = 0;
  for (let i = 0; i < Math.min(4, count); i++) value |= (text.charCodeAt(at + i) & 0xff) << (8 * i);
  return value;
}
