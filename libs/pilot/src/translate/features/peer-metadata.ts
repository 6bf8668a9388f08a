import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Config } from '@meltemi/api/gen/istio/proxy/peer_metadata.ts';
import { effectiveProxyConfig } from '../../push-context/proxy-config.ts';
import { create, createAny, typed } from '../message.ts';
import type { HttpFeature } from './feature.ts';

const byHeaders = { methodSpecifier: { $case: 'istioHeaders', value: { skipExternalClusters: false } } } as const;
/** Services outside of the mesh are told nothing. */
const byHeadersInMesh = { methodSpecifier: { $case: 'istioHeaders', value: { skipExternalClusters: true } } } as const;
const byDiscovery = { methodSpecifier: { $case: 'workloadDiscovery', value: {} } } as const;

/** Who is at the other end: told by headers, for the labels of the standard metrics. Istio's own filter: a plain Envoy has none. */
export const peerMetadata: HttpFeature = {
  name: 'envoy.filters.http.peer_metadata',
  filter({ push, proxy, direction }) {
    if (!proxy.istioFilters) return undefined;
    const propagation = effectiveProxyConfig(push, proxy).proxyHeaders?.metadataExchangeHeaders?.mode === 'IN_MESH' ? byHeadersInMesh : byHeaders;
    const config =
      direction === 'inbound'
        ? { downstreamDiscovery: [byHeaders, byDiscovery], downstreamPropagation: [byHeaders] }
        : { upstreamDiscovery: [byHeaders, byDiscovery], upstreamPropagation: [propagation] };
    return create(HttpFilter, typed(this.name, createAny('io.istio.http.peer_metadata.Config', Config, config)));
  },
};
