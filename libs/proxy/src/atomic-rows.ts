import { createHash } from 'node:crypto';
import { localRow, resources, wordsPerRow, type SharedRow, type SharedRows } from './shared-rows.ts';
import { AtomicCell, type SharedCell } from './shared-cell.ts';

/** Most rows of a process, and most memory for them; beyond, each worker counts for itself. A row takes 80 bytes and 24 for each worker, touched when used. */
const mostRows = 32_768;
const mostBytes = 64 * 1024 * 1024;
const buckets = 16_384;

/** Of the whole: who holds the lock, the first free row, rows ever used. */
const lockWord = 0;
const freeWord = 1;
const usedWord = 2;
const firstBucket = 4;
const firstRow = firstBucket + buckets;
/** Of a row: the next one in its list (1 + number; 0 none), its name's hash, its leader (1 + worker; 0 none), its version, its losses. */
const nextField = 0;
const lowField = 1;
const highField = 2;
const leaderField = 3;
const versionField = 4;
const lossField = 5;
const firstWord = 6;
const firstColumn = firstWord + wordsPerRow;

/** The lock is held for microseconds. Whoever waits longer than all of this goes on without. */
const lockTries = 20;
const lockWaitMs = 10;

/** Words of a row: the last columns say how often each worker holds it. Even, so that two words can be one number of 64 bits. */
function rowLength(workers: number): number {
  const length = firstColumn + (resources + 1) * workers;
  return length + (length % 2);
}

/** The memory of a process's AtomicRows: the control thread makes it and hands it to every worker. */
export function sharedRowsBuffer(workers: number): SharedArrayBuffer {
  const bytes = 4 * rowLength(workers);
  return new SharedArrayBuffer(4 * firstRow + bytes * Math.min(mostRows, Math.floor(mostBytes / bytes)));
}

export interface AtomicRowsOptions {
  /** How many there are. */
  readonly workers: number;
  /** Which of them this is; for the control thread, which holds nothing, `workers`. */
  readonly worker: number;
  /** What makes this thread's monotonic milliseconds the process's. */
  readonly offsetMs: number;
}

/**
 * SharedRows over memory of all threads: a hash table with lists. Finding, making and forgetting rows happens under a lock, which a dead worker
 * cannot keep (`forget`): every step under it leaves lists whole, at worst a row is lost. Numbers of a row that is held need no lock.
 */
export class AtomicRows implements SharedRows {
  readonly alone = false;
  readonly #options: AtomicRowsOptions;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #cells: BigInt64Array<SharedArrayBuffer>;
  readonly #length: number;
  readonly #most: number;

  constructor(buffer: SharedArrayBuffer, options: AtomicRowsOptions) {
    this.#options = options;
    this.#words = new Int32Array(buffer);
    this.#cells = new BigInt64Array(buffer);
    this.#length = rowLength(options.workers);
    this.#most = Math.floor((this.#words.length - firstRow) / this.#length);
  }

