import type { ConnectionPoolSettings } from '@meltemi/config';
import { Cluster, Cluster_DiscoveryType, Cluster_LbPolicy } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { BindConfig, SocketAddress } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import { Metadata } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Endpoint, LbEndpoint, LocalityLbEndpoints } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint_components.ts';
import { inboundCluster, wellKnownClusters } from '@meltemi/xds';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { inboundPorts, type InboundPort } from '../inbound-ports.ts';
import { address, create } from '../message.ts';
import { protocolOptions } from './protocol-options.ts';
import { applyTrafficPolicy } from './traffic-policy.ts';

/** Connections to the application come from here, so that interception rules let them through. Source: Istio. */
function passthroughSource({ families }: Proxy): BindConfig {
  return create(BindConfig, { sourceAddress: create(SocketAddress, { address: families.v4 ? '127.0.0.6' : '::6', portSpecifier: { $case: 'portValue', value: 0 } }) });
}

/** A cluster per port the workload serves. */
export function inboundClusters(push: PushContext, proxy: Proxy): Cluster[] {
  return inboundPorts(push, proxy).map((port) => inbound(push, proxy, port));
}

function inbound(push: PushContext, proxy: Proxy, port: InboundPort): Cluster {
  const name = inboundCluster(port.targetPort);
  const services = port.services.map((service) => ({ host: service.hostname, name: service.name, namespace: service.namespace }));
  const cluster = create(Cluster, { name, metadata: create(Metadata, { filterMetadata: { istio: { services } } }) });
  const intercepted = proxy.interception !== 'NONE' && port.endpoint === undefined;
  if (intercepted) {
    cluster.clusterDiscoveryType = { $case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST };
    cluster.upstreamBindConfig = passthroughSource(proxy);
  } else {
    cluster.clusterDiscoveryType = { $case: 'type', value: Cluster_DiscoveryType.STATIC };
    cluster.loadAssignment = staticAssignment(name, port.endpoint ?? { host: proxy.appAddress, port: port.targetPort });
  }
  const pool: ConnectionPoolSettings | undefined = port.connectionPool;
  applyTrafficPolicy(cluster, pool ? { connectionPool: pool } : {}, push.mesh);
  // one host: there is nothing to choose
  if (!intercepted) cluster.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
  cluster.typedExtensionProtocolOptions = protocolOptions({ protocol: port.protocol, pool, mesh: { ...push.mesh, h2UpgradePolicy: 'DO_NOT_UPGRADE' } });
  return cluster;
}

function staticAssignment(clusterName: string, target: { readonly host: string; readonly port: number }): ClusterLoadAssignment {
  const endpoint = create(LbEndpoint, { hostIdentifier: { $case: 'endpoint', value: create(Endpoint, { address: address(target.host, target.port) }) } });
  return create(ClusterLoadAssignment, { clusterName, endpoints: [create(LocalityLbEndpoints, { lbEndpoints: [endpoint] })] });
}

/** Clusters without a service: unknown destinations pass or are refused. */
export function wellKnown(push: PushContext, proxy: Proxy): Cluster[] {
  const blackHole = create(Cluster, { name: wellKnownClusters.blackHole, clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.STATIC } });
  applyTrafficPolicy(blackHole, {}, push.mesh);
  blackHole.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
  if (proxy.type === 'router') return [blackHole];
  const passthrough = originalDestination(wellKnownClusters.passthrough, push);
  const inboundPassthrough = originalDestination(wellKnownClusters.inboundPassthrough, push);
  inboundPassthrough.upstreamBindConfig = passthroughSource(proxy);
  return [blackHole, passthrough, inboundPassthrough];
}

function originalDestination(name: string, push: PushContext): Cluster {
  const cluster = create(Cluster, { name, clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST } });
  applyTrafficPolicy(cluster, {}, push.mesh);
  cluster.typedExtensionProtocolOptions = protocolOptions({ protocol: 'AUTO', pool: undefined, mesh: push.mesh });
  return cluster;
}
