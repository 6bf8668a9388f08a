import { ok, type Result } from '@meltemi/base';
import { MetricType, PluginConfig, Reporter, type MetricConfig } from '@meltemi/api/gen/istio/proxy/stats.ts';
import { compileCel, type CelExpression } from '@meltemi/match';
import type { ParseContext } from '@meltemi/snapshot';
import type { CustomMetric } from './custom-metrics.ts';
import type { TagOverrides } from './tags.ts';

export const istioStatsTypeUrl = 'type.googleapis.com/stats.PluginConfig';

/** What the stats filters of HTTP and TCP do. */
export interface IstioStatsConfig {
  /** A server does not take the Host header for the name of its service. */
  readonly disableHostHeaderFallback: boolean;
  /** Metrics that are not counted, by Istio's names without "istio_". Both ends are told to access logs all the same. */
  readonly dropped: ReadonlySet<IstioMetric>;
  /** Labels that metrics have otherwise than by Istio's standard. */
  readonly tags: ReadonlyMap<IstioMetric, TagOverrides>;
  /** Metrics of one's own. */
  readonly custom: readonly CustomMetric[];
  /** How often bytes of open TCP connections and messages of open gRPC streams are counted; 0: when they end. */
  readonly reportingMs: number;
}

/** What these filters count, by the names a config uses. */
export const istioMetrics = [
  'requests_total', 'request_duration_milliseconds', 'request_bytes', 'response_bytes', 'request_messages_total', 'response_messages_total',
  'tcp_connections_opened_total', 'tcp_connections_closed_total', 'tcp_sent_bytes_total', 'tcp_received_bytes_total',
] as const;

export type IstioMetric = (typeof istioMetrics)[number];

/** Reads a stats.PluginConfig. What it asks and is not done is warned of by its field: nothing here changes traffic. */
export function parseIstioStats(bytes: Uint8Array, ctx: ParseContext): Result<IstioStatsConfig> {
  const message = PluginConfig.decode(bytes);
  const definitions = definitionsOf(message, ctx);
  const reading: Reading = { dropped: new Set(), tags: new Map(), names: [...istioMetrics, ...definitions.map(({ name }) => name)] };
  for (const [i, metric] of message.metrics.entries()) readMetric(metric, `${ctx.path}.metrics[${i}]`, ctx, reading);
  if (message.reporter === Reporter.SERVER_GATEWAY) ctx.warn(`${ctx.path}.reporter`, 'a gateway reports as source: SERVER_GATEWAY is not applied');
  const tuned = { rotation_interval: message.rotationInterval, graceful_deletion_interval: message.gracefulDeletionInterval, enable_open_metrics: message.enableOpenMetrics };
  for (const [field, value] of Object.entries(tuned)) if (value !== undefined) ctx.warn(`${ctx.path}.${field}`, 'is not applied');
  const custom = definitions.filter(({ name }) => !reading.dropped.has(name)).map((metric) => ({ ...metric, labels: sortedLabels(reading.tags.get(metric.name)) }));
  const standard = istioMetrics.flatMap((name) => {
    const tags = reading.tags.get(name);
    return tags ? [[name, tags] as const] : [];
  });
  return ok({
    disableHostHeaderFallback: message.disableHostHeaderFallback,
    dropped: new Set(istioMetrics.filter((name) => reading.dropped.has(name))),
    tags: new Map(standard),
    custom,
    reportingMs: reportingMs(message),
  });
}

/** True when none of these is counted. */
export function allDropped({ dropped }: IstioStatsConfig, names: readonly IstioMetric[]): boolean {
  return names.every((name) => dropped.has(name));
}

interface Overrides extends TagOverrides {
  readonly set: Map<string, CelExpression>;
  readonly removed: Set<string>;
}

interface Reading {
  /** All metrics there are, those of one's own too. */
  readonly names: readonly string[];
  readonly dropped: Set<string>;
  readonly tags: Map<string, Overrides>;
}

type Definition = Omit<CustomMetric, 'labels'>;

