import { localCell, type SharedCell } from './shared-cell.ts';

/** What can be in use of a row's subject, by number. */
export const resources = 5;
/** Free numbers of a row. */
export const wordsPerRow = 14;

/**
 * Numbers that all workers of a process share under a name. Whole numbers of 32 bits. Two kinds:
 *
 * - *Resources* (0 … 3) are taken and given back. Each worker counts its own in a column of its own, and the sum over all columns is what is in use. So a
 *   change is one write to a place that nobody else writes, a sum reads neighbours in one or two cache lines, and when a worker dies its
 *   columns are cleared: what it held is given back, and no sum can ever drift.
 * - *Words* (0 … 13) belong to all. Their meaning is the caller's.
 *
 * Limits checked against a sum may be passed by those who ask at the same moment, one for each worker, as in Envoy.
 */
export interface SharedRow {
  /** This worker is the one that tells of the row in statistics, so that it counts once: the first of those that hold it. */
  readonly reports: boolean;
  /** Another number each time somebody calls `changed`, or leaves. */
  readonly version: number;
  /** How many workers let go of the row so far: with each, sums fell by what was its own. */
  readonly losses: number;
  /** Tells all who hold the row to look again. */
  changed(): void;
  /** This worker has `by` more of a resource in use. @hot */
  take(resource: number, by: number): void;
  /** What all workers have in use. @hot */
  used(resource: number): number;
  get(word: number): number;
  set(word: number, value: number): void;
  /** Returns the sum. */
  add(word: number, by: number): number;
  /** Sets it to `next` when it still is `expected`; says whether it was. */
  swap(word: number, expected: number, next: number): boolean;
  /** An even word and its neighbour as one floating-point number. */
  cell(word: number): SharedCell;
  /** Makes this worker the row's leader when it has none; true when it is or was. A leader that dies or lets go of the row is none any more. */
  lead(): boolean;
  /** Lets go of the row; it is forgotten when nobody holds it. Once. */
  release(): void;
}

/** The rows of a process. */
export interface SharedRows {
  /** There is but one worker: nobody to share with. */
  readonly alone: boolean;
  /** Finds or makes the row of this name. Each hold is released once; two of one worker are one row. */
  hold(name: string): SharedRow;
  /** Runs the task while no other worker runs one: for decisions that are rare and short. It must not throw, nor hold or release rows. */
  exclusively<T>(task: () => T): T;
  /** This thread's monotonic milliseconds as the process's: whole, 32 bits that wrap (compare by subtraction). */
  timeOf(nowMs: number): number;
}

/** Rows of one thread alone. */
export class LocalRows implements SharedRows {
  readonly alone = true;
  readonly #rows = new Map<string, LocalRow>();

  /** Rows that are held. */
  get size(): number {
    return this.#rows.size;
  }

  hold(name: string): SharedRow {
    let row = this.#rows.get(name);
    if (row === undefined) this.#rows.set(name, (row = new LocalRow(() => this.#rows.delete(name))));
    row.holds++;
    return row;
  }

  exclusively<T>(task: () => T): T {
    return task();
  }

  timeOf(nowMs: number): number {
    return nowMs | 0;
  }
}

/** A row that nobody else knows. */
export function localRow(): SharedRow {
  return new LocalRow(() => {});
}

class LocalRow implements SharedRow {
  readonly reports = true;
  readonly losses = 0;
  version = 0;
  holds = 0;
  readonly #resources = new Int32Array(resources);
  readonly #words = new Int32Array(wordsPerRow);
  readonly #cells = new Map<number, SharedCell>();
  readonly #forget: () => void;

  constructor(forget: () => void) {
    this.#forget = forget;
  }

  changed(): void {
    this.version++;
  }

  take(resource: number, by: number): void {
    this.#resources[resource] = (this.#resources[resource] ?? 0) + by;
  }

  used(resource: number): number {
    return this.#resources[resource] ?? 0;
  }

  get(word: number): number {
    return this.#words[word] ?? 0;
  }

  set(word: number, value: number): void {
    this.#words[word] = value;
  }

  add(word: number, by: number): number {
    return (this.#words[word] = (this.#words[word] ?? 0) + by);
  }

  swap(word: number, expected: number, next: number): boolean {
    if (this.#words[word] !== expected) return false;
    this.#words[word] = next;
    return true;
  }

  cell(word: number): SharedCell {
    let cell = this.#cells.get(word);
    if (cell === undefined) this.#cells.set(word, (cell = localCell()));
    return cell;
  }

  lead(): boolean {
    return true;
  }

  release(): void {
    if (--this.holds === 0) this.#forget();
  }
}
