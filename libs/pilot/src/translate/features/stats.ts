import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { MetricConfig, PluginConfig } from '@meltemi/api/gen/istio/proxy/stats.ts';
import { appliedTelemetry } from '../../push-context/telemetry.ts';
import { create, createAny, optionalDuration, typed } from '../message.ts';
import { countedMetrics, type MetricOverride } from '../telemetry/metrics.ts';
import type { FeatureContext, HttpFeature } from './feature.ts';

/** The standard istio_* metrics. Istio's own filter: a plain Envoy has none. */
export const stats: HttpFeature = {
  name: 'istio.stats',
  filter: (context) => (context.proxy.istioFilters ? create(HttpFilter, typed('istio.stats', config(context))) : undefined),
};

/** The same for TCP: a network filter before the TCP proxy. */
export function tcpStats(context: FeatureContext): Filter[] {
  return context.proxy.istioFilters ? [create(Filter, typed('istio.stats', config(context)))] : [];
}

/** A server must not believe the Host header about which service it is. Filters that do not count stay: what they learn of both ends goes into access logs. */
function config({ push, proxy, direction, mesh }: FeatureContext) {
  const counted = countedMetrics(mesh, appliedTelemetry(push, proxy).metrics);
  const side = direction === 'inbound' ? counted?.server : counted?.client;
  return createAny('stats.PluginConfig', PluginConfig, {
    disableHostHeaderFallback: direction !== 'outbound',
    tcpReportingDuration: optionalDuration(counted?.reportingIntervalMs),
    metrics: side && !side.disabled ? side.overrides.map(metric) : [create(MetricConfig, { drop: true })],
  });
}

function metric({ name, disabled, tags }: MetricOverride): MetricConfig {
  return create(MetricConfig, {
    name,
    drop: disabled,
    dimensions: Object.fromEntries(tags.flatMap(([tag, value]) => (value === null ? [] : [[tag, value]]))),
    tagsToRemove: tags.flatMap(([tag, value]) => (value === null ? [tag] : [])),
  });
}
