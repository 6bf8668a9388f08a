/** Earliest deadline first: entries come up in proportion to their weights, evenly interleaved. A binary heap over parallel arrays. @hot */
export class EdfSchedule<T> {
  readonly #items: T[] = [];
  readonly #deadlines: number[] = [];
  #now = 0;

  /** `phase` in [0, 1) spreads first turns, so that many workers do not all begin with the same host. */
  add(item: T, weight: number, phase: number): void {
    this.#items.push(item);
    this.#deadlines.push(phase / weight);
    this.#up(this.#items.length - 1);
  }

  /** The next in turn, which goes back in with the weight that `weightOf` gives it now; null when empty. */
  next(weightOf: (item: T) => number): T | null {
    const item = this.#items[0];
    if (item === undefined) return null;
    this.#now = this.#deadlines[0] ?? 0;
    this.#deadlines[0] = this.#now + 1 / Math.max(weightOf(item), 1e-9);
    this.#down();
    return item;
  }

  #up(start: number): void {
    for (let i = start; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (this.#at(parent) <= this.#at(i)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #down(): void {
    const length = this.#items.length;
    for (let i = 0; ; ) {
      let least = 2 * i + 1;
      if (least >= length) return;
      if (least + 1 < length && this.#at(least + 1) < this.#at(least)) least++;
      if (this.#at(i) <= this.#at(least)) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #at(i: number): number {
    return this.#deadlines[i] ?? Infinity;
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a] as T;
    this.#items[a] = this.#items[b] as T;
    this.#items[b] = item;
    const deadline = this.#at(a);
    this.#deadlines[a] = this.#at(b);
    this.#deadlines[b] = deadline;
  }
}
