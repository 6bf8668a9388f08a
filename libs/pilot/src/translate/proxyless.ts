import { Cluster, Cluster_LbPolicy } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChain, Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { Route, VirtualHost } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { HttpConnectionManager } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { outboundCluster, parseClusterName } from '@meltemi/xds';
import { resolveHost } from '../push-context/hosts.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { Scope } from '../push-context/scope.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { destinationRuleOf, outboundClusters } from './clusters/outbound.ts';
import { proxylessFilters, proxylessServerFilters } from './features/http-filters.ts';
import { address, adsSource, create, createAny, typed } from './message.ts';
import { shortNames } from './routes/domains.ts';
import { sidecarRoutes } from './routes/sidecar-routes.ts';
import { routeMatch } from './routes/matchers.ts';
import { hostMessage } from './routes/table-parts.ts';

const managerType = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** gRPC servers ask for their own listener under this prefix (from Istio's bootstrap). */
const serverPrefix = 'xds.istio.io/grpc/lds/inbound/';

/** What a gRPC client asks by "host:port": a listener without address that names its routes. Unknown hosts have none. Source: Istio's grpcgen. */
export function proxylessListener(push: PushContext, proxy: Proxy, scope: Scope, name: string): Listener | undefined {
  if (name.startsWith(serverPrefix)) return serverListener(push, proxy, name);
  const target = parsedTarget(push, proxy, scope, name);
  if (!target) return undefined;
  const manager = createAny(managerType, HttpConnectionManager, {
    routeSpecifier: { $case: 'rds', value: { configSource: adsSource(), routeConfigName: outboundCluster(target.port, target.hostname) } },
    httpFilters: proxylessFilters({ push, proxy, mesh: push.mesh, direction: 'outbound' }),
  });
  return create(Listener, { name, apiListener: { apiListener: manager } });
}

/** "reviews:9080", "reviews.default:9080", the full name, or without port when the service has just one. */
function parsedTarget(push: PushContext, proxy: Proxy, scope: Scope, name: string): { hostname: string; port: number } | undefined {
  const colon = name.lastIndexOf(':');
  const host = colon < 0 ? name : name.slice(0, colon);
  const candidates = [host, resolveHost(host, proxy.namespace, push.domain), `${host}.svc.${push.domain}`, `${host}.${push.domain}`];
  const found = candidates.map((candidate) => scope.byHost.get(candidate)).find((service) => service !== undefined);
  const service = found?.aliasOf === undefined ? found : scope.byHost.get(found.aliasOf);
  if (!service) return undefined;
  const wanted = colon < 0 ? (service.ports.length === 1 ? service.ports[0]?.number : undefined) : Number(name.slice(colon + 1));
  const port = service.ports.find((candidate) => candidate.number === wanted);
  return port ? { hostname: service.hostname, port: port.number } : undefined;
}

/** A gRPC server's listener: plaintext, every method to the server itself. */
function serverListener(push: PushContext, proxy: Proxy, name: string): Listener | undefined {
  const text = name.slice(serverPrefix.length);
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port)) return undefined;
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '');
  const route = create(Route, { match: routeMatch(undefined), action: { $case: 'nonForwardingAction', value: {} } });
  const routes = create(RouteConfiguration, { name: 'inbound', virtualHosts: [create(VirtualHost, { domains: ['*'], routes: [route] })] });
  const manager = createAny(managerType, HttpConnectionManager, { routeSpecifier: { $case: 'routeConfig', value: routes }, httpFilters: proxylessServerFilters({ push, proxy, mesh: push.mesh, direction: 'inbound' }) });
  return create(Listener, { name, address: address(host, port), filterChains: [create(FilterChain, { name: 'inbound-plaintext', filters: [create(Filter, typed('inbound-hcmplaintext', manager))] })] });
}

/** Routes by the name the listener gave: "outbound|port||host". */
export function proxylessRoutes(push: PushContext, proxy: Proxy, scope: Scope, name: string): RouteConfiguration | undefined {
  const parsed = parseClusterName(name);
  if (!parsed || parsed.direction !== 'outbound' || !scope.byHost.has(parsed.host)) return undefined;
  const all = sidecarRoutes(push, proxy, scope, String(parsed.port));
  const found = all.hosts.find((candidate) => candidate.name === `${parsed.host}:${parsed.port}`);
  if (!found) return create(RouteConfiguration, { name, virtualHosts: [] });
  const host = hostMessage(all, found);
  // a client matches the name it dialled, however short
  const names = [parsed.host, ...shortNames(parsed.host, proxy.dnsDomain)].flatMap((domain) => [domain, `${domain}:${parsed.port}`]);
  return create(RouteConfiguration, { name, virtualHosts: [{ ...host, domains: [...new Set([...host.domains, ...names])] }], validateClusters: false });
}

/** Clusters that every gRPC client accepts: EDS, round robin, no security unless a rule asks for it. */
export function proxylessClusters(push: PushContext, proxy: Proxy, scope: Scope): Cluster[] {
  return scope.services.flatMap((service) => outboundClusters(push, proxy, service, destinationRuleOf(push, proxy, service))).map((cluster) =>
    create(Cluster, {
      name: cluster.name,
      ...(cluster.clusterDiscoveryType ? { clusterDiscoveryType: cluster.clusterDiscoveryType } : {}),
      edsClusterConfig: cluster.edsClusterConfig,
      loadAssignment: cluster.loadAssignment,
      connectTimeout: cluster.connectTimeout,
      lbPolicy: cluster.lbPolicy === Cluster_LbPolicy.RING_HASH ? Cluster_LbPolicy.RING_HASH : Cluster_LbPolicy.ROUND_ROBIN,
      circuitBreakers: cluster.circuitBreakers,
      ...(cluster.lbConfig?.$case === 'ringHashLbConfig' ? { lbConfig: cluster.lbConfig } : {}),
    }),
  );
}
