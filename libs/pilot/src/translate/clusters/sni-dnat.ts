import { Cluster, Cluster_EdsClusterConfig } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { clusterSni, parseClusterName } from '@meltemi/xds';
import type { DestinationRule } from '../../push-context/destination-rules.ts';
import { hostCovers } from '../../push-context/hosts.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import type { Service } from '../../registry/model.ts';
import { gatewayListeners, serverNames } from '../gateway-servers.ts';
import { create } from '../message.ts';
import { destinationRuleOf, outboundClusters } from './outbound.ts';

/** A cluster as an AUTO_PASSTHROUGH gateway knows it: "outbound_.80_.v1_.reviews.default.svc.cluster.local". */
export interface PassthroughTarget {
  readonly name: string;
  readonly rule: DestinationRule | undefined;
}

/** Every service of the mesh that one of the server's hosts covers, port by port: whole, then each subset. */
export function autoPassthroughTargets(push: PushContext, proxy: Proxy, scope: Scope, hosts: readonly string[]): PassthroughTarget[] {
  return covered(scope, hosts).flatMap((service) => {
    const rule = destinationRuleOf(push, proxy, service);
    return service.ports.flatMap(({ number }) => ['', ...(rule?.subsets ?? []).map(({ name }) => name)].map((subset) => ({ name: clusterSni(number, service.hostname, subset), rule })));
  });
}

/** Hosts that a gateway passes connections for to wherever their server name says. */
export function passedThrough(push: PushContext, proxy: Proxy): string[] {
  if (proxy.type !== 'router') return [];
  return gatewayListeners(push, proxy).flatMap(({ servers }) => servers.filter(({ kind }) => kind === 'auto-passthrough').flatMap(serverNames));
}

/** Clusters that a gateway's AUTO_PASSTHROUGH servers pass to. The bytes are the client's TLS already, so nothing is added. */
export function sniDnatClusters(push: PushContext, proxy: Proxy, scope: Scope): Cluster[] {
  const hosts = passedThrough(push, proxy);
  if (hosts.length === 0) return [];
  return covered(scope, hosts).flatMap((service) => outboundClusters(push, proxy, service, destinationRuleOf(push, proxy, service))).flatMap((cluster) => passing(cluster) ?? []);
}

function covered(scope: Scope, hosts: readonly string[]): Service[] {
  return [...scope.byHost.values()].filter((service) => !service.meshExternal && hosts.some((host) => hostCovers(host, service.hostname)));
}

function passing(cluster: Cluster): Cluster | undefined {
  const parsed = parseClusterName(cluster.name);
  if (!parsed) return undefined;
  const name = clusterSni(parsed.port, parsed.host, parsed.subset);
  return create(Cluster, {
    ...cluster,
    name,
    transportSocket: undefined,
    transportSocketMatches: [],
    typedExtensionProtocolOptions: {},
    ...(cluster.edsClusterConfig ? { edsClusterConfig: create(Cluster_EdsClusterConfig, { ...cluster.edsClusterConfig, serviceName: name }) } : {}),
    ...(cluster.loadAssignment ? { loadAssignment: { ...cluster.loadAssignment, clusterName: name } } : {}),
  });
}
