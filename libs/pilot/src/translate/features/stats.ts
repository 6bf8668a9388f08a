import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { MetricConfig, PluginConfig } from '@meltemi/api/gen/istio/proxy/stats.ts';
import type { ExtensionProvider, MeshConfigSpec } from '@meltemi/config';
import { create, createAny, typed } from '../message.ts';
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
function config({ direction, mesh }: FeatureContext) {
  const metrics = proxiesCount(mesh) ? [] : [create(MetricConfig, { drop: true })];
  return createAny('stats.PluginConfig', PluginConfig, { disableHostHeaderFallback: direction !== 'outbound', metrics });
}

/**
 * Whether proxies count: unless MeshConfig names default metrics providers and none of them is Prometheus. Then somebody else owns the metrics,
 * as the telemetry program does with --own-prometheus.
 */
export function proxiesCount({ defaultProviders, extensionProviders }: Pick<MeshConfigSpec, 'defaultProviders' | 'extensionProviders'>): boolean {
  const { metrics } = defaultProviders;
  return metrics.length === 0 || metrics.some((name) => isPrometheus(name, extensionProviders));
}

/** A provider of its own hides the built-in one of its name. */
function isPrometheus(name: string, providers: readonly ExtensionProvider[]): boolean {
  const provider = providers.find((candidate) => candidate.name === name);
  return provider === undefined ? name === 'prometheus' : provider.prometheus !== undefined;
}
