import { Draw } from './draw.ts';
import { growing } from './grow.ts';
import type { FuzzTarget } from './target.ts';

export interface TargetRun {
  readonly seed: number;
  /** The first input's number, and how many from there on. */
  readonly from: number;
  readonly inputs: number;
  /** Called with an input's number before it is tried. */
  readonly started?: (input: number) => void;
}

/** What was found: the same seed and input number bring it back. */
export interface Finding {
  readonly input: number;
  /** latin1. */
  readonly bytes: string;
  readonly error: unknown;
}

/** Tries inputs one after another; the first that breaks the target, or null. */
export function runTarget(target: FuzzTarget, { seed, from, inputs, started }: TargetRun): Finding | null {
  const grow = growing(target);
  for (let input = from; input < from + inputs; input++) {
    started?.(input);
    const draw = new Draw(Math.imul(seed, 0x9e3779b1) ^ input);
    const bytes = grow(draw);
    try {
      target.check(bytes, draw);
    } catch (error) {
      return { input, bytes: bytes.toString('latin1'), error };
    }
  }
  return null;
}