  /** Rows that somebody holds. */
  get size(): number {
    let size = 0;
    for (let row = 0; row < Atomics.load(this.#words, usedWord); row++) if (this.#isTaken(this.#at(row))) size++;
    return size;
  }

  hold(name: string): SharedRow {
    const hash = createHash('sha256').update(name).digest();
    // 0 marks a row without a name.
    const low = hash.readInt32LE(0) || 1;
    const high = hash.readInt32LE(4);
    if (!this.#lock()) return localRow();
    const row = this.#find(low, high) ?? this.#make(low, high);
    if (row !== null) Atomics.add(this.#words, this.#holdsOf(row, this.#options.worker), 1);
    this.#unlock();
    return row === null ? localRow() : new AtomicRow(this.#words, this.#cells, { ...this.#options, at: this.#at(row), release: () => this.#release(row) });
  }

  exclusively<T>(task: () => T): T {
    const locked = this.#lock();
    try {
      return task();
    } finally {
      if (locked) this.#unlock();
    }
  }

  timeOf(nowMs: number): number {
    return (nowMs + this.#options.offsetMs) | 0;
  }

  /** A worker is dead: gives back what it held. Its successor must not run yet. */
  forget(worker: number): void {
    const words = this.#words;
    if (Atomics.compareExchange(words, lockWord, worker + 1, 0) === worker + 1) Atomics.notify(words, lockWord, 1);
    const locked = this.#lock();
    const used = Math.min(Atomics.load(words, usedWord), this.#most);
    for (let row = 0; row < used; row++) {
      if (!this.#isTaken(this.#at(row)) || Atomics.load(words, this.#holdsOf(row, worker)) === 0) continue;
      this.#leave(row, worker);
      if (locked) this.#dropUnheld(row);
    }
    if (locked) this.#unlock();
  }

  #release(row: number): void {
    const { worker } = this.#options;
    const locked = this.#lock();
    if (Atomics.sub(this.#words, this.#holdsOf(row, worker), 1) === 1) this.#leave(row, worker);
    if (locked) this.#dropUnheld(row);
    if (locked) this.#unlock();
  }

  /** Clears a worker's columns and its lead. */
  #leave(row: number, worker: number): void {
    const words = this.#words;
    const at = this.#at(row);
    for (let column = 0; column <= resources; column++) Atomics.store(words, at + firstColumn + column * this.#options.workers + worker, 0);
    Atomics.compareExchange(words, at + leaderField, worker + 1, 0);
    Atomics.add(words, at + lossField, 1);
    Atomics.add(words, at + versionField, 1);
  }

  #dropUnheld(row: number): void {
    const words = this.#words;
    for (let worker = 0; worker < this.#options.workers; worker++) if (Atomics.load(words, this.#holdsOf(row, worker)) > 0) return;
    const at = this.#at(row);
    let link = firstBucket + bucketOf(Atomics.load(words, at + lowField));
    for (let next = Atomics.load(words, link); next !== row + 1; next = Atomics.load(words, link)) {
      // A row that a dead worker had not put into its list yet.
      if (next === 0) return;
      link = this.#at(next - 1) + nextField;
    }
    Atomics.store(words, link, Atomics.load(words, at + nextField));
    Atomics.store(words, at + lowField, 0);
    Atomics.store(words, at + nextField, Atomics.load(words, freeWord));
    Atomics.store(words, freeWord, row + 1);
  }

  #find(low: number, high: number): number | null {
    const words = this.#words;
    for (let next = Atomics.load(words, firstBucket + bucketOf(low)); next !== 0; ) {
      const at = this.#at(next - 1);
      if (Atomics.load(words, at + lowField) === low && Atomics.load(words, at + highField) === high) return next - 1;
      next = Atomics.load(words, at + nextField);
    }
    return null;
  }

  /** Null when all rows are taken. */
  #make(low: number, high: number): number | null {
    const words = this.#words;
    const free = Atomics.load(words, freeWord);
    const row = free === 0 ? Atomics.load(words, usedWord) : free - 1;
    if (row >= this.#most) return null;
    const at = this.#at(row);
    if (free === 0) Atomics.store(words, usedWord, row + 1);
    else Atomics.store(words, freeWord, Atomics.load(words, at + nextField));
    const bucket = firstBucket + bucketOf(low);
    for (let word = at; word < at + this.#length; word++) Atomics.store(words, word, 0);
    Atomics.store(words, at + highField, high);
    Atomics.store(words, at + lowField, low);
    Atomics.store(words, at + nextField, Atomics.load(words, bucket));
    Atomics.store(words, bucket, row + 1);
    return row;
  }

  #at(row: number): number {
    return firstRow + row * this.#length;
  }

  #isTaken(at: number): boolean {
    return Atomics.load(this.#words, at + lowField) !== 0;
  }

  #holdsOf(row: number, worker: number): number {
    return this.#at(row) + firstColumn + resources * this.#options.workers + worker;
  }

  #lock(): boolean {
    const words = this.#words;
    for (let i = 0; i < lockTries; i++) {
      const owner = Atomics.compareExchange(words, lockWord, 0, this.#options.worker + 1);
      if (owner === 0) return true;
      Atomics.wait(words, lockWord, owner, lockWaitMs);
    }
    return false;
  }

  #unlock(): void {
    Atomics.store(this.#words, lockWord, 0);
    Atomics.notify(this.#words, lockWord, 1);
  }
}

function bucketOf(low: number): number {
  return (low >>> 0) % buckets;
}

/** Where a row is, and for whom. */
interface RowPlace {
  readonly workers: number;
  readonly worker: number;
  readonly at: number;
  readonly release: () => void;
}

/**
 * A row in shared memory. What is asked for each request is read and written plainly: whole numbers of 32 bits do not tear, a column has one
 * writer, and an engine's atomic operation costs ten times as much. What several may write is changed atomically. @hot
 */
class AtomicRow implements SharedRow {
  #words: Int32Array;
  #cells: BigInt64Array;
  #at: number;
  #columns: number;
  readonly #worker: number;
  readonly #workers: number;
  readonly #forget: () => void;

  constructor(words: Int32Array<SharedArrayBuffer>, cells: BigInt64Array<SharedArrayBuffer>, { workers, worker, at, release }: RowPlace) {
    this.#words = words;
    this.#cells = cells;
    this.#at = at;
    this.#columns = at + firstColumn;
    this.#worker = worker;
    this.#workers = workers;
    this.#forget = release;
  }

  get reports(): boolean {
    const holds = this.#columns + resources * this.#workers;
    for (let worker = 0; worker < this.#worker; worker++) if (Atomics.load(this.#words, holds + worker) > 0) return false;
    return true;
  }

  get version(): number {
    return this.#words[this.#at + versionField] ?? 0;
  }

  get losses(): number {
    return Atomics.load(this.#words, this.#at + lossField);
  }

  changed(): void {
    Atomics.add(this.#words, this.#at + versionField, 1);
  }

  take(resource: number, by: number): void {
    const column = this.#columns + resource * this.#workers + this.#worker;
    this.#words[column] = (this.#words[column] ?? 0) + by;
  }

  used(resource: number): number {
    const words = this.#words;
    const first = this.#columns + resource * this.#workers;
    let sum = 0;
    for (let column = first; column < first + this.#workers; column++) sum += words[column] ?? 0;
    return sum;
  }

  get(word: number): number {
    return this.#words[this.#at + firstWord + word] ?? 0;
  }

  set(word: number, value: number): void {
    Atomics.store(this.#words, this.#at + firstWord + word, value);
  }

  add(word: number, by: number): number {
    return Atomics.add(this.#words, this.#at + firstWord + word, by) + by;
  }

  swap(word: number, expected: number, next: number): boolean {
    return Atomics.compareExchange(this.#words, this.#at + firstWord + word, expected, next) === expected;
  }

  cell(word: number): SharedCell {
    return new AtomicCell(this.#cells, (this.#at + firstWord + word) / 2);
  }

  lead(): boolean {
    const me = this.#worker + 1;
    const leader = Atomics.compareExchange(this.#words, this.#at + leaderField, 0, me);
    return leader === 0 || leader === me;
  }

  /** Whoever still writes writes to nobody. */
  release(): void {
    this.#forget();
    this.#words = new Int32Array(rowLength(this.#workers));
    this.#cells = new BigInt64Array(this.#words.buffer);
    this.#at = 0;
    this.#columns = firstColumn;
  }
}
