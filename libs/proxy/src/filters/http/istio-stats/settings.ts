import { ok, type Result } from '@meltemi/base';
import { PluginConfig, Reporter, type MetricConfig } from '@meltemi/api/gen/istio/proxy/stats.ts';
import { compileCel, type CelExpression } from '@meltemi/match';
import type { ParseContext } from '@meltemi/snapshot';
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
  /** How often bytes of open TCP connections are counted; undefined: when they close. */
  readonly tcpReportingMs: number | undefined;
}

/** What these filters count, by the names a config uses. */
export const istioMetrics = [
  'requests_total', 'request_duration_milliseconds', 'request_bytes', 'response_bytes',
  'tcp_connections_opened_total', 'tcp_connections_closed_total', 'tcp_sent_bytes_total', 'tcp_received_bytes_total',
] as const;

export type IstioMetric = (typeof istioMetrics)[number];

/** Counted by nobody here yet, so dropping them changes nothing. */
const uncounted: readonly string[] = ['request_messages_total', 'response_messages_total'];

/** Reads a stats.PluginConfig. What it asks and is not done is warned of by its field: nothing here changes traffic. */
export function parseIstioStats(bytes: Uint8Array, ctx: ParseContext): Result<IstioStatsConfig> {
  const message = PluginConfig.decode(bytes);
  const dropped = new Set<IstioMetric>();
  const tags = new Map<IstioMetric, Overrides>();
  for (const [i, metric] of message.metrics.entries()) readMetric(metric, { path: `${ctx.path}.metrics[${i}]`, ctx, dropped, tags });
  if (message.definitions.length > 0) ctx.warn(`${ctx.path}.definitions`, 'metrics of your own are not counted: the standard ones are');
  if (message.reporter === Reporter.SERVER_GATEWAY) ctx.warn(`${ctx.path}.reporter`, 'a gateway reports as source: SERVER_GATEWAY is not applied');
  const tuned = { rotation_interval: message.rotationInterval, graceful_deletion_interval: message.gracefulDeletionInterval, enable_open_metrics: message.enableOpenMetrics };
  for (const [field, value] of Object.entries(tuned)) if (value !== undefined) ctx.warn(`${ctx.path}.${field}`, 'is not applied');
  const reporting = message.tcpReportingDuration;
  const tcpReportingMs = reporting === undefined ? undefined : Math.max(minReportingMs, Number(reporting.seconds) * 1000 + reporting.nanos / 1e6);
  return ok({ disableHostHeaderFallback: message.disableHostHeaderFallback, dropped, tags, tcpReportingMs });
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
  readonly path: string;
  readonly ctx: ParseContext;
  readonly dropped: Set<IstioMetric>;
  readonly tags: Map<IstioMetric, Overrides>;
}

/** A bucket has this name already. */
const labelName = /^(?!le$)[a-zA-Z_][a-zA-Z0-9_]*$/;
const minReportingMs = 1000;

function readMetric(metric: MetricConfig, reading: Reading): void {
  const { path, ctx, dropped } = reading;
  if (metric.match !== '') ctx.warn(`${path}.match`, 'expressions are not evaluated: this entry is left out');
  else if (metric.drop) drop(metric.name, path, ctx, dropped);
  else readTags(metric, reading);
}

/** A label is removed, or gets an expression; later entries win. */
function readTags(metric: MetricConfig, { path, ctx, tags }: Reading): void {
  const expressions = expressionsOf(metric, `${path}.dimensions`, ctx);
  for (const name of named(metric.name)) {
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
function named(written: string): readonly IstioMetric[] {
  const wanted = written.replace(/^istio_/, '');
  return istioMetrics.filter((name) => wanted === '' || name === wanted);
}

/** "" drops all. */
function drop(written: string, path: string, ctx: ParseContext, dropped: Set<IstioMetric>): void {
  const names = named(written);
  for (const name of names) dropped.add(name);
  if (names.length === 0 && !uncounted.includes(written.replace(/^istio_/, ''))) ctx.warn(`${path}.name`, `"${written}" is not a standard metric: one of ${istioMetrics.join(', ')}`);
}
