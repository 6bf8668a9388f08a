/** An unsigned 64-bit number in two halves: BigInt would cost an allocation per step. Reused by its owner. */
export interface Hash64 {
  hi: number;
  lo: number;
}

/** A zero to fill in. */
export function hash64(): Hash64 {
  return { hi: 0, lo: 0 };
}

/** The hash as a remainder of `modulus`, which is at most 2^26. @hot */
export function hashModulo(hash: Hash64, modulus: number): number {
  return ((hash.hi % modulus) * (0x1_0000_0000 % modulus) + (hash.lo % modulus)) % modulus;
}

/** The high half of the last product of multiply(). @hot */
export let productHi = 0;

/** Multiplies two 64-bit numbers: the low half of the 64-bit product, the high half in `productHi`. @hot */
export function multiply(aHi: number, aLo: number, bHi: number, bLo: number): number {
  const a0 = aLo & 0xffff;
  const a1 = aLo >>> 16;
  const b0 = bLo & 0xffff;
  const b1 = bLo >>> 16;
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const cross = a0 * b1 + (middle & 0xffff);
  const carry = a1 * b1 + Math.floor(middle / 0x1_0000) + Math.floor(cross / 0x1_0000);
  productHi = (carry + Math.imul(aHi, bLo) + Math.imul(aLo, bHi)) | 0;
  return (cross << 16) | (low & 0xffff);
}