/** A bucket has this name already. */
const labelName = /^(?!le$)[a-zA-Z_][a-zA-Z0-9_]*$/;
const metricName = /^[a-zA-Z0-9_:]+$/;
/** The filter's default in Istio. */
const defaultReportingMs = 5000;
const minReportingMs = 1000;
const kinds = { [MetricType.COUNTER]: 'counter', [MetricType.GAUGE]: 'gauge', [MetricType.HISTOGRAM]: 'histogram', [MetricType.UNRECOGNIZED]: 'counter' } as const;

function reportingMs({ tcpReportingDuration: asked }: PluginConfig): number {
  if (asked === undefined) return defaultReportingMs;
  const ms = Number(asked.seconds) * 1000 + asked.nanos / 1e6;
  return ms <= 0 ? 0 : Math.max(minReportingMs, ms);
}

/** Of several of one name the first counts. */
function definitionsOf({ definitions }: PluginConfig, ctx: ParseContext): Definition[] {
  const found = new Map<string, Definition>();
  for (const [i, { name, value, type }] of definitions.entries()) {
    const path = `${ctx.path}.definitions[${i}]`;
    const expression = compileCel(value);
    if (!metricName.test(name) || (istioMetrics as readonly string[]).includes(name)) ctx.warn(`${path}.name`, `"${name}" is not a name of a metric of your own: it is left out`);
    else if (!expression.ok) ctx.warn(`${path}.value`, `${expression.error}: the metric is left out`);
    else if (!found.has(name)) found.set(name, { name, kind: kinds[type], value: expression.value });
  }
  return [...found.values()];
}

function sortedLabels(overrides: Overrides | undefined): CustomMetric['labels'] {
  return [...(overrides?.set ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function readMetric(metric: MetricConfig, path: string, ctx: ParseContext, reading: Reading): void {
  if (metric.match !== '') ctx.warn(`${path}.match`, 'expressions are not evaluated, as in Istio: this entry is left out');
  else if (metric.drop) drop(metric.name, path, ctx, reading);
  else readTags(metric, path, ctx, reading);
}

/** A label is removed, or gets an expression; later entries win. */
function readTags(metric: MetricConfig, path: string, ctx: ParseContext, { tags, names }: Reading): void {
  const expressions = expressionsOf(metric, `${path}.dimensions`, ctx);
  for (const name of named(metric.name, names)) {
    const known = tags.get(name) ?? { set: new Map<string, CelExpression>(), removed: new Set<string>() };
    for (const tag of metric.tagsToRemove) {
      known.set.delete(tag);
      known.removed.add(tag);
    }
    for (const [tag, expression] of expressions) {
      known.removed.delete(tag);
      known.set.set(tag, expression);
    }
    if (known.set.size > 0 || known.removed.size > 0) tags.set(name, known);
  }
}

function expressionsOf({ dimensions }: MetricConfig, path: string, ctx: ParseContext): readonly (readonly [string, CelExpression])[] {
  return Object.entries(dimensions).flatMap(([tag, text]) => {
    const expression = compileCel(text);
    if (labelName.test(tag) && expression.ok) return [[tag, expression.value] as const];
    ctx.warn(path, `${expression.ok ? `"${tag}" is not a label name` : `${tag}: ${expression.error}`}: it is left out`);
    return [];
  });
}

/** "" is all. */
function named(written: string, names: readonly string[]): readonly string[] {
  const wanted = written.replace(/^istio_/, '');
  return names.filter((name) => wanted === '' || name === wanted || name === written);
}

/** "" drops all. Deviation: metrics of one's own are dropped, too; Istio's filter drops standard ones alone. */
function drop(written: string, path: string, ctx: ParseContext, { dropped, names }: Reading): void {
  const wanted = named(written, names);
  for (const name of wanted) dropped.add(name);
  if (wanted.length === 0) ctx.warn(`${path}.name`, `"${written}" is not a metric: one of ${names.join(', ')}`);
}
