import type { Counter, Gauge } from './child.ts';
import type { StatsDelta } from './delta.ts';
import type { Family } from './family.ts';
import type { DeltaMerger } from './merger.ts';
import { StatsRegistry } from './registry.ts';

export interface FlatStat {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly value: number;
}

/** Statistics by Envoy's dotted names ("cluster.x.upstream_rq_total"), as `/stats` prints them. Deltas and merging are those of StatsRegistry. */
export class FlatStats {
  readonly #registry: StatsRegistry;
  readonly #counters: Family<Counter>;
  readonly #gauges: Family<Gauge>;

  /** `maxStats` bounds counters and gauges each; default 50,000. */
  constructor(options: { maxStats?: number } = {}) {
    this.#registry = new StatsRegistry({ maxSeriesPerFamily: options.maxStats ?? 50_000 });
    this.#counters = this.#registry.counter('flat_counter', '', ['name']);
    this.#gauges = this.#registry.gauge('flat_gauge', '', ['name']);
  }

  counter(name: string): Counter {
    return this.#counters.labels(name);
  }

  gauge(name: string): Gauge {
    return this.#gauges.labels(name);
  }

  /** Forgets every statistic whose name starts with `prefix`, for example "cluster.reviews." when that cluster is gone. */
  removePrefix(prefix: string): void {
    for (const family of [this.#counters, this.#gauges] as const)
      for (const { values } of family.series()) if (values[0]?.startsWith(prefix)) family.remove(...values);
  }

  /** Sets every counter to zero; gauges stay. Deltas taken or merged later count from there. */
  resetCounters(): void {
    for (const { child } of this.#counters.series()) {
      child.value = 0;
      child.reported = 0;
    }
  }

  /** Sorted by name. `usedOnly` leaves out what nobody ever wrote. */
  entries(options: { filter?: Pick<RegExp, 'test'>; usedOnly?: boolean } = {}): FlatStat[] {
    const found: FlatStat[] = [];
    for (const { values, child } of this.#counters.series()) if (!options.usedOnly || child.value !== 0) found.push({ name: values[0] ?? '', kind: 'counter', value: child.value });
    for (const { values, child } of this.#gauges.series()) if (!options.usedOnly || child.used) found.push({ name: values[0] ?? '', kind: 'gauge', value: child.value });
    return found.filter(({ name }) => options.filter?.test(name) ?? true).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** "name: value" a line. */
  text(options: { filter?: Pick<RegExp, 'test'>; usedOnly?: boolean } = {}): string {
    return this.entries(options)
      .map(({ name, value }) => `${name}: ${value}\n`)
      .join('');
  }

  takeDelta(): StatsDelta {
    return this.#registry.takeDelta();
  }

  merger(): DeltaMerger {
    return this.#registry.merger();
  }
}
