/**
 * Named values that live no longer than what they speak of: a program that runs, a connection that is open. Whoever held a name last decides over it, so
 * that what moves from one program to another is never missing in between.
 */
export interface LeasedValues {
  /** Keeps the value for as long as this program lives, and a while longer; until `release`. Returns at once; written behind, and again when it was lost. */
  hold(name: string, value: string): void;
  /** Lets go of a name held here: its value ends after this time, unless somebody else holds it by then. */
  release(name: string, afterMs: number): void;
  /** A put for every value there is, whoever holds it, what was written last at the end, `synced`, then changes. Heals like the config watch. For one reader. */
  watch(signal: AbortSignal): AsyncIterable<LeasedEvent>;
  /** Writes what waits, with a deadline. What is held ends with its lease. */
  close(): Promise<void>;
}

export type LeasedEvent =
  | { readonly type: 'put'; readonly name: string; readonly value: string }
  | { readonly type: 'delete'; readonly name: string }
  | { readonly type: 'synced' };
