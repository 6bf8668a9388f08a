import type { FractionalPercent } from '@meltemi/api/gen/envoy/type/v3/percent.ts';
import type { Fraction } from './types.ts';

const perUnit = [10_000, 100, 1] as const;

class PartsOfMillion implements Fraction {
  readonly perMillion: number;

  constructor(perMillion: number) {
    this.perMillion = Math.min(1_000_000, Math.max(0, perMillion));
  }

  hit(random: number): boolean {
    return random * 1_000_000 < this.perMillion;
  }
}

/** A fraction of `perMillion` parts of a million; capped to 0 … 1,000,000. */
export function fraction(perMillion: number): Fraction {
  return new PartsOfMillion(perMillion);
}

/** `percent` in 0 … 100, fractions allowed. */
export function percentFraction(percent: number): Fraction {
  return fraction(percent * 10_000);
}

export const always: Fraction = fraction(1_000_000);
export const never: Fraction = fraction(0);

/** A FractionalPercent; unset gives `whenUnset`. An unknown denominator counts as HUNDRED. */
export function compileFraction(percent: FractionalPercent | undefined, whenUnset: Fraction): Fraction {
  return percent ? fraction(percent.numerator * (perUnit[percent.denominator as 0 | 1 | 2] ?? 10_000)) : whenUnset;
}
