import type { AccessLog } from '@meltemi/api/gen/envoy/config/accesslog/v3/accesslog.ts';
import { AdditionalAddress, Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChainMatch, ListenerFilter, ListenerFilterChainMatchPredicate, type FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { TrafficDirection } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { HttpInspector } from '@meltemi/api/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector.ts';
import { OriginalDst } from '@meltemi/api/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst.ts';
import { TlsInspector } from '@meltemi/api/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts';
import type { MeshConfigSpec } from '@meltemi/config';
import type { Direction } from '../features/feature.ts';
import { address, create, createAny, duration, typed } from '../message.ts';

/** ALPN and sniffed names that mean HTTP in plaintext. */
export const plaintextHttp: readonly string[] = ['http/1.1', 'h2c'];

export interface ListenerOptions {
  readonly name: string;
  readonly bind: string;
  /** Other addresses with the same port. */
  readonly moreBinds?: readonly string[];
  readonly port: number;
  readonly direction: Direction;
  readonly mesh: MeshConfigSpec;
  /** False: reached by virtualOutbound's hand-over only. */
  readonly bindToPort: boolean;
  readonly filterChains: readonly FilterChain[];
  readonly defaultFilterChain?: FilterChain | undefined;
  /** Listeners that iptables redirects to learn where a connection was going. */
  readonly originalDestination?: boolean;
  /** Of connections that no filter chain takes. */
  readonly accessLogs?: readonly AccessLog[];
}

const directions = { inbound: TrafficDirection.INBOUND, outbound: TrafficDirection.OUTBOUND, gateway: TrafficDirection.OUTBOUND } as const;

/** A listener with the inspectors that its filter chains need. */
export function listener(options: ListenerOptions): Listener {
  const chains = [...options.filterChains];
  const filters = options.direction === 'inbound' ? inboundFilters(chains, options.originalDestination === true) : inspectors(chains);
  return create(Listener, {
    name: options.name,
    address: address(options.bind, options.port),
    additionalAddresses: (options.moreBinds ?? []).map((bind) => create(AdditionalAddress, { address: address(bind, options.port) })),
    filterChains: chains,
    ...(options.defaultFilterChain ? { defaultFilterChain: options.defaultFilterChain } : {}),
    listenerFilters: filters,
    // strangers get Envoy's own patience at a gateway, and then no connection
    ...(filters.length > 0 && options.direction !== 'gateway' ? { listenerFiltersTimeout: duration(options.mesh.protocolDetectionTimeout), continueOnListenerFiltersTimeout: true } : {}),
    ...(options.accessLogs ? { accessLog: [...options.accessLogs] } : {}),
    trafficDirection: directions[options.direction],
    ...(options.bindToPort ? {} : { bindToPort: false }),
  });
}

/** Order: TLS, then HTTP (which looks at plaintext only). */
function inspectors(chains: readonly FilterChain[]): ListenerFilter[] {
  const matches = chains.map((chain) => chain.filterChainMatch).filter((match) => match !== undefined);
  const needsTls = matches.some((match) => match.transportProtocol !== '' || match.serverNames.length > 0) || chains.some((chain) => (chain.transportSocket !== undefined && chains.length > 1) || chain.filters.some(({ name }) => name === 'envoy.filters.network.sni_dynamic_forward_proxy'));
  const needsHttp = matches.some((match) => match.applicationProtocols.some((name) => plaintextHttp.includes(name)));
  return [...(needsTls ? [tlsInspector()] : []), ...(needsHttp ? [httpInspector()] : [])];
}

/**
 * Where to first. Each inspector looks only at ports whose chains ask for what it finds: to wait for a client's first bytes would keep a server that speaks first
 * silent. Chains without a port speak for all other ports. Source: Istio's populateListenerFilters.
 */
function inboundFilters(chains: readonly FilterChain[], originalDestination: boolean): ListenerFilter[] {
  const ports = new Map<number, { tls: boolean; http: boolean }>();
  for (const { filterChainMatch: match } of chains) {
    const port = match?.destinationPort ?? 0;
    const known = ports.get(port);
    ports.set(port, { tls: known?.tls === true || match?.transportProtocol === 'tls', http: known?.http === true || match?.applicationProtocols.some((name) => plaintextHttp.includes(name)) === true });
  }
  const having = (what: 'tls' | 'http', wanted: boolean) => [...ports].filter(([, needs]) => needs[what] === wanted).map(([port]) => port).toSorted((a, b) => a - b);
  const declared = having('tls', true).filter((port) => port !== 0);
  const tlsDisabled = ports.get(0)?.tls === true ? onPorts(having('tls', false)) : noneBut(declared);
  return [
    ...(originalDestination ? [create(ListenerFilter, typed('envoy.filters.listener.original_dst', createAny('envoy.extensions.filters.listener.original_dst.v3.OriginalDst', OriginalDst)))] : []),
    ...(having('tls', true).length > 0 ? [{ ...tlsInspector(), filterDisabled: tlsDisabled }] : []),
    ...(having('http', true).length > 0 ? [{ ...httpInspector(), filterDisabled: onPorts(having('http', false)) }] : []),
  ];
}

function tlsInspector(): ListenerFilter {
  return create(ListenerFilter, typed('envoy.filters.listener.tls_inspector', createAny('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', TlsInspector)));
}

function httpInspector(): ListenerFilter {
  return create(ListenerFilter, typed('envoy.filters.listener.http_inspector', createAny('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector', HttpInspector)));
}

/** True for these destination ports; undefined for none. */
function onPorts(ports: readonly number[]): ListenerFilterChainMatchPredicate | undefined {
  const rules = ports.map((port) => create(ListenerFilterChainMatchPredicate, { rule: { $case: 'destinationPortRange', value: { start: port, end: port + 1 } } }));
  return rules.length > 1 ? create(ListenerFilterChainMatchPredicate, { rule: { $case: 'orMatch', value: { rules } } }) : rules[0];
}

function noneBut(ports: readonly number[]): ListenerFilterChainMatchPredicate | undefined {
  const these = onPorts(ports);
  return these && create(ListenerFilterChainMatchPredicate, { rule: { $case: 'notMatch', value: these } });
}

/** A filter chain match from what matters. */
export function chainMatch(fields: Partial<FilterChainMatch>): FilterChainMatch {
  return create(FilterChainMatch, fields);
}
