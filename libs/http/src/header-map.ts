/** How names were written on the wire, kept where a configuration asks for it. */
export interface HeaderSpelling {
  /** Lower-case name → as it came. */
  readonly names: ReadonlyMap<string, string>;
  /** Other names go out as Proper-Case-Words. */
  readonly properCaseOthers: boolean;
}

/**
 * HTTP header fields in the order they came. One flat array `[name, value, name, value, …]`; names are lower-case, and the
 * caller that builds one from the wire lower-cases each name once. Lookups are linear: at the ~15 fields of a usual request
 * that beats a Map and allocates nothing. @hot
 */
export class HeaderMap {
  /** `[name, value, …]`. Owned by this map: who hands an array in gives it away. Readers may walk it, writers use the methods. */
  flat: string[];
  /** null: names go out as the connection writes them. */
  spelling: HeaderSpelling | null = null;

  /** `flat` has lower-case names on the even places. */
  constructor(flat: string[] = []) {
    this.flat = flat;
  }

  /** From a plain object or pairs; names are lower-cased. For configs and tests, not for the wire. */
  static from(fields: Readonly<Record<string, string>> | Iterable<readonly [string, string]>): HeaderMap {
    const pairs = Symbol.iterator in fields ? fields : Object.entries(fields);
    const map = new HeaderMap();
    for (const [name, value] of pairs as Iterable<readonly [string, string]>) map.add(name.toLowerCase(), value);
    return map;
  }

  /** Number of fields. */
  get size(): number {
    return this.flat.length >>> 1;
  }

  /** The first value of `name` (lower-case), or null. */
  get(name: string): string | null {
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return flat[i + 1] ?? null;
    return null;
  }

  /** All values of `name` joined by "," as Envoy's matchers see them, or null. */
  getAll(name: string): string | null {
    const flat = this.flat;
    let joined: string | null = null;
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] !== name) continue;
      const value = flat[i + 1] ?? '';
      joined = joined === null ? value : `${joined},${value}`;
    }
    return joined;
  }

  /** Every value of `name` as its own array entry; for fields that must not be joined (set-cookie). */
  values(name: string): string[] {
    const found: string[] = [];
    for (let i = 0; i < this.flat.length; i += 2) if (this.flat[i] === name) found.push(this.flat[i + 1] ?? '');
    return found;
  }

  has(name: string): boolean {
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return true;
    return false;
  }

  /** Replaces the first field of that name in place and drops the others; appends when there is none. */
  set(name: string, value: string): void {
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) {
      if (flat[i] !== name) continue;
      flat[i + 1] = value;
      this.#removeFrom(name, i + 2);
      return;
    }
    flat.push(name, value);
  }

  /** Appends a field, also when the name is there already. */
  add(name: string, value: string): void {
    this.flat.push(name, value);
  }

  /** Drops every field of that name; says whether there was one. */
  remove(name: string): boolean {
    return this.#removeFrom(name, 0);
  }

  clear(): void {
    this.flat.length = 0;
  }

  clone(): HeaderMap {
    const copy = new HeaderMap(this.flat.slice());
    copy.spelling = this.spelling;
    return copy;
  }

  /** Pairs in order. Allocates: for cold paths; hot code walks `flat`. */
  *[Symbol.iterator](): IterableIterator<[string, string]> {
    for (let i = 0; i < this.flat.length; i += 2) yield [this.flat[i] ?? '', this.flat[i + 1] ?? ''];
  }

  #removeFrom(name: string, start: number): boolean {
    const flat = this.flat;
    let write = start;
    for (let read = start; read < flat.length; read += 2) {
      const key = flat[read] ?? '';
      if (key === name) continue;
      if (write !== read) {
        flat[write] = key;
        flat[write + 1] = flat[read + 1] ?? '';
      }
      write += 2;
    }
    if (write === flat.length) return false;
    flat.length = write;
    return true;
  }
}
