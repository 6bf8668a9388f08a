/** A value that only grows. `inc` is a plain addition: no check, no allocation. */
export class Counter {
  value = 0;
  /** What the last takeDelta() had seen. */
  reported = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

/** A value that goes up and down. Across workers gauges merge by sum. */
export class Gauge {
  value = 0;
  reported = 0;
  /** True once anything wrote it, also back to zero: Envoy's `usedonly` asks. */
  used = false;

  set(value: number): void {
    this.value = value;
    this.used = true;
  }

  add(by: number): void {
    this.value += by;
    this.used = true;
  }

  inc(by = 1): void {
    this.value += by;
    this.used = true;
  }

  dec(by = 1): void {
    this.value -= by;
    this.used = true;
  }
}

/** Counts per bucket (not cumulative; the last one is +Inf) and the sum. */
export class Histogram {
  readonly bounds: Float64Array;
  readonly counts: Float64Array;
  readonly reportedCounts: Float64Array;
  sum = 0;
  reportedSum = 0;

  constructor(bounds: Float64Array) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
    this.reportedCounts = new Float64Array(bounds.length + 1);
  }

  /** Adds one observation; a bound includes its own value (`le`). NaN is ignored: it would spoil the sum for good. */
  observe(value: number): void {
    if (value !== value) return;
    let low = 0;
    let high = this.bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (this.bounds[middle] ?? Infinity)) high = middle;
      else low = middle + 1;
    }
    this.counts[low] = (this.counts[low] ?? 0) + 1;
    this.sum += value;
  }

  get count(): number {
    let total = 0;
    for (const count of this.counts) total += count;
    return total;
  }
}

export type Child = Counter | Gauge | Histogram;
