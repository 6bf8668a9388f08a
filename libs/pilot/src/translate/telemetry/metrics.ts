import type { IstioMetric, MeshConfigSpec, MetricsOverride, TagOverride, TelemetryMetrics } from '@meltemi/config';
import { providerNamed } from './providers.ts';

/** What proxies count of one side. */
export interface SideMetrics {
  /** Nothing at all. */
  readonly disabled: boolean;
  readonly overrides: readonly MetricOverride[];
}

export interface MetricOverride {
  /** Prometheus' name, without "istio_". */
  readonly name: string;
  readonly disabled: boolean;
  /** Tag → its expression; null: the tag is removed. */
  readonly tags: readonly (readonly [tag: string, value: string | null])[];
}

export interface CountedMetrics {
  readonly client: SideMetrics;
  readonly server: SideMetrics;
  readonly reportingIntervalMs: number | undefined;
}

type Side = 'client' | 'server';

/** Source: Istio's telemetry.go. */
const prometheusNames: Readonly<Record<Exclude<IstioMetric, 'ALL_METRICS'>, string>> = {
  REQUEST_COUNT: 'requests_total',
  REQUEST_DURATION: 'request_duration_milliseconds',
  REQUEST_SIZE: 'request_bytes',
  RESPONSE_SIZE: 'response_bytes',
  TCP_OPENED_CONNECTIONS: 'tcp_connections_opened_total',
  TCP_CLOSED_CONNECTIONS: 'tcp_connections_closed_total',
  TCP_SENT_BYTES: 'tcp_sent_bytes_total',
  TCP_RECEIVED_BYTES: 'tcp_received_bytes_total',
  GRPC_REQUEST_MESSAGES: 'request_messages_total',
  GRPC_RESPONSE_MESSAGES: 'response_messages_total',
};

/**
 * What a proxy counts for Prometheus, or undefined when it does not count: no provider in force is Prometheus. Without default providers that is
 * the built-in one. Deviation: of several Prometheus providers only the first is counted for; Istio would count every request once for each.
 */
export function countedMetrics(mesh: Pick<MeshConfigSpec, 'defaultProviders' | 'extensionProviders'>, entries: readonly TelemetryMetrics[]): CountedMetrics | undefined {
  const defaults = mesh.defaultProviders.metrics.length > 0 ? mesh.defaultProviders.metrics : ['prometheus'];
  const named = (entry: TelemetryMetrics) => entry.providers.map(({ name }) => name);
  const inScope = entries.map(named).findLast((names) => names.length > 0) ?? defaults;
  const provider = inScope.find((name) => providerNamed(mesh, name)?.prometheus !== undefined);
  if (provider === undefined) return undefined;
  const merging = { client: newSide(), server: newSide() };
  let reportingIntervalMs: number | undefined;
  let parent: readonly string[] = defaults;
  for (const entry of entries) {
    const names = named(entry);
    if (names.length > 0) parent = names;
    if (!parent.includes(provider)) continue;
    reportingIntervalMs = entry.reportingInterval ?? reportingIntervalMs;
    for (const override of entry.overrides) for (const side of sidesOf(override)) applyOverride(merging[side], override);
  }
  return { client: finished(merging.client), server: finished(merging.server), reportingIntervalMs };
}

interface Merging {
  disabled: boolean;
  readonly metrics: Map<string, { disabled: boolean; readonly tags: Map<string, TagOverride> }>;
}

function newSide(): Merging {
  return { disabled: false, metrics: new Map() };
}

function sidesOf({ match }: MetricsOverride): readonly Side[] {
  return match?.mode === 'CLIENT' ? ['client'] : match?.mode === 'SERVER' ? ['server'] : ['client', 'server'];
}

/** Disabling all metrics drops the whole side, until a later override speaks of it again. */
function applyOverride(side: Merging, { match, disabled, tagOverrides }: MetricsOverride): void {
  const all = match?.customMetric === undefined && (match?.metric === undefined || match.metric === 'ALL_METRICS');
  if (all && disabled === true) {
    side.disabled = true;
    return;
  }
  side.disabled = false;
  const names = all ? Object.values(prometheusNames) : [match?.customMetric ?? prometheusNames[match?.metric as keyof typeof prometheusNames]];
  for (const name of names) {
    const known = side.metrics.get(name) ?? { disabled: false, tags: new Map<string, TagOverride>() };
    if (disabled !== undefined) known.disabled = disabled;
    for (const [tag, change] of Object.entries(tagOverrides)) known.tags.set(tag, change);
    side.metrics.set(name, known);
  }
}

function finished({ disabled, metrics }: Merging): SideMetrics {
  const overrides = [...metrics].map(([name, entry]) => ({
    name,
    disabled: entry.disabled,
    tags: [...entry.tags].map(([tag, { operation, value }]) => [tag, operation === 'REMOVE' ? null : value] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  }));
  return { disabled, overrides: overrides.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}
