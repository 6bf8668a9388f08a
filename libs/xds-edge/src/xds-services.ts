import { ClusterDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/cluster/v3/cds.ts';
import { AggregatedDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/discovery/v3/ads.ts';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { EndpointDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/endpoint/v3/eds.ts';
import { ExtensionConfigDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/extension/v3/config_discovery.ts';
import { ListenerDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/listener/v3/lds.ts';
import { RouteDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/route/v3/rds.ts';
import { ScopedRoutesDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/route/v3/srds.ts';
import { SecretDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/secret/v3/sds.ts';
import { xdsType } from '@meltemi/xds';

/** A bidirectional stream of one gRPC service. */
export interface StreamMethod<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** The two protocols' methods of one service. */
export interface XdsService {
  readonly sotw: StreamMethod<DiscoveryRequest, DiscoveryResponse>;
  readonly delta: StreamMethod<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
}

/** All types over one stream. */
export const aggregatedService: XdsService = { sotw: AggregatedDiscoveryServiceService.streamAggregatedResources, delta: AggregatedDiscoveryServiceService.deltaAggregatedResources };

/** One type each. */
export const separateServices: ReadonlyMap<string, XdsService> = new Map<string, XdsService>([
  [xdsType.listener, { sotw: ListenerDiscoveryServiceService.streamListeners, delta: ListenerDiscoveryServiceService.deltaListeners }],
  [xdsType.cluster, { sotw: ClusterDiscoveryServiceService.streamClusters, delta: ClusterDiscoveryServiceService.deltaClusters }],
  [xdsType.endpoint, { sotw: EndpointDiscoveryServiceService.streamEndpoints, delta: EndpointDiscoveryServiceService.deltaEndpoints }],
  [xdsType.route, { sotw: RouteDiscoveryServiceService.streamRoutes, delta: RouteDiscoveryServiceService.deltaRoutes }],
  [xdsType.scope, { sotw: ScopedRoutesDiscoveryServiceService.streamScopedRoutes, delta: ScopedRoutesDiscoveryServiceService.deltaScopedRoutes }],
  [xdsType.extension, { sotw: ExtensionConfigDiscoveryServiceService.streamExtensionConfigs, delta: ExtensionConfigDiscoveryServiceService.deltaExtensionConfigs }],
  [xdsType.secret, { sotw: SecretDiscoveryServiceService.streamSecrets, delta: SecretDiscoveryServiceService.deltaSecrets }],
]);
