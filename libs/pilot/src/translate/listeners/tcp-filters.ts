import type { Destination, RouteDestination } from '@meltemi/config';
import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { TcpProxy, TcpProxy_WeightedCluster_ClusterWeight } from '@meltemi/api/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { accessLogs } from '../access-log.ts';
import { destinationRuleOf } from '../clusters/outbound.ts';
import { effectivePolicy } from '../clusters/traffic-policy.ts';
import type { Direction } from '../features/feature.ts';
import { tcpStats } from '../features/stats.ts';
import { create, createAny, optionalDuration, typed } from '../message.ts';
import { clusterOf } from '../routes/http-route.ts';

export interface TcpContext {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly direction: Direction;
}

/** Filters that pass bytes to one cluster. */
export function tcpFilters(context: TcpContext, cluster: string, idleTimeoutMs?: number): Filter[] {
  return [...tcpStats({ ...context, mesh: context.push.mesh }), tcpProxy(context, { statPrefix: cluster, clusterSpecifier: { $case: 'cluster', value: cluster }, idleTimeout: optionalDuration(idleTimeoutMs) })];
}

/** Filters that pass each connection to one of several destinations by weight. `port` is what the client dialled. */
export function weightedTcpFilters(context: TcpContext, scope: Scope, routed: { readonly route: readonly RouteDestination[]; readonly port: number }): Filter[] {
  const { route, port } = routed;
  const [first] = route;
  if (!first) return tcpFilters(context, 'BlackHoleCluster');
  const cluster = (destination: Destination) => clusterOf({ scope, port }, destination);
  const idle = idleTimeout(context, scope, first.destination, port);
  if (route.length === 1) return tcpFilters(context, cluster(first.destination), idle);
  const total = route.reduce((sum, entry) => sum + entry.weight, 0);
  const clusters = route
    .filter((entry) => entry.weight > 0 || total === 0)
    .map((entry) => create(TcpProxy_WeightedCluster_ClusterWeight, { name: cluster(entry.destination), weight: total === 0 ? 1 : entry.weight }));
  const statPrefix = `${first.destination.host}.${first.destination.subset}`;
  const proxy = tcpProxy(context, { statPrefix, clusterSpecifier: { $case: 'weightedClusters', value: { clusters } }, idleTimeout: optionalDuration(idle) });
  return [...tcpStats({ ...context, mesh: context.push.mesh }), proxy];
}

function tcpProxy(context: TcpContext, fields: Partial<TcpProxy>): Filter {
  const config = createAny('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', TcpProxy, { ...fields, accessLog: accessLogs(context.push, 'tcp') });
  return create(Filter, typed('envoy.filters.network.tcp_proxy', config));
}

function idleTimeout({ push, proxy }: TcpContext, scope: Scope, destination: Destination, port: number): number | undefined {
  const service = scope.byHost.get(destination.host);
  const rule = service ? destinationRuleOf(push, proxy, service) : undefined;
  const subset = rule?.subsets.find((candidate) => candidate.name === destination.subset);
  return effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, destination.port?.number ?? port).connectionPool?.tcp?.idleTimeout;
}
