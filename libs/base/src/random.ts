/** Randomness as a port. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
}

export const mathRandom: Random = { next: () => Math.random() };

/** The same sequence for the same seed (mulberry32). For tests and reproducible jitter. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = state;
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    },
  };
}
