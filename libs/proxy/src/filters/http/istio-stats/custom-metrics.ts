import type { StreamInfo } from '@meltemi/http';
import type { CelExpression } from '@meltemi/match';
import { latencyBucketsMs, type Counter, type Family, type Gauge, type Histogram, type StatsRegistry } from '@meltemi/observe';
import { labelText } from './tags.ts';

/** A metric of one's own: a definition of stats.PluginConfig with the labels that its metrics entries give it. */
export interface CustomMetric {
  /** Without "istio_". */
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** What is added, set or observed when a stream ends; no whole number counts as 0. */
  readonly value: CelExpression;
  readonly labels: readonly (readonly [name: string, value: CelExpression])[];
}

/** Counts metrics of one's own, once for every request or TCP connection. */
export class CustomMetrics {
  readonly #entries: readonly { readonly metric: CustomMetric; readonly family: Family }[];

  /** One whose name means something else already is left out: after a change of its kind, until the process starts anew. */
  constructor(metrics: readonly CustomMetric[], stats: StatsRegistry) {
    this.#entries = metrics.flatMap((metric) => {
      const family = stats.shaped({ kind: metric.kind, name: `istio_${metric.name}`, help: `Defined as ${metric.value.source}.`, labelNames: metric.labels.map(([name]) => name), buckets: metric.kind === 'histogram' ? latencyBucketsMs : [] });
      return family ? [{ metric, family }] : [];
    });
  }

  record(info: StreamInfo): void {
    for (const { metric, family } of this.#entries) {
      const child = family.labels(...metric.labels.map(([, value]) => labelText(value.evaluate(info))));
      const text = labelText(metric.value.evaluate(info));
      const amount = /^\d+$/.test(text) ? Number(text) : 0;
      if (metric.kind === 'counter') (child as Counter).inc(amount);
      else if (metric.kind === 'gauge') (child as Gauge).set(amount);
      else (child as Histogram).observe(amount);
    }
  }
}

/** Null when there are none. */
export function customMetrics(metrics: readonly CustomMetric[], stats: StatsRegistry): CustomMetrics | null {
  return metrics.length === 0 ? null : new CustomMetrics(metrics, stats);
}
