import type { Draw } from './draw.ts';

/**
 * One parser, or the whole path, under random bytes. `check` throws when something a reader may rely on does not hold: it never throws
 * by itself, takes as many steps as there are bytes, says the same however the bytes are cut, and finds no request that is not there.
 */
export interface FuzzTarget {
  /** As `npm run fuzz -- --only` names it. */
  readonly name: string;
  /** One line: what is held to what. */
  readonly about: string;
  /** Good inputs (latin1), from which others are grown. */
  readonly seeds: readonly string[];
  /** What is worth putting in the middle of them. */
  readonly words: readonly string[];
  /** `input` is on loan. `draw` decides about cuts and answers. */
  check(input: Buffer, draw: Draw): void;
}

/** Throws with both sides when they differ. */
export function same(what: string, left: string, right: string): void {
  if (left !== right) throw new Error(`${what}:\n  ${JSON.stringify(left)}\n  ${JSON.stringify(right)}`);
}
