import type { TcpRoute, TlsRoute } from '@meltemi/config';
import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { addressListener } from '@meltemi/xds';
import { hostsOverlap } from '../../push-context/hosts.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { boundRules, gatewayListeners, serverNames, type GatewayListener, type GatewayServer } from '../gateway-servers.ts';
import { create } from '../message.ts';
import { serverDownstream, tlsSocket } from '../tls.ts';
import { httpConnectionManager } from './http-connection-manager.ts';
import { chainMatch, listener } from './listener.ts';
import { unique } from './outbound.ts';
import { weightedTcpFilters } from './tcp-filters.ts';

interface Context {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly scope: Scope;
}

/** The listeners of a gateway: one per address and port that some Gateway asks of it. Servers without a route for their bytes get none. */
export function buildGatewayListeners(push: PushContext, proxy: Proxy, scope: Scope): Listener[] {
  const context: Context = { push, proxy, scope };
  return gatewayListeners(push, proxy).flatMap((entry) => {
    const chains = unique(entry.servers[0]?.kind === 'http' ? [httpChain(context, entry)] : entry.servers.flatMap((server) => serverChains(context, entry, server)));
    if (chains.length === 0) return [];
    const { bind, port } = entry;
    return [listener({ name: addressListener(bind, port), bind, port, direction: 'gateway', mesh: push.mesh, bindToPort: true, filterChains: chains })];
  });
}

function httpChain(context: Context, { bind, port, servers }: GatewayListener): FilterChain {
  const routes = servers[0]?.routeName ?? '';
  return create(FilterChain, { filters: [httpConnectionManager({ ...context, direction: 'gateway', statPrefix: `outbound_${addressListener(bind, port)};`, routes })] });
}

function serverChains(context: Context, place: GatewayListener, entry: GatewayServer): FilterChain[] {
  const { server, kind } = entry;
  if (kind === 'tcp' || kind === 'tls') return tcpChains(context, entry);
  if (kind === 'passthrough') return sniChains(context, entry);
  const statPrefix = `outbound_${addressListener(place.bind, place.port)};`;
  const manager = httpConnectionManager({ ...context, direction: 'gateway', statPrefix, routes: entry.routeName });
  return [create(FilterChain, { name: server.name, filterChainMatch: tlsMatch(serverNames(entry)), filters: [manager], ...terminated(context, entry, true) })];
}

function terminated({ push, proxy }: Context, { server }: GatewayServer, http: boolean): Partial<FilterChain> {
  const downstream = server.tls ? serverDownstream(server.tls, { mesh: push.mesh, http, proxy }) : undefined;
  return downstream ? { transportSocket: tlsSocket({ downstream }) } : {};
}

/** "*" takes every name, also none. */
function tlsMatch(names: readonly string[]): NonNullable<FilterChain['filterChainMatch']> {
  return chainMatch({ serverNames: names.includes('*') ? [] : [...names] });
}

/** The first TCP route for the port; after TLS when the server terminates it. */
function tcpChains(context: Context, entry: GatewayServer): FilterChain[] {
  const route = firstTcpRoute(context, entry);
  if (!route) return [];
  const filters = weightedTcpFilters({ ...context, direction: 'gateway' }, context.scope, { route: route.route, port: entry.server.port.number });
  if (entry.kind === 'tcp') return [create(FilterChain, { filters })];
  return [create(FilterChain, { filterChainMatch: tlsMatch(serverNames(entry)), filters, ...terminated(context, entry, false) })];
}

function firstTcpRoute({ push, proxy }: Context, entry: GatewayServer): TcpRoute | undefined {
  for (const { rule } of boundRules(push, proxy, entry)) {
    const route = rule.spec.tcp.find(({ match }) => match.length === 0 || match.some((attributes) => fits(attributes, entry)));
    if (route) return route;
  }
  return undefined;
}

function fits(match: { readonly port: number; readonly gateways: readonly string[] }, entry: GatewayServer): boolean {
  return (match.port === 0 || match.port === entry.server.port.number) && (match.gateways.length === 0 || match.gateways.includes(entry.gateway));
}

/** TLS passed through: routed by the server name the client asks for. */
function sniChains(context: Context, entry: GatewayServer): FilterChain[] {
  const names = serverNames(entry);
  return boundRules(context.push, context.proxy, entry).flatMap(({ rule }) => [
    ...rule.spec.tls.flatMap((route) => sniRouteChains(context, entry, { route, names })),
    ...rule.spec.tcp.slice(0, 1).filter(({ match }) => match.length === 0 || match.some((attributes) => fits(attributes, entry))).map((route) => passChain(context, entry, route, names)),
  ]);
}

function sniRouteChains(context: Context, entry: GatewayServer, { route, names }: { readonly route: TlsRoute; readonly names: readonly string[] }): FilterChain[] {
  return route.match
    .filter((match) => fits(match, entry))
    .map((match) => match.sniHosts.filter((host) => names.some((name) => hostsOverlap(name, host))))
    .filter((hosts) => hosts.length > 0)
    .map((hosts) => passChain(context, entry, route, hosts));
}

function passChain(context: Context, entry: GatewayServer, route: TcpRoute | TlsRoute, names: readonly string[]): FilterChain {
  const filters = weightedTcpFilters({ ...context, direction: 'gateway' }, context.scope, { route: route.route, port: entry.server.port.number });
  return create(FilterChain, { filterChainMatch: { ...tlsMatch(names), transportProtocol: 'tls' }, filters });
}
