import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import type { DnsCacheConfig } from '@meltemi/api/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts';
import { FilterConfig } from '@meltemi/api/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { FilterConfig as SniConfig } from '@meltemi/api/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy.ts';
import type { Service } from '../../registry/model.ts';
import { serviceDnsCache } from '../clusters/dynamic.ts';
import { create, createAny, typed } from '../message.ts';
import type { FeatureContext, HttpFeature } from './feature.ts';

/** Looks up hosts of requests: those of the wildcards on the listener (resolution DYNAMIC_DNS), and under ALLOW_ANY_DYNAMIC_DNS all that no object names. */
export const dynamicForwardProxy: HttpFeature = {
  name: 'envoy.filters.http.dynamic_forward_proxy',
  filter({ dnsCaches = [] }) {
    return dnsCaches.map((cache) => httpFilter(this.name, cache));
  },
};

function httpFilter(name: string, cache: DnsCacheConfig): HttpFilter {
  return create(HttpFilter, typed(name, createAny('envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig', FilterConfig, { implementationSpecifier: { $case: 'dnsCacheConfig', value: cache } })));
}

/** Looks up the server that TLS asks for, on the port of the service. */
export function sniDynamicForwardProxy({ push, proxy }: FeatureContext, service: Service, port: number): Filter {
  const config = { dnsCacheConfig: serviceDnsCache(push, proxy, service), portSpecifier: { $case: 'portValue', value: port } } as const;
  return create(Filter, typed('envoy.filters.network.sni_dynamic_forward_proxy', createAny('envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig', SniConfig, config)));
}
