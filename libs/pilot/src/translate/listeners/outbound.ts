import type { IstioEgressListener } from '@meltemi/config';
import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { addressListener, httpProxyRouteName, outboundCluster, wellKnownClusters, wellKnownListeners } from '@meltemi/xds';
import type { DnsCacheConfig } from '@meltemi/api/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { listenerAccessLogs } from '../access-log.ts';
import { resolveHost } from '../../push-context/hosts.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { EgressScope, Scope } from '../../push-context/scope.ts';
import { bindAddress, type Proxy } from '../../proxy/proxy.ts';
import { isHttp, serviceKey, type Endpoint, type Protocol, type Service, type ServicePort } from '../../registry/model.ts';
import { parseProtocol } from '../../registry/protocol.ts';
import { addressGroups, localhosts, wildcards } from '../addresses.ts';
import { anyHostDnsCache, serviceDnsCache } from '../clusters/dynamic.ts';
import { create } from '../message.ts';
import { catchAll } from '../routes/catch-all.ts';
import { httpConnectionManager } from './http-connection-manager.ts';
import { chainMatch, listener, plaintextHttp } from './listener.ts';
import { tcpChains, type OutboundContext } from './outbound-chains.ts';
import { finishedChains, place, type ChainDraft, type Entry, type Place } from './outbound-entries.ts';
import { tcpFilters } from './tcp-filters.ts';

/** Ports that every proxy has for itself (health, Prometheus), besides those it intercepts with. */
const ownPorts: readonly number[] = [15_021, 15_090];

