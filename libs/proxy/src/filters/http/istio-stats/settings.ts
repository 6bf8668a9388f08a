import { ok, type Result } from '@meltemi/base';
import { PluginConfig, Reporter, type MetricConfig } from '@meltemi/api/gen/istio/proxy/stats.ts';
import type { ParseContext } from '@meltemi/snapshot';

export const istioStatsTypeUrl = 'type.googleapis.com/stats.PluginConfig';

/** What the stats filters of HTTP and TCP do. */
export interface IstioStatsConfig {
  /** A server does not take the Host header for the name of its service. */
  readonly disableHostHeaderFallback: boolean;
  /** Metrics that are not counted, by Istio's names without "istio_". Both ends are told to access logs all the same. */
  readonly dropped: ReadonlySet<IstioMetric>;
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
  for (const [i, metric] of message.metrics.entries()) readMetric(metric, { path: `${ctx.path}.metrics[${i}]`, ctx, dropped });
  if (message.definitions.length > 0) ctx.warn(`${ctx.path}.definitions`, 'metrics of your own are not counted: the standard ones are');
  if (message.reporter === Reporter.SERVER_GATEWAY) ctx.warn(`${ctx.path}.reporter`, 'a gateway reports as source: SERVER_GATEWAY is not applied');
  const tuned = { tcp_reporting_duration: message.tcpReportingDuration, rotation_interval: message.rotationInterval, graceful_deletion_interval: message.gracefulDeletionInterval, enable_open_metrics: message.enableOpenMetrics };
  for (const [field, value] of Object.entries(tuned)) if (value !== undefined) ctx.warn(`${ctx.path}.${field}`, 'is not applied');
  return ok({ disableHostHeaderFallback: message.disableHostHeaderFallback, dropped });
}

/** True when none of these is counted. */
export function allDropped({ dropped }: IstioStatsConfig, names: readonly IstioMetric[]): boolean {
  return names.every((name) => dropped.has(name));
}

function readMetric(metric: MetricConfig, { path, ctx, dropped }: { path: string; ctx: ParseContext; dropped: Set<IstioMetric> }): void {
  if (Object.keys(metric.dimensions).length > 0) ctx.warn(`${path}.dimensions`, 'the standard labels are kept as they are');
  if (metric.tagsToRemove.length > 0) ctx.warn(`${path}.tags_to_remove`, 'the standard labels are kept as they are');
  if (metric.match !== '') ctx.warn(`${path}.match`, 'expressions are not evaluated: this entry is left out');
  else if (metric.drop) drop(metric.name, path, ctx, dropped);
}

/** "" drops all. */
function drop(written: string, path: string, ctx: ParseContext, dropped: Set<IstioMetric>): void {
  const wanted = written.replace(/^istio_/, '');
  const names = istioMetrics.filter((name) => wanted === '' || name === wanted);
  for (const name of names) dropped.add(name);
  if (names.length === 0 && !uncounted.includes(wanted)) ctx.warn(`${path}.name`, `"${written}" is not a standard metric: one of ${istioMetrics.join(', ')}`);
}
