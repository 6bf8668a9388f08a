import type { Child, Counter, Gauge, Histogram } from './child.ts';
import { DeltaTracker, type StatsDelta } from './delta.ts';
import { childFactory, Family, type FamilyKind, type FamilySpec, type Series } from './family.ts';
import { DeltaMerger } from './merger.ts';

/** Milliseconds, from half a millisecond to an hour: the bounds of Istio's and Envoy's latency histograms. */
export const latencyBucketsMs: readonly number[] = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000];

export interface StatsRegistryOptions {
  /** Series a family may have before further label sets share its overflow series. Default 5000. */
  readonly maxSeriesPerFamily?: number;
}

/**
 * All metric families of one thread. Declaring a name again with the same shape returns the same family; with another shape it throws.
 * Workers send `takeDelta()`; the control thread merges them through one `merger()` per worker.
 */
export class StatsRegistry {
  readonly #families = new Map<string, Family>();
  readonly #maxSeries: number;
  readonly #tracker = new DeltaTracker();
  readonly #holds = new Map<Child, number>();
  readonly #beforeRead: (() => void)[] = [];
  #dropped: Family<Counter> | null = null;

  constructor(options: StatsRegistryOptions = {}) {
    this.#maxSeries = options.maxSeriesPerFamily ?? 5000;
  }

  counter(name: string, help: string, labelNames: readonly string[] = []): Family<Counter> {
    return this.#declare({ kind: 'counter', name, help, labelNames, buckets: [] }) as Family<Counter>;
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): Family<Gauge> {
    return this.#declare({ kind: 'gauge', name, help, labelNames, buckets: [] }) as Family<Gauge>;
  }

  /** `buckets` are upper bounds, ascending, without +Inf. */
  histogram(name: string, help: string, labelNames: readonly string[] = [], buckets: readonly number[] = latencyBucketsMs): Family<Histogram> {
    return this.#declare({ kind: 'histogram', name, help, labelNames, buckets }) as Family<Histogram>;
  }

  /** A family with the name, help and buckets of another one and labels of its own: that one itself when they are the same. */
  variant<C extends Child>(of: Family<C>, labelNames: readonly string[]): Family<C> {
    if (of.spec.labelNames.join() === labelNames.join()) return of;
    return this.#declare({ ...of.spec, labelNames, variant: true }) as Family as unknown as Family<C>;
  }

  /** A family that may share its name with others of its kind that have other labels; undefined when the name is another kind's. */
  shaped(spec: Omit<FamilySpec, 'variant'>): Family | undefined {
    for (const known of this.#families.values()) if (known.spec.name === spec.name && (known.spec.kind !== spec.kind || known.spec.buckets.join() !== spec.buckets.join())) return undefined;
    return this.#declare({ ...spec, variant: true });
  }

  /** Families by name, for exposition; runs the `beforeRead` hooks first. */
  read(): readonly Family[] {
    for (const refresh of this.#beforeRead) refresh();
    return [...this.#families.values()].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  }

  /** `refresh` runs before each exposition and delta, for values that are measured when asked (memory, uptime). */
  beforeRead(refresh: () => void): void {
    this.#beforeRead.push(refresh);
  }

  /** Changes since the last call, merged ones included. */
  takeDelta(): StatsDelta {
    for (const refresh of this.#beforeRead) refresh();
    return this.#tracker.take();
  }

  /** Where one worker's deltas go. */
  merger(): DeltaMerger {
    return new DeltaMerger({
      family: (spec) => this.#declare(spec),
      hold: (child) => void this.#holds.set(child, (this.#holds.get(child) ?? 0) + 1),
      release: (child) => this.#release(child),
    });
  }

  #release(child: Child): boolean {
    const left = (this.#holds.get(child) ?? 1) - 1;
    if (left > 0) this.#holds.set(child, left);
    else this.#holds.delete(child);
    return left <= 0;
  }

  #declare(spec: FamilySpec): Family {
    const key = spec.variant ? `${spec.name}{${spec.labelNames.join()}}` : spec.name;
    const known = this.#families.get(key);
    if (known) {
      if (!sameShape(known.spec, spec)) throw new Error(`metric ${spec.name} is already declared as ${describe(known.spec)}, not ${describe(spec)}`);
      return known;
    }
    checkSpec(spec);
    const family: Family = new Family<Child>(spec, { maxSeries: this.#maxSeries, create: childFactory(spec), onChange: (change, of, series) => this.#changed(change, of, series) });
    this.#families.set(key, family);
    if (spec.labelNames.length === 0) family.labels();
    return family;
  }

  #changed(change: 'added' | 'removed' | 'dropped', family: Family, series: Series | null): void {
    if (change === 'dropped') {
      this.#dropped ??= this.counter('meltemi_stats_overflow_total', 'Look-ups of label sets beyond the limit of series of a metric; they share its overflow series.', ['metric']);
      this.#dropped.labels(family.spec.name).inc();
    } else if (series && change === 'added') this.#tracker.added(family, series);
    else if (series) this.#tracker.removed(series);
  }
}

function checkSpec(spec: FamilySpec): void {
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(spec.name)) throw new Error(`"${spec.name}" is not a metric name: use letters, digits, _ and :`);
  for (const label of spec.labelNames) if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) || label === 'le') throw new Error(`metric ${spec.name}: "${label}" is not a label name`);
  if (spec.kind !== 'histogram') return;
  for (let index = 0; index < spec.buckets.length; index++)
    if (!Number.isFinite(spec.buckets[index]) || (index > 0 && (spec.buckets[index] ?? 0) <= (spec.buckets[index - 1] ?? 0))) throw new Error(`metric ${spec.name}: buckets must be finite and ascending`);
}

function sameShape(a: FamilySpec, b: FamilySpec): boolean {
  return a.kind === b.kind && a.labelNames.join() === b.labelNames.join() && a.buckets.join() === b.buckets.join();
}

function describe(spec: { kind: FamilyKind; labelNames: readonly string[] }): string {
  return `${spec.kind}(${spec.labelNames.join(', ')})`;
}