/** Everything a sidecar listens on for its application. Source: Istio's listener.go buildSidecarOutboundListeners. */
export function outboundListeners(push: PushContext, proxy: Proxy, scope: Scope): Listener[] {
  const [wildcard, ...otherWildcards] = wildcards(proxy.families);
  const dynamic = scope.services.filter(({ resolution }) => resolution === 'dynamic-dns');
  const context: Context = { push, proxy, scope, dynamic, wildcards: [bindAddress(proxy, wildcard), ...otherWildcards] };
  const entries = new Map<string, Entry>();
  for (const egress of scope.egress) {
    const { listener: written } = egress;
    if (written?.port !== undefined) addDeclared(context, entries, egress, written);
    // Deviation: without interception a listener per service port would take ports the application may want; its HTTP proxy serves instead
    else if (proxy.interception !== 'NONE') addServices(context, entries, egress);
  }
  const listeners = [...entries.values()].map((entry) => finished(context, entry));
  if (push.mesh.proxyHttpPort > 0) listeners.push(httpProxy(context, push.mesh.proxyHttpPort));
  if (proxy.interception !== 'NONE') listeners.push(virtualOutbound(context));
  return listeners.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

interface Context extends OutboundContext {
  /** Where something that Istio binds on 0.0.0.0 is bound: on both families when the proxy has both. */
  readonly wildcards: readonly [string, ...string[]];
  /** Services whose names are looked up one by one. */
  readonly dynamic: readonly Service[];
}

/** A Sidecar's egress listener with a port: an address of its own, with the imported services that have the port. */
function addDeclared(context: Context, entries: Map<string, Entry>, egress: EgressScope, written: IstioEgressListener): void {
  const { proxy } = context;
  const port = written.port?.number ?? 0;
  const bindToPort = proxy.interception === 'NONE' || written.captureMode === 'NONE' || written.bind.startsWith('unix://');
  const local = localhosts(proxy.families);
  const binds: readonly [string, ...string[]] | undefined = written.bind !== '' ? [bindAddress(proxy, written.bind)] : bindToPort ? [bindAddress(proxy, local[0]), ...local.slice(1)] : undefined;
  for (const service of concrete(egress.services)) addPort(context, entries, { egress, service, port, protocol: parseProtocol(written.port?.protocol ?? ''), bindToPort, binds, addresses: addressGroups(context.push, proxy, service)[0] });
}

/** A listener for every port of every service that no declared listener has. */
function addServices(context: Context, entries: Map<string, Entry>, egress: EgressScope): void {
  const { push, proxy } = context;
  const { listener: written } = egress;
  for (const entry of entries.values()) entry.locked = true;
  const bindToPort = written?.captureMode === 'NONE';
  const local = localhosts(proxy.families);
  const binds: readonly [string, ...string[]] | undefined = written && written.bind !== '' ? [bindAddress(proxy, written.bind)] : bindToPort ? [bindAddress(proxy, local[0]), ...local.slice(1)] : undefined;
  for (const service of concrete(egress.services)) {
    const groups = addressGroups(push, proxy, service);
    for (const addresses of groups.length > 0 ? groups : [undefined]) {
      for (const port of service.ports) {
        const common = { egress, service, port: port.number, protocol: port.protocol, bindToPort };
        const pods = binds === undefined && addresses === undefined ? dialledPods(push, service, port) : undefined;
        if (pods) addPods(context, entries, common, pods);
        else addPort(context, entries, { ...common, binds, addresses });
      }
    }
  }
}

/** Another name of a service has no listener of its own. */
function concrete(services: readonly Service[]): readonly Service[] {
  return services.filter(({ aliasOf }) => aliasOf === undefined);
}

/** Endpoints that clients dial by their own addresses; undefined when the port is none of that kind. An entry that only names a host is one listener for all. */
function dialledPods(push: PushContext, service: Service, port: ServicePort): readonly Endpoint[] | undefined {
  if (service.resolution !== 'passthrough' || isHttp(port.protocol)) return undefined;
  const endpoints = push.services.inline.get(serviceKey(service))?.find(([number]) => number === port.number)?.[1] ?? [];
  return endpoints.length === 0 && service.registry === 'service-entry' && !service.selects ? undefined : endpoints;
}

function addPods(context: Context, entries: Map<string, Entry>, common: Omit<Target, 'binds' | 'addresses'>, pods: readonly Endpoint[]): void {
  const { push, proxy } = context;
  const oneListener = push.features.headlessFilterChains && common.protocol !== 'AUTO';
  const isIp = (address: string) => address.includes(':') || /^[0-9.]+$/.test(address);
  for (const address of new Set(pods.map((pod) => pod.address))) {
    if (address === proxy.addresses[0] || !isIp(address)) continue;
    addPort(context, entries, oneListener ? { ...common, binds: context.wildcards, pod: address } : { ...common, binds: [address] });
  }
}

interface Target {
  readonly egress: EgressScope;
  readonly service: Service;
  readonly port: number;
  readonly protocol: Protocol;
  readonly bindToPort: boolean;
  /** Where it binds, when that is settled; else by the service's addresses. */
  readonly binds?: readonly [string, ...string[]] | undefined;
  readonly addresses?: readonly [string, ...string[]] | undefined;
  /** One of a headless service's workloads on a listener that all of them share. */
  readonly pod?: string;
}

function addPort(context: Context, entries: Map<string, Entry>, target: Target): void {
  const { service, port, protocol, addresses } = target;
  if (protocol === 'UDP' || isOwnPort(context, target)) return;
  const blocks = !isHttp(protocol) && target.binds === undefined ? (addresses?.filter((address) => address.includes('/')) ?? []) : [];
  const own = blocks.length > 0 || isHttp(protocol) ? undefined : addresses;
  const [primary, ...others] = target.binds ?? own ?? context.wildcards;
  const at: Place = { binds: [bindAddress(context.proxy, primary), ...others], port, bindToPort: target.bindToPort };
  const wildcard = context.wildcards[0];
  const shared = at.binds[0] === wildcard;
  const destinations = target.pod === undefined ? blocks : [target.pod];
  const byName = target.pod === undefined && (addresses?.[0].includes('/') === true || (addresses === undefined && shared));
  place(
    entries,
    {
      place: at,
      protocol,
      http: (sniffed) => httpChain(context, { ...target, at, sniffed, routeName: port === 0 ? at.binds[0] : protocol === 'AUTO' && !shared ? `${service.hostname}:${port}` : String(port) }),
      tcp: () => tcpChains(context, { service, port, protocol, virtualServices: target.egress.virtualServices, destinations, byName }),
    },
    wildcard,
  );
}

/** A listener on the wildcard address would take what the proxy needs itself. */
function isOwnPort({ push, wildcards: [wildcard] }: Context, { port, protocol, binds }: Target): boolean {
  if (binds ? binds[0] !== wildcard : !isHttp(protocol)) return false;
  return ownPorts.includes(port) || port === push.mesh.proxyListenPort || port === push.mesh.proxyInboundListenPort;
}

function httpChain(context: Context, chain: { readonly at: Place; readonly protocol: Protocol; readonly routeName: string; readonly sniffed: boolean }): ChainDraft {
  const { at, protocol, routeName, sniffed } = chain;
  const name = addressListener(at.binds[0], at.port);
  const routes = protocol === 'HTTP_PROXY' && at.port === context.push.mesh.proxyHttpPort ? httpProxyRouteName : routeName;
  const manager = httpConnectionManager({ ...context, direction: 'outbound', statPrefix: `outbound_${name};`, routes, protocol, explicitProxy: protocol === 'HTTP_PROXY', dnsCaches: dnsCaches(context, protocol === 'HTTP_PROXY' ? 0 : at.port) });
  return { name, filters: [manager], ...(sniffed ? { applicationProtocols: plaintextHttp, transportProtocol: 'raw_buffer' } : {}) };
}

/** Where requests to this port (0: any) may be looked up. Deviation: Istio looks up those of a listener's first service only. */
function dnsCaches({ push, proxy, scope, dynamic }: Context, port: number): DnsCacheConfig[] {
  const services = dynamic.filter(({ ports }) => ports.some(({ number, protocol }) => isHttp(protocol) && (port === 0 || number === port)));
  return [...services.map((service) => serviceDnsCache(push, proxy, service)), ...(scope.dynamicDns ? [anyHostDnsCache(push, proxy)] : [])];
}

function finished(context: Context, entry: Entry): Listener {
  const { push, proxy } = context;
  const { binds, port, bindToPort } = entry.place;
  const { matched, rest } = finishedChains(entry.chains);
  const only = matched.length === 0 && rest !== undefined;
  // Deviation: without interception there is no original destination to pass anything on to
  const fallback = rest ?? (proxy.interception === 'NONE' ? undefined : unknownDestination(context, 'PassthroughFilterChain'));
  return listener({
    name: addressListener(binds[0], port), bind: binds[0], moreBinds: binds.slice(1), port, direction: 'outbound', mesh: push.mesh, bindToPort,
    filterChains: only ? [rest] : matched, defaultFilterChain: only ? undefined : fallback,
  });
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
function httpProxy(context: Context, port: number): Listener {
  const [bind, ...moreBinds] = localhosts(context.proxy.families);
  const at = bindAddress(context.proxy, bind);
  const name = addressListener(at, port);
  const manager = httpConnectionManager({ ...context, direction: 'outbound', statPrefix: `outbound_${name};`, routes: httpProxyRouteName, explicitProxy: true, dnsCaches: dnsCaches(context, 0) });
  return listener({ name, bind: at, moreBinds, port, direction: 'outbound', mesh: context.push.mesh, bindToPort: true, filterChains: [create(FilterChain, { name, filters: [manager] })] });
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
  const [bind, ...others] = context.wildcards;
  const rest = unknownDestination(context, 'virtualOutbound-catchall-tcp');
  const moreBinds = push.features.dualStack ? others : [];
  const base = listener({ name: wellKnownListeners.outbound, bind, moreBinds, port, direction: 'outbound', mesh: push.mesh, bindToPort: true, filterChains: context.scope.dynamicDns ? [loop, anyHost(context), rest] : [loop, rest], accessLogs: listenerAccessLogs({ ...context, direction: 'outbound' }) });
  return { ...base, useOriginalDst: true };
}

/** Requests to ports that no service has: their hosts are looked up. Source: Istio's buildAllowAnyDynamicDNSHTTPFilterChain. */
function anyHost(context: Context): FilterChain {
  const { scope, proxy } = context;
  const virtualHost = catchAll(scope, proxy);
  const routes = create(RouteConfiguration, { name: virtualHost.name, virtualHosts: [virtualHost], validateClusters: false, ignorePortInHostMatching: true });
  const manager = httpConnectionManager({ ...context, direction: 'outbound', statPrefix: `outbound_${wellKnownListeners.outbound}_${virtualHost.name};`, routes, dnsCaches: [anyHostDnsCache(context.push, proxy)] });
  return create(FilterChain, { name: 'virtualOutbound-catchall-tcp-http', filterChainMatch: chainMatch({ applicationProtocols: [...plaintextHttp] }), filters: [manager] });
}

/** On to where it was going, or to the Sidecar's egressProxy; nowhere under REGISTRY_ONLY. */
function unknownDestination(context: Context, name: string): FilterChain {
  return create(FilterChain, { name, filters: tcpFilters({ ...context, direction: 'outbound' }, unknownCluster(context)) });
}

function unknownCluster({ push, scope, proxy }: Context): string {
  if (!scope.allowAny) return wellKnownClusters.blackHole;
  const egressProxy = scope.sidecar?.spec.outboundTrafficPolicy?.egressProxy;
  if (!egressProxy) return wellKnownClusters.passthrough;
  return outboundCluster(egressProxy.port?.number ?? 0, resolveHost(egressProxy.host, proxy.namespace, push.domain), egressProxy.subset);
}
