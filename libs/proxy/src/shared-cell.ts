/** One number. */
export interface SharedCell {
  load(): number;
  /** Sets it to `next` when it still is `expected`; says whether it was. */
  swap(expected: number, next: number): boolean;
}

/** A number of one's own. */
export function localCell(): SharedCell {
  let value = 0;
  return {
    load: () => value,
    swap: (expected, next) => {
      if (value !== expected) return false;
      value = next;
      return true;
    },
  };
}

const scratch = new Float64Array(1);
const scratchBits = new BigInt64Array(scratch.buffer);

function bitsOf(value: number): bigint {
  scratch[0] = value;
  return scratchBits[0] ?? 0n;
}

/** A number at a place in shared memory. */
export class AtomicCell implements SharedCell {
  readonly #words: BigInt64Array;
  readonly #at: number;

  constructor(words: BigInt64Array, at: number) {
    this.#words = words;
    this.#at = at;
  }

  load(): number {
    scratchBits[0] = Atomics.load(this.#words, this.#at);
    return scratch[0] ?? 0;
  }

  swap(expected: number, next: number): boolean {
    const before = bitsOf(expected);
    return Atomics.compareExchange(this.#words, this.#at, before, bitsOf(next)) === before;
  }
}
