import type { TcpRoute } from '@meltemi/config';
import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { addressListener } from '@meltemi/xds';
import { listenerAccessLogs } from '../access-log.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { boundRules, gatewayListeners, serverNames, type GatewayListener, type GatewayServer } from '../gateway-servers.ts';
import { uncheckedNetworkFilters } from '../features/network-filters.ts';
import { create, duration } from '../message.ts';
import { serverDownstream, tlsSocket } from '../tls.ts';
import { autoPassthroughTargets } from '../clusters/sni-dnat.ts';
import { httpConnectionManager } from './http-connection-manager.ts';
import { chainMatch, listener } from './listener.ts';
import { tcpFilters, weightedTcpFilters } from './tcp-filters.ts';

interface Context {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly scope: Scope;
}

/** The listeners of a gateway: one per address and port that some Gateway asks of it. Servers without a route for their bytes get none. */
export function buildGatewayListeners(push: PushContext, proxy: Proxy, scope: Scope): Listener[] {
  const context: Context = { push, proxy, scope };
  return gatewayListeners(push, proxy).flatMap((place) => {
    const filterChains = distinct(placeChains(context, place)).map((chain) => ({ ...chain, transportSocketConnectTimeout: duration(push.features.gatewayHandshakeTimeout) }));
    const { bind, moreBinds, port } = place;
    // what the proxy may not bind it would refuse
    if (filterChains.length === 0 || (port < 1024 && port !== 0 && proxy.metadata['UNPRIVILEGED_POD'] === 'true')) return [];
    return [listener({ name: addressListener(bind, port), bind, moreBinds, port, direction: 'gateway', mesh: push.mesh, bindToPort: true, filterChains, accessLogs: listenerAccessLogs({ push, proxy, direction: 'gateway' }) })];
  });
}

/** All plain HTTP servers of a place are one chain: their routes are merged. */
function placeChains(context: Context, place: GatewayListener): FilterChain[] {
  const [http] = place.servers.filter(({ kind }) => kind === 'http');
  const others = place.servers.filter(({ kind }) => kind !== 'http').flatMap((entry) => serverChains(context, place, entry));
  return http ? [...others, create(FilterChain, { filters: [manager(context, place, http)] })] : others;
}

function serverChains(context: Context, place: GatewayListener, entry: GatewayServer): FilterChain[] {
  switch (entry.kind) {
    case 'https':
      return [create(FilterChain, { name: entry.server.name, ...byName(serverNames(entry)), filters: [manager(context, place, entry)], ...terminated(context, entry, true) })];
    case 'passthrough':
      return sniChains(context, entry);
    case 'auto-passthrough':
      return clusterChains(context, entry);
    default:
      return tcpChains(context, entry);
  }
}

function manager(context: Context, { bind, port }: GatewayListener, { server, kind, protocol, routeName }: GatewayServer): FilterChain['filters'][number] {
  const statPrefix = kind === 'https' && server.name !== '' ? server.name : `outbound_${addressListener(bind, port)};`;
  return httpConnectionManager({ ...context, direction: 'gateway', statPrefix, routes: routeName, protocol });
}

function terminated({ push, proxy }: Context, { server }: GatewayServer, http: boolean): Partial<FilterChain> {
  const downstream = server.tls ? serverDownstream(server.tls, { mesh: push.mesh, http, proxy }) : undefined;
  return downstream ? { transportSocket: tlsSocket({ downstream }) } : {};
}

/** "*" takes every name, also none. */
function byName(names: readonly string[]): Pick<Partial<FilterChain>, 'filterChainMatch'> {
  return names.length === 0 || names.includes('*') ? {} : { filterChainMatch: chainMatch({ serverNames: names.toSorted() }) };
}

/** The first TCP route for the port; after TLS when the server terminates it. */
function tcpChains(context: Context, entry: GatewayServer): FilterChain[] {
  const found = firstTcpRoute(context, entry);
  if (!found) return [];
  const filters = routed(context, entry, found);
  if (entry.kind === 'tcp') return [create(FilterChain, { filters })];
  return [create(FilterChain, { ...byName(serverNames(entry)), filters, ...terminated(context, entry, false) })];
}

interface Found {
  readonly rule: VirtualService;
  readonly route: Pick<TcpRoute, 'route'>;
}

function firstTcpRoute({ push, proxy }: Context, entry: GatewayServer): Found | undefined {
  for (const { rule } of boundRules(push, proxy, entry)) {
    const route = rule.spec.tcp.find((candidate) => candidate.route.length > 0 && (candidate.match.length === 0 || candidate.match.some((match) => fits(match, entry)))) ?? terminatedRoute(rule, entry);
    if (route) return { rule, route };
  }
  return undefined;
}

/** A TLSRoute of the Gateway API may be bound where TLS ends, too; what its listener's name lets in is its own. */
function terminatedRoute({ semantics, spec }: VirtualService, entry: GatewayServer): Found['route'] | undefined {
  return semantics === 'gateway' ? spec.tls.find(({ route, match }) => route.length > 0 && match.some((one) => fits(one, entry))) : undefined;
}

function routed(context: Context, entry: GatewayServer, { rule, route }: Found): FilterChain['filters'] {
  return weightedTcpFilters({ ...context, direction: 'gateway' }, context.scope, { route: route.route, port: entry.server.port.number, owner: rule });
}

/** At a gateway only port and gateway are asked: who the client is cannot be known. */
function fits(match: { readonly port: number; readonly gateways: readonly string[] }, entry: GatewayServer): boolean {
  return (match.port === 0 || match.port === entry.server.port.number) && (match.gateways.length === 0 || match.gateways.includes(entry.gateway));
}

/** TLS passed through: routed by the server name the client asks for. Of several matches for one name the first stays, whole. */
function sniChains(context: Context, entry: GatewayServer): FilterChain[] {
  return boundRules(context.push, context.proxy, entry).flatMap(({ rule }) =>
    rule.spec.tls
      .filter(({ route }) => route.length > 0)
      .flatMap((route) => route.match.filter((match) => fits(match, entry)).map((match) => create(FilterChain, { ...byName(match.sniHosts), filters: routed(context, entry, { rule, route }) }))),
  );
}

/** Names under which Istio's proxies speak mutual TLS: nobody else is passed through to a cluster of the mesh. */
const meshProtocols: readonly string[] = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2'];

/** Mutual TLS between networks: each cluster of the mesh by its own server name. */
function clusterChains(context: Context, entry: GatewayServer): FilterChain[] {
  return autoPassthroughTargets(context.push, context.proxy, context.scope, serverNames(entry)).map(({ name, rule }) =>
    create(FilterChain, { filterChainMatch: chainMatch({ serverNames: [name], applicationProtocols: [...meshProtocols] }), filters: tcpFilters({ ...context, direction: 'gateway' }, name, rule, uncheckedNetworkFilters) }),
  );
}

/** Envoy refuses a listener with two chains for one server name: the first that has it stays, the other goes as a whole. */
function distinct(chains: readonly FilterChain[]): FilterChain[] {
  const taken = new Set<string>();
  return chains.filter(({ filterChainMatch: match }) => {
    const names = match && match.serverNames.length > 0 ? match.serverNames : [''];
    const keys = names.map((name) => `${name} ${match?.applicationProtocols.join() ?? ''}`);
    if (keys.some((key) => taken.has(key))) return false;
    for (const key of keys) taken.add(key);
    return true;
  });
}
