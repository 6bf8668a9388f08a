import { selects, type L4MatchAttributes, type TlsMatchAttributes } from '@meltemi/config';
import { outboundCluster } from '@meltemi/xds';
import { hostsOverlap } from '../../push-context/hosts.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { isTls, type Protocol, type Service } from '../../registry/model.ts';
import { destinationRuleOf } from '../clusters/outbound.ts';
import { sniDynamicForwardProxy } from '../features/dynamic-forward-proxy.ts';
import type { FeatureContext } from '../features/feature.ts';
import { networkFilters } from '../features/network-filters.ts';
import { shortNames } from '../routes/domains.ts';
import type { ChainDraft } from './outbound-entries.ts';
import { tcpFilters, weightedTcpFilters } from './tcp-filters.ts';

export interface OutboundContext {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly scope: Scope;
}

/** A service on a listener, where bytes are routed and not requests. */
export interface TcpTarget {
  readonly service: Service;
  /** The listener's port and what is spoken there. */
  readonly port: number;
  readonly protocol: Protocol;
  readonly virtualServices: readonly VirtualService[];
  /** Blocks of addresses that are the service's, when the listener is shared. */
  readonly destinations: readonly string[];
  /** Only the server name tells the service from others on the listener. */
  readonly byName: boolean;
}

/** Chains for a service's port: TLS ports are routed by server name, others by destination; what no route takes goes to the service itself. */
export function tcpChains(context: OutboundContext, target: TcpTarget): ChainDraft[] {
  const rules = target.virtualServices.filter(({ hosts }) => hosts.some((host) => hostsOverlap(host, target.service.hostname)));
  return isTls(target.protocol) ? tlsChains(context, target, rules) : plainChains(context, target, rules);
}

/** Source: Istio's tls.go buildSidecarOutboundTLSFilterChainOpts. */
function tlsChains(context: OutboundContext, target: TcpTarget, rules: readonly VirtualService[]): ChainDraft[] {
  const chains: ChainDraft[] = [];
  // a match with other labels or gateways may repeat an earlier one's names: the first that fits this client stays
  const seen = new Set<string>();
  for (const rule of rules) {
    for (const route of rule.spec.tls) {
      for (const match of route.match) {
        const key = `${match.sniHosts.join()}|${match.destinationSubnets.join()}`;
        if (route.route.length === 0 || !fits(context, match, target.port) || seen.has(key)) continue;
        seen.add(key);
        const destinations = match.destinationSubnets.length > 0 && target.port > 0 ? match.destinationSubnets : target.destinations;
        chains.push({ name: match.sniHosts.join(','), serverNames: match.sniHosts, destinations, filters: routed(context, target, { rule, route: route.route }) });
      }
    }
  }
  return chains.length > 0 ? chains : [{ ...unrouted(context, target), ...(target.byName ? { serverNames: serverNames(context, target.service) } : {}) }];
}

/** Source: Istio's tls.go buildSidecarOutboundTCPFilterChainOpts. */
function plainChains(context: OutboundContext, target: TcpTarget, rules: readonly VirtualService[]): ChainDraft[] {
  const chains: ChainDraft[] = [];
  for (const rule of rules) {
    for (const route of rule.spec.tcp) {
      if (route.route.length === 0) continue;
      const fitting = route.match.filter((match) => fits(context, match, target.port));
      const all = route.match.length === 0 || fitting.some((match) => match.destinationSubnets.length === 0) || (fitting.length > 0 && target.port === 0);
      const chain = { name: outboundCluster(target.port, target.service.hostname), filters: routed(context, target, { rule, route: route.route }) };
      // nothing that comes after can be reached
      if (all) return [...chains, { ...chain, destinations: target.destinations }];
      const subnets = fitting.flatMap((match) => match.destinationSubnets);
      if (subnets.length > 0) chains.push({ ...chain, destinations: subnets });
    }
  }
  return [...chains, unrouted(context, target)];
}

function fits({ proxy }: OutboundContext, match: L4MatchAttributes | TlsMatchAttributes, port: number): boolean {
  if (match.gateways.length > 0 && !match.gateways.includes('mesh')) return false;
  if (match.port !== 0 && match.port !== port) return false;
  if (match.sourceNamespace !== '' && match.sourceNamespace !== proxy.namespace) return false;
  return selects(match.sourceLabels, proxy.labels);
}

function routed(context: OutboundContext, target: TcpTarget, { rule, route }: { readonly rule: VirtualService; readonly route: VirtualService['spec']['tcp'][number]['route'] }): ChainDraft['filters'] {
  return weightedTcpFilters({ ...context, direction: 'outbound' }, context.scope, { route, port: target.port, owner: rule });
}

/** To the service. A Sidecar's listener may have a port of its own: then the service's only port is meant, when it has just one. */
function unrouted(context: OutboundContext, { service, port, destinations }: TcpTarget): ChainDraft {
  const [only, ...others] = service.ports;
  const cluster = outboundCluster(only && others.length === 0 ? only.number : port, service.hostname);
  const rule = destinationRuleOf(context.push, context.proxy, service);
  const build = service.resolution === 'dynamic-dns' ? (features: FeatureContext) => [...networkFilters(features), sniDynamicForwardProxy(features, service, port)] : networkFilters;
  return { name: destinations.length > 0 ? service.hostname : cluster, destinations, filters: tcpFilters({ ...context, direction: 'outbound' }, cluster, rule, build) };
}

function serverNames({ proxy }: OutboundContext, { hostname, aliases }: Service): string[] {
  return [hostname, ...aliases.flatMap((alias) => [alias, ...shortNames(alias, proxy.dnsDomain)])];
}
