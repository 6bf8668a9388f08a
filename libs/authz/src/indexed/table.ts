import type { StreamInfo } from '@meltemi/http';
import { parseIp } from '@meltemi/match';
import { rangeKey } from './address-key.ts';
import { AffixTable } from './affix-table.ts';
import type { Comparison, Dimension } from './need.ts';

/** Where the search goes on: finds the first of some rules that matches. */
export interface Bucket {
  /** Its place among all rules, or `below` when none before that matches. */
  first(info: StreamInfo, below: number): number;
}

/** A bucket, or the place of a rule that needs nothing else. */
export type Found = Bucket | number;

/** What is found under values, by comparison. */
export type Buckets = Readonly<Record<Comparison, ReadonlyMap<string, Found>>>;

/** Looks up what a request has in one dimension. @hot */
export class Table implements Bucket {
  readonly #dimension: Dimension;
  readonly #exact: ReadonlyMap<string, Found>;
  readonly #pairs: ReadonlyMap<string, Found>;
  readonly #ranges: ReadonlyMap<string, Found>;
  /** Prefix lengths of ranges, in bits. */
  readonly #lengths: readonly number[];
  readonly #prefixes: AffixTable<Found> | null;
  readonly #suffixes: AffixTable<Found> | null;
  /** Used anew by each search: a table is not searched within its own search. */
  readonly #values: string[] = [];

  constructor(dimension: Dimension, { exact, pair, range, prefix, suffix }: Buckets) {
    this.#dimension = dimension;
    this.#exact = exact;
    this.#pairs = pair;
    this.#ranges = range;
    this.#lengths = [...new Set([...range.keys()].map((key) => Number(/\/(\d+)/.exec(key)?.[1] ?? 0)))];
    this.#prefixes = prefix.size > 0 ? new AffixTable(prefix, false) : null;
    this.#suffixes = suffix.size > 0 ? new AffixTable(suffix, true) : null;
  }

  first(info: StreamInfo, below: number): number {
    const values = this.#values;
    const count = this.#dimension.read(info, values);
    let best = below;
    for (let i = 0; i < count; i++) {
      const value = values[i] ?? '';
      best = firstOf(this.#exact.get(value), info, best);
      if (this.#prefixes !== null) best = affixed(this.#prefixes, value, info, best);
      if (this.#suffixes !== null) best = affixed(this.#suffixes, value, info, best);
      if (this.#pairs.size > 0) best = this.#paired(value, info, best);
      if (this.#lengths.length > 0) best = this.#ranged(value, info, best);
    }
    return best;
  }

  /** "/a/b/c" has the pairs "/a/b" and "/b/c". */
  #paired(value: string, info: StreamInfo, below: number): number {
    let best = below;
    for (let start = value.indexOf('/'); start >= 0; ) {
      const middle = value.indexOf('/', start + 1);
      if (middle < 0) return best;
      const end = value.indexOf('/', middle + 1);
      best = firstOf(this.#pairs.get(end < 0 ? value.slice(start) : value.slice(start, end)), info, best);
      start = middle;
    }
    return best;
  }

  #ranged(value: string, info: StreamInfo, below: number): number {
    const address = parseIp(value);
    let best = below;
    if (address === null) return best;
    for (const length of this.#lengths) {
      if (length <= address.length * 8) best = firstOf(this.#ranges.get(rangeKey(address, length)), info, best);
    }
    return best;
  }
}

function affixed(table: AffixTable<Found>, value: string, info: StreamInfo, below: number): number {
  let best = below;
  for (let at = table.longest(value); at >= 0; at = table.shorter(at)) best = firstOf(table.value(at), info, best);
  return best;
}

function firstOf(found: Found | undefined, info: StreamInfo, below: number): number {
  if (found === undefined) return below;
  if (typeof found !== 'number') return found.first(info, below);
  return found < below ? found : below;
}
