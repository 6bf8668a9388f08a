import { Counter, Gauge, Histogram, type Child } from './child.ts';
import type { FamilySpec, Family, Series } from './family.ts';

/**
 * What changed in a registry since its last delta. Structured-clone and JSON friendly.
 * Families and series are named once; afterwards they are numbers, and `values` is [series, change…] with as many changes as the child has cells:
 * one for counters and gauges, buckets + 1 counts and the sum for histograms.
 */
export interface StatsDelta {
  readonly families: readonly { readonly id: number; readonly spec: FamilySpec }[];
  readonly series: readonly { readonly id: number; readonly family: number; readonly values: readonly string[] }[];
  /** Series forgotten since the last delta. */
  readonly removed: readonly number[];
  readonly values: Float64Array;
}

interface Tracked {
  readonly id: number;
  readonly family: number;
  readonly values: readonly string[];
  readonly child: Child;
}

/** The sending side: numbers families and series as they appear. */
export class DeltaTracker {
  readonly #families = new Map<Family, number>();
  readonly #tracked = new Map<Child, Tracked>();
  #newFamilies: { id: number; spec: FamilySpec }[] = [];
  #newSeries: Tracked[] = [];
  #removed: number[] = [];
  #nextSeries = 0;

  added(family: Family, series: Series): void {
    let familyId = this.#families.get(family);
    if (familyId === undefined) {
      familyId = this.#families.size;
      this.#families.set(family, familyId);
      this.#newFamilies.push({ id: familyId, spec: family.spec });
    }
    const tracked = { id: this.#nextSeries++, family: familyId, values: series.values, child: series.child };
    this.#tracked.set(series.child, tracked);
    this.#newSeries.push(tracked);
  }

  /** Its unreported rest is lost: removal says nobody asks any more. */
  removed(series: Series): void {
    const tracked = this.#tracked.get(series.child);
    if (!tracked) return;
    this.#tracked.delete(series.child);
    this.#removed.push(tracked.id);
  }

  take(): StatsDelta {
    const values: number[] = [];
    for (const tracked of this.#tracked.values()) pushChanges(tracked, values);
    const delta = {
      families: this.#newFamilies,
      series: this.#newSeries.map(({ id, family, values: labels }) => ({ id, family, values: labels })),
      removed: this.#removed,
      values: Float64Array.from(values),
    };
    this.#newFamilies = [];
    this.#newSeries = [];
    this.#removed = [];
    return delta;
  }
}

function pushChanges({ id, child }: Tracked, out: number[]): void {
  if (!(child instanceof Histogram)) {
    if (child.value === child.reported) return;
    out.push(id, child.value - child.reported);
    child.reported = child.value;
    return;
  }
  const before = out.length;
  let changed = child.sum !== child.reportedSum;
  out.push(id);
  for (let index = 0; index < child.counts.length; index++) {
    const change = (child.counts[index] ?? 0) - (child.reportedCounts[index] ?? 0);
    changed ||= change !== 0;
    out.push(change);
  }
  out.push(child.sum - child.reportedSum);
  if (!changed) {
    out.length = before;
    return;
  }
  child.reportedCounts.set(child.counts);
  child.reportedSum = child.sum;
}

/** Cells a child of this kind has in `StatsDelta.values`. */
export function cellsOf(child: Child): number {
  return child instanceof Histogram ? child.counts.length + 1 : 1;
}

/** Adds one series' changes, read from `values` at `offset`. */
export function addChanges(child: Child, values: Float64Array, offset: number): void {
  if (child instanceof Counter) child.inc(values[offset] ?? 0);
  else if (child instanceof Gauge) child.add(values[offset] ?? 0);
  else {
    for (let index = 0; index < child.counts.length; index++) child.counts[index] = (child.counts[index] ?? 0) + (values[offset + index] ?? 0);
    child.sum += values[offset + child.counts.length] ?? 0;
  }
}
