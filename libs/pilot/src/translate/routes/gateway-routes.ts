import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { VirtualHost, VirtualHost_TlsRequirementType, type Route } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { bySpecificity } from '../../push-context/hosts.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { boundRules, gatewayListeners, serverNames, type GatewayServer } from '../gateway-servers.ts';
import { create } from '../message.ts';
import { virtualServiceRoutes, type RouteContext } from './http-route.ts';
import { matchesAll } from './matchers.ts';

interface Building {
  readonly port: number;
  readonly routes: Route[];
  httpsOnly: boolean;
}

/** The route table `name` of a gateway: every rule of every server behind it, merged by host. undefined: no server has that table. */
export function gatewayRoutes(push: PushContext, proxy: Proxy, scope: Scope, name: string): RouteConfiguration | undefined {
  const servers = gatewayListeners(push, proxy).flatMap((listener) => listener.servers.filter((entry) => entry.routeName === name));
  const [first] = servers;
  if (!first) return undefined;
  const hosts = new Map<string, Building>();
  for (const entry of servers) addServer({ push, proxy, scope, port: entry.server.port.number, gateways: new Set([entry.gateway]) }, entry, hosts);
  const virtualHosts = [...hosts].toSorted(([a], [b]) => bySpecificity(a, b)).map(([host, building]) => virtualHost(host, building));
  const port = first.server.port.number;
  // without a rule every request is answered 404: a table without virtual hosts would be refused
  if (virtualHosts.length === 0) virtualHosts.push(create(VirtualHost, { name: `blackhole:${port}`, domains: ['*'] }));
  return create(RouteConfiguration, { name, virtualHosts, validateClusters: false, maxDirectResponseBodySizeBytes: 1_048_576, ignorePortInHostMatching: true });
}

function addServer(context: RouteContext, entry: GatewayServer, hosts: Map<string, Building>): void {
  const at = (host: string): Building => {
    const known = hosts.get(host) ?? { port: context.port, routes: [], httpsOnly: false };
    hosts.set(host, known);
    return known;
  };
  const httpsOnly = entry.kind === 'http' && entry.server.tls?.httpsRedirect === true;
  for (const { rule, hosts: shared } of boundRules(context.push, context.proxy, entry)) {
    if (rule.spec.http.length === 0) continue;
    const routes = virtualServiceRoutes(context, rule);
    for (const host of shared) {
      const building = at(host);
      building.routes.push(...routes);
      building.httpsOnly ||= httpsOnly;
    }
  }
  if (httpsOnly) for (const host of serverNames(entry)) at(host).httpsOnly = true;
}

/** Rules of several objects merge; a catch-all of one must not hide the others. */
function virtualHost(host: string, { port, routes, httpsOnly }: Building): VirtualHost {
  const rank = (route: Route) => (route.match && matchesAll(route.match) ? 1 : 0);
  return create(VirtualHost, {
    name: `${host}:${port}`,
    domains: [host],
    routes: routes.toSorted((a, b) => rank(a) - rank(b)),
    includeRequestAttemptCount: true,
    ...(httpsOnly ? { requireTls: VirtualHost_TlsRequirementType.ALL } : {}),
  });
}
