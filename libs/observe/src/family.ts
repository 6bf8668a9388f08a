import { Counter, Gauge, Histogram, type Child } from './child.ts';

export type FamilyKind = 'counter' | 'gauge' | 'histogram';

/** What a family is made of; sent once to whoever merges its deltas. */
export interface FamilySpec {
  readonly kind: FamilyKind;
  /** [a-zA-Z_:][a-zA-Z0-9_:]* */
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper bounds, ascending, without +Inf; histograms only. */
  readonly buckets: readonly number[];
  /** Has other labels than the family of this name, and is shown with it: a metric of several shapes. */
  readonly variant?: true;
}

export interface Series<C extends Child = Child> {
  readonly values: readonly string[];
  readonly child: C;
}

/** The label value of the one series that takes what no longer fits. */
export const overflowLabel = 'overflow';

/** All series of one metric name. `labels()` looks a handle up (and makes it); keep the handle, the hot path then only adds numbers. */
export class Family<C extends Child = Child> {
  readonly spec: FamilySpec;
  readonly maxSeries: number;
  readonly #create: () => C;
  readonly #onChange: (change: 'added' | 'removed' | 'dropped', family: Family<C>, series: Series<C> | null) => void;
  readonly #series = new Map<string, Series<C>>();
  #overflow: Series<C> | null = null;

  constructor(spec: FamilySpec, options: { maxSeries: number; create: () => C; onChange: (change: 'added' | 'removed' | 'dropped', family: Family<C>, series: Series<C> | null) => void }) {
    this.spec = spec;
    this.maxSeries = options.maxSeries;
    this.#create = options.create;
    this.#onChange = options.onChange;
  }

  /** The handle for these label values, in the order of `labelNames`. Past the family's limit every new set shares the overflow series. */
  labels(...values: string[]): C {
    if (values.length !== this.spec.labelNames.length) throw new Error(`${this.spec.name} has ${this.spec.labelNames.length} labels (${this.spec.labelNames.join(', ')}), got ${values.length} values`);
    const key = seriesKey(values);
    const known = this.#series.get(key);
    if (known) return known.child;
    if (this.#series.size >= this.maxSeries) {
      this.#onChange('dropped', this, null);
      return this.#overflowChild();
    }
    return this.#add(key, values).child;
  }

  /** Forgets a series, for example of a cluster that is gone. Handles still held write into nothing. */
  remove(...values: string[]): boolean {
    const key = seriesKey(values);
    const series = this.#series.get(key);
    if (!series) return false;
    this.#series.delete(key);
    if (series === this.#overflow) this.#overflow = null;
    this.#onChange('removed', this, series);
    return true;
  }

  series(): Iterable<Series<C>> {
    return this.#series.values();
  }

  get size(): number {
    return this.#series.size;
  }

  #overflowChild(): C {
    if (!this.#overflow) {
      const values = this.spec.labelNames.map(() => overflowLabel);
      const key = seriesKey(values);
      this.#overflow = this.#series.get(key) ?? this.#add(key, values);
    }
    return this.#overflow.child;
  }

  #add(key: string, values: readonly string[]): Series<C> {
    const series: Series<C> = { values: [...values], child: this.#create() };
    this.#series.set(key, series);
    this.#onChange('added', this, series);
    return series;
  }
}

/** Length-prefixed, so that no label value can imitate two others. */
function seriesKey(values: readonly string[]): string {
  if (values.length === 1) return values[0] ?? '';
  let key = '';
  for (const value of values) key += `${value.length}:${value}`;
  return key;
}

/** Makes an empty child for a family of this kind. */
export function childFactory(spec: FamilySpec): () => Child {
  if (spec.kind === 'counter') return () => new Counter();
  if (spec.kind === 'gauge') return () => new Gauge();
  const bounds = Float64Array.from(spec.buckets);
  return () => new Histogram(bounds);
}
