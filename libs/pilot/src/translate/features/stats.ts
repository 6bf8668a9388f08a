import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { PluginConfig } from '@meltemi/api/gen/istio/proxy/stats.ts';
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

/** A server must not believe the Host header about which service it is. */
function config({ direction }: FeatureContext) {
  return createAny('stats.PluginConfig', PluginConfig, { disableHostHeaderFallback: direction !== 'outbound' });
}
