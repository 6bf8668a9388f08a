import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import type { Route } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { GrpcService } from '@meltemi/api/gen/envoy/config/core/v3/grpc_service.ts';
import { ExtAuthz } from '@meltemi/api/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts';
import { ExtAuthz as NetworkExtAuthz } from '@meltemi/api/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz.ts';
import { HttpConnectionManager } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { TcpProxy } from '@meltemi/api/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts';
import { typeNameOf } from '@meltemi/api';

/** What a listener or route table names elsewhere. */
export interface References {
  readonly routes: ReadonlySet<string>;
  readonly clusters: ReadonlySet<string>;
}

/** Route tables and clusters that a listener mentions, its inline routes and authorizers included. */
export function listenerReferences(listener: Listener): References {
  const routes = new Set<string>();
  const clusters = new Set<string>();
  const chains = listener.defaultFilterChain ? [...listener.filterChains, listener.defaultFilterChain] : listener.filterChains;
  const configs = chains.flatMap((chain) => chain.filters.map((filter) => (filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined)));
  for (const config of [...configs, listener.apiListener?.apiListener]) {
    if (!config) continue;
    const type = typeNameOf(config.typeUrl);
    if (type.endsWith('.HttpConnectionManager')) addManager(HttpConnectionManager.decode(config.value), routes, clusters);
    else if (type.endsWith('.TcpProxy')) addTcp(TcpProxy.decode(config.value), clusters);
    else if (type === 'envoy.extensions.filters.network.ext_authz.v3.ExtAuthz') addGrpcService(NetworkExtAuthz.decode(config.value).grpcService, clusters);
  }
  return { routes, clusters };
}

function addManager({ routeSpecifier, httpFilters }: HttpConnectionManager, routes: Set<string>, clusters: Set<string>): void {
  for (const { configType } of httpFilters) if (configType?.$case === 'typedConfig' && typeNameOf(configType.value.typeUrl) === 'envoy.extensions.filters.http.ext_authz.v3.ExtAuthz') addAuthorizer(ExtAuthz.decode(configType.value.value), clusters);
  if (routeSpecifier?.$case === 'rds') routes.add(routeSpecifier.value.routeConfigName);
  if (routeSpecifier?.$case === 'routeConfig') for (const name of routeClusters(routeSpecifier.value)) clusters.add(name);
}

function addAuthorizer({ services }: ExtAuthz, clusters: Set<string>): void {
  if (services?.$case === 'grpcService') addGrpcService(services.value, clusters);
  if (services?.$case === 'httpService' && services.value.serverUri?.httpUpstreamType) clusters.add(services.value.serverUri.httpUpstreamType.value);
}

function addGrpcService(service: GrpcService | undefined, clusters: Set<string>): void {
  if (service?.targetSpecifier?.$case === 'envoyGrpc') clusters.add(service.targetSpecifier.value.clusterName);
}

function addTcp({ clusterSpecifier }: TcpProxy, clusters: Set<string>): void {
  if (clusterSpecifier?.$case === 'cluster') clusters.add(clusterSpecifier.value);
  if (clusterSpecifier?.$case === 'weightedClusters') for (const { name } of clusterSpecifier.value.clusters) clusters.add(name);
}

/** Clusters that a route table sends to or mirrors to. */
export function routeClusters(table: RouteConfiguration): Set<string> {
  return clustersOfRoutes(table.virtualHosts.flatMap((host) => host.routes));
}

/** The same of routes. */
export function clustersOfRoutes(routes: readonly Route[]): Set<string> {
  const clusters = new Set<string>();
  for (const { action } of routes) {
    if (action?.$case !== 'route') continue;
    const { clusterSpecifier, requestMirrorPolicies } = action.value;
    if (clusterSpecifier?.$case === 'cluster') clusters.add(clusterSpecifier.value);
    if (clusterSpecifier?.$case === 'weightedClusters') for (const { name } of clusterSpecifier.value.clusters) clusters.add(name);
    for (const { cluster } of requestMirrorPolicies) clusters.add(cluster);
  }
  return clusters;
}
