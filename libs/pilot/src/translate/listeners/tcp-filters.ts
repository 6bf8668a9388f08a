import type { Destination, RouteDestination, TunnelSettings } from '@meltemi/config';
import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { TcpProxy, TcpProxy_TunnelingConfig, TcpProxy_WeightedCluster_ClusterWeight } from '@meltemi/api/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import { HashPolicy } from '@meltemi/api/gen/envoy/type/v3/hash_policy.ts';
import type { DestinationRule } from '../../push-context/destination-rules.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { accessLogs } from '../access-log.ts';
import { destinationRuleOf } from '../clusters/outbound.ts';
import type { Direction } from '../features/feature.ts';
import { networkFilters } from '../features/network-filters.ts';
import { create, createAny, optionalDuration, typed } from '../message.ts';
import { clusterOf } from '../routes/destination.ts';

export interface TcpContext {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly direction: Direction;
}

/** What a destination's rule says about connections to it. */
type ConnectionFields = Pick<TcpProxy, 'idleTimeout' | 'maxDownstreamConnectionDuration' | 'hashPolicy' | 'tunnelingConfig'>;

/** Filters that pass bytes to one cluster. `rule` is that of the cluster's service; `build` makes what stands in front. What a gateway passes through is never tunnelled. */
export function tcpFilters(context: TcpContext, cluster: string, rule?: DestinationRule, build = networkFilters): Filter[] {
  const fields = connectionFields(rule, '');
  const tunnelingConfig = context.direction === 'gateway' ? undefined : fields.tunnelingConfig;
  return [...build({ ...context, mesh: context.push.mesh }), tcpProxy(context, { statPrefix: cluster, clusterSpecifier: { $case: 'cluster', value: cluster }, ...fields, tunnelingConfig })];
}

/** What is routed, where: `port` is what the client dialled, `owner` the rule that routes. */
export interface RoutedTcp {
  readonly route: readonly RouteDestination[];
  readonly port: number;
  readonly owner?: { readonly name: string; readonly namespace: string };
}

/** Filters that pass each connection to one of several destinations by weight; those of weight 0 get none. The first one's rule speaks for all. */
export function weightedTcpFilters(context: TcpContext, scope: Scope, routed: RoutedTcp): Filter[] {
  const { route, port, owner } = routed;
  const [first] = route;
  if (!first) return tcpFilters(context, 'BlackHoleCluster');
  const cluster = (destination: Destination) => clusterOf({ scope, port }, destination);
  const service = scope.byHost.get(first.destination.host);
  const rule = service ? destinationRuleOf(context.push, context.proxy, service) : undefined;
  const before = networkFilters({ ...context, mesh: context.push.mesh });
  if (route.length === 1) {
    const value = cluster(first.destination);
    return [...before, tcpProxy(context, { statPrefix: value, clusterSpecifier: { $case: 'cluster', value }, ...connectionFields(rule, first.destination.subset) })];
  }
  const total = route.reduce((sum, entry) => sum + entry.weight, 0);
  const clusters = route
    .filter((entry) => entry.weight > 0 || total === 0)
    .map((entry) => create(TcpProxy_WeightedCluster_ClusterWeight, { name: cluster(entry.destination), weight: total === 0 ? 1 : entry.weight }));
  const statPrefix = owner ? `${owner.name}.${owner.namespace}` : `${first.destination.host}.${first.destination.subset}`;
  return [...before, tcpProxy(context, { statPrefix, clusterSpecifier: { $case: 'weightedClusters', value: { clusters } }, ...connectionFields(rule, '') })];
}

function tcpProxy(context: TcpContext, fields: Partial<TcpProxy>): Filter {
  const config = createAny('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', TcpProxy, { ...fields, accessLog: accessLogs(context, 'tcp') });
  return create(Filter, typed('envoy.filters.network.tcp_proxy', config));
}

/**
 * Timeouts are the destination's, not a port's or a subset's; hashing a subset's when it has its own; a tunnel that of what the route names, be it
 * none. Source: Istio's networkfilter.go, tunnelingconfig.
 */
function connectionFields(rule: DestinationRule | undefined, subsetName: string): ConnectionFields {
  const policy = rule?.trafficPolicy;
  const subset = subsetName === '' ? undefined : rule?.subsets.find(({ name }) => name === subsetName)?.trafficPolicy;
  const balancer = subset?.loadBalancer ?? policy?.loadBalancer;
  return {
    idleTimeout: optionalDuration(policy?.connectionPool?.tcp?.idleTimeout),
    maxDownstreamConnectionDuration: optionalDuration(policy?.connectionPool?.tcp?.maxConnectionDuration),
    hashPolicy: balancer?.consistentHash?.useSourceIp === true ? [create(HashPolicy, { policySpecifier: { $case: 'sourceIp', value: {} } })] : [],
    tunnelingConfig: tunnelOf(subsetName === '' ? policy?.tunnel : subset?.tunnel),
  };
}

function tunnelOf(settings: TunnelSettings | undefined): TcpProxy_TunnelingConfig | undefined {
  if (settings === undefined) return undefined;
  const { targetHost, targetPort, protocol } = settings;
  return create(TcpProxy_TunnelingConfig, { hostname: `${targetHost.includes(':') ? `[${targetHost}]` : targetHost}:${targetPort}`, usePost: protocol === 'POST' });
}
