import type { IstioEgressListener, L4MatchAttributes, TlsMatchAttributes } from '@meltemi/config';
import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { addressListener, httpProxyRouteName, outboundCluster, wellKnownClusters, wellKnownListeners } from '@meltemi/xds';
import { hostCovers } from '../../push-context/hosts.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { EgressScope, Scope } from '../../push-context/scope.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import { bindAddress, type Proxy } from '../../proxy/proxy.ts';
import { isHttp, isTls, type Service, type ServicePort } from '../../registry/model.ts';
import { parseProtocol } from '../../registry/protocol.ts';
import { selects } from '../../registry/workloads.ts';
import { cidr, create } from '../message.ts';
import { httpConnectionManager } from './http-connection-manager.ts';
import { chainMatch, listener, plaintextHttp } from './listener.ts';
import { tcpFilters, weightedTcpFilters } from './tcp-filters.ts';

interface Context {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly scope: Scope;
}

/** Everything a sidecar listens on for its application. */
export function outboundListeners(push: PushContext, proxy: Proxy, scope: Scope): Listener[] {
  const context: Context = { push, proxy, scope };
  const building = new Map<string, Building>();
  for (const egress of scope.egress) {
    const { listener: written } = egress;
    if (written?.port !== undefined) addExplicit(context, building, egress, written);
    // Deviation: without interception a listener per service port would take ports the application may want; its HTTP proxy serves instead
    else if (proxy.interception !== 'NONE') addServices(context, building, egress);
  }
  const listeners = [...building.values()].map((entry) => finished(context, entry));
  if (push.mesh.proxyHttpPort > 0) listeners.push(httpProxy(context, bindAddress(proxy, '127.0.0.1'), push.mesh.proxyHttpPort));
  if (proxy.interception !== 'NONE') listeners.push(virtualOutbound(context));
  return listeners.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** A listener in the making: several services may share it. */
interface Building {
  readonly bind: string;
  readonly port: number;
  readonly bindToPort: boolean;
  /** Route table name when it speaks HTTP. */
  routeName: string | undefined;
  /** Sniffed: HTTP only when it looks like HTTP. */
  sniffed: boolean;
  explicitProxy: boolean;
  readonly chains: FilterChain[];
  fallback: FilterChain | undefined;
}

function at(building: Map<string, Building>, place: { readonly bind: string; readonly port: number; readonly bindToPort: boolean }): Building {
  const key = addressListener(place.bind, place.port);
  const known = building.get(key) ?? { ...place, routeName: undefined, sniffed: true, explicitProxy: false, chains: [], fallback: undefined };
  building.set(key, known);
  return known;
}

/** A Sidecar's egress listener with a port: an address of its own. */
function addExplicit(context: Context, building: Map<string, Building>, egress: EgressScope, written: IstioEgressListener): void {
  const { proxy } = context;
  const port = written.port?.number ?? 0;
  const protocol = parseProtocol(written.port?.protocol ?? '');
  const bindToPort = written.captureMode === 'NONE' || (written.captureMode === 'DEFAULT' && proxy.interception === 'NONE');
  const bind = bindAddress(proxy, written.bind !== '' ? written.bind : bindToPort ? '127.0.0.1' : '0.0.0.0');
  const entry = at(building, { bind, port, bindToPort });
  if (isHttp(protocol)) {
    entry.routeName = bind.startsWith('unix://') ? bind : protocol === 'HTTP_PROXY' && port === context.push.mesh.proxyHttpPort ? httpProxyRouteName : String(port);
    entry.explicitProxy = protocol === 'HTTP_PROXY';
    entry.sniffed = false;
    return;
  }
  for (const service of egress.services) {
    for (const servicePort of service.ports.filter((candidate) => candidate.number === port)) addTcp(context, entry, egress, { service, port: servicePort, byAddress: false });
  }
}

/** One listener per service port: HTTP ports share the wildcard address, others have the service's own where one is known. */
function addServices(context: Context, building: Map<string, Building>, egress: EgressScope): void {
  for (const service of egress.services) {
    for (const port of service.ports) {
      const place = (bind: string) => at(building, { bind: bindAddress(context.proxy, bind), port: port.number, bindToPort: false });
      if (isHttp(port.protocol)) {
        const entry = place('0.0.0.0');
        entry.routeName = String(port.number);
        continue;
      }
      const own = service.addresses.filter((address) => !address.includes('/'));
      const entry = place(own[0] ?? '0.0.0.0');
      if (port.protocol === 'AUTO' && entry.routeName === undefined) entry.routeName = own.length > 0 ? `${service.hostname}:${port.number}` : String(port.number);
      addTcp(context, entry, egress, { service, port, byAddress: own.length > 0 });
    }
  }
}

interface TcpTarget {
  readonly service: Service;
  readonly port: ServicePort;
  /** The listener is the service's alone. */
  readonly byAddress: boolean;
}

/** Chains for a service's TCP port: TLS routes by server name, TCP routes by subnet, else everything to the service. */
function addTcp(context: Context, entry: Building, egress: EgressScope, target: TcpTarget): void {
  const { service, port } = target;
  const rule = egress.virtualServices.find(({ hosts, spec }) => spec.tcp.length + spec.tls.length > 0 && hosts.some((host) => hostCovers(host, service.hostname)));
  if (rule) entry.chains.push(...tlsChains(context, rule, port.number));
  const tcp = rule ? tcpRouteFilters(context, rule, port.number) : undefined;
  const filters = tcp ?? tcpFilters({ ...context, direction: 'outbound' }, outboundCluster(port.number, service.hostname));
  const blocks = service.addresses.filter((address) => address.includes('/'));
  const byName = isTls(port.protocol) && !target.byAddress && blocks.length === 0;
  if (byName) entry.chains.push(create(FilterChain, { name: service.hostname, filterChainMatch: chainMatch({ serverNames: [service.hostname], transportProtocol: 'tls' }), filters }));
  else if (blocks.length > 0) entry.chains.push(create(FilterChain, { name: service.hostname, filterChainMatch: chainMatch({ prefixRanges: blocks.map(cidr) }), filters }));
  else entry.fallback ??= create(FilterChain, { name: outboundCluster(port.number, service.hostname), filters });
}

function fits(context: Context, match: L4MatchAttributes | TlsMatchAttributes, port: number): boolean {
  if (match.gateways.length > 0 && !match.gateways.includes('mesh')) return false;
  if (match.port !== 0 && match.port !== port) return false;
  if (match.sourceNamespace !== '' && match.sourceNamespace !== context.proxy.namespace) return false;
  return selects(match.sourceLabels, context.proxy.labels);
}

function tlsChains(context: Context, rule: VirtualService, port: number): FilterChain[] {
  return rule.spec.tls.flatMap((route) =>
    route.match
      .filter((match) => fits(context, match, port))
      .map((match) =>
        create(FilterChain, {
          name: match.sniHosts.join(','),
          filterChainMatch: chainMatch({ serverNames: [...match.sniHosts], prefixRanges: match.destinationSubnets.map(cidr), transportProtocol: 'tls' }),
          filters: weightedTcpFilters({ ...context, direction: 'outbound' }, context.scope, { route: route.route, port }),
        }),
      ),
  );
}

function tcpRouteFilters(context: Context, rule: VirtualService, port: number): FilterChain['filters'] | undefined {
  const route = rule.spec.tcp.find((candidate) => candidate.match.length === 0 || candidate.match.some((match) => fits(context, match, port)));
  return route ? weightedTcpFilters({ ...context, direction: 'outbound' }, context.scope, { route: route.route, port }) : undefined;
}

function finished(context: Context, entry: Building): Listener {
  const { push } = context;
  const name = addressListener(entry.bind, entry.port);
  const http = entry.routeName === undefined ? [] : [httpChain(context, entry, entry.routeName, name)];
  const passthrough = entry.bindToPort ? undefined : unknownDestination(context, 'PassthroughFilterChain');
  const fallback = entry.routeName !== undefined && !entry.sniffed ? undefined : (entry.fallback ?? passthrough);
  return listener({ name, bind: entry.bind, port: entry.port, direction: 'outbound', mesh: push.mesh, bindToPort: entry.bindToPort, filterChains: [...http, ...unique(entry.chains)], defaultFilterChain: fallback });
}

function httpChain(context: Context, entry: Building, routeName: string, name: string): FilterChain {
  const manager = httpConnectionManager({ ...context, direction: 'outbound', statPrefix: `outbound_${name};`, routes: routeName, explicitProxy: entry.explicitProxy });
  if (!entry.sniffed) return create(FilterChain, { name, filters: [manager] });
  return create(FilterChain, { name, filterChainMatch: chainMatch({ transportProtocol: 'raw_buffer', applicationProtocols: [...plaintextHttp] }), filters: [manager] });
}

/** Envoy refuses a listener with two chains of one match: the first stays. */
export function unique(chains: readonly FilterChain[]): FilterChain[] {
  const seen = new Set<string>();
  return chains.filter((chain) => {
    const key = JSON.stringify(chain.filterChainMatch ?? null);
    const known = seen.has(key);
    seen.add(key);
    return !known;
  });
}

/** The application's http_proxy: every service on every port. */
function httpProxy(context: Context, bind: string, port: number): Listener {
  const name = addressListener(bind, port);
  const manager = httpConnectionManager({ ...context, direction: 'outbound', statPrefix: `outbound_${name};`, routes: httpProxyRouteName, explicitProxy: true });
  return listener({ name, bind, port, direction: 'outbound', mesh: context.push.mesh, bindToPort: true, filterChains: [create(FilterChain, { name, filters: [manager] })] });
}

/** Takes every redirected connection and hands it to the listener of its destination, or deals with it itself. */
function virtualOutbound(context: Context): Listener {
  const { push } = context;
  const { proxyListenPort: port } = push.mesh;
  const loop = create(FilterChain, {
    name: 'virtualOutbound-blackhole',
    filterChainMatch: chainMatch({ destinationPort: port }),
    filters: tcpFilters({ ...context, direction: 'outbound' }, wellKnownClusters.blackHole),
  });
  const catchAll = unknownDestination(context, context.scope.allowAny ? 'virtualOutbound-catchall-tcp' : 'virtualOutbound-blackhole-tcp');
  const base = listener({ name: wellKnownListeners.outbound, bind: bindAddress(context.proxy, '0.0.0.0'), port, direction: 'outbound', mesh: push.mesh, bindToPort: true, filterChains: [loop, catchAll] });
  return { ...base, useOriginalDst: true };
}

function unknownDestination(context: Context, name: string): FilterChain {
  const cluster = context.scope.allowAny ? wellKnownClusters.passthrough : wellKnownClusters.blackHole;
  return create(FilterChain, { name, filters: tcpFilters({ ...context, direction: 'outbound' }, cluster) });
}
