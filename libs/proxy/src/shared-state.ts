import { createHash } from 'node:crypto';
import { AtomicCell, localCell, type SharedCell } from './shared-cell.ts';
import { LocalRows, type SharedRows } from './shared-rows.ts';

/** What the workers of a process know in common. */
export interface SharedState {
  /** The admin endpoint said /healthcheck/fail, or the process drains. */
  readonly healthFailed: boolean;
  /** The number kept under this name, 0 at first. It outlives the config that asks for it: the same name finds it again after an update. */
  cell(key: string): SharedCell;
  /** Numbers under names that are forgotten when nobody holds them. */
  readonly rows: SharedRows;
}

/** Names that one process can keep; beyond, each worker counts for itself. 16 bytes each, touched when used. */
const slots = 16_384;
const flagWords = 1;

/** The memory of a process's SharedState: the control thread makes it and hands it to every worker. */
export function sharedStateBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer((flagWords + 2 * slots) * 8);
}

/**
 * SharedState over memory of all threads: an open-addressed table of (hash of the name, number) that only grows, so that a slot once found
 * stays valid without locks.
 */
export class AtomicState implements SharedState {
  readonly #words: BigInt64Array;
  readonly #own = new LocalState();
  readonly rows: SharedRows;

  /** `rows`: default, of this thread alone. */
  constructor(buffer: SharedArrayBuffer, rows: SharedRows = new LocalRows()) {
    this.#words = new BigInt64Array(buffer);
    this.rows = rows;
  }

  get healthFailed(): boolean {
    return Atomics.load(this.#words, 0) !== 0n;
  }

  set healthFailed(failed: boolean) {
    Atomics.store(this.#words, 0, failed ? 1n : 0n);
  }

  cell(key: string): SharedCell {
    const words = this.#words;
    // 0 marks a free slot.
    const hash = createHash('sha256').update(key).digest().readBigInt64LE(0) || 1n;
    const first = Number(BigInt.asUintN(32, hash)) % slots;
    for (let i = 0; i < slots; i++) {
      const at = flagWords + 2 * ((first + i) % slots);
      const taken = Atomics.compareExchange(words, at, 0n, hash);
      if (taken === 0n || taken === hash) return new AtomicCell(words, at + 1);
    }
    return this.#own.cell(key);
  }
}

/** SharedState of one thread alone. */
export class LocalState implements SharedState {
  healthFailed = false;
  readonly rows: SharedRows = new LocalRows();
  readonly #cells = new Map<string, SharedCell>();

  cell(key: string): SharedCell {
    let cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, (cell = localCell()));
    return cell;
  }
}
