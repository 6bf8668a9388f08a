import { AdditionalAddress, Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { FilterChainMatch, ListenerFilter, type FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
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
}

const directions = { inbound: TrafficDirection.INBOUND, outbound: TrafficDirection.OUTBOUND, gateway: TrafficDirection.OUTBOUND } as const;

/** A listener with the inspectors that its filter chains need. */
export function listener(options: ListenerOptions): Listener {
  const chains = [...options.filterChains];
  const filters = listenerFilters(chains, options.originalDestination === true);
  return create(Listener, {
    name: options.name,
    address: address(options.bind, options.port),
    additionalAddresses: (options.moreBinds ?? []).map((bind) => create(AdditionalAddress, { address: address(bind, options.port) })),
    filterChains: chains,
    ...(options.defaultFilterChain ? { defaultFilterChain: options.defaultFilterChain } : {}),
    listenerFilters: filters,
    // strangers get Envoy's own patience at a gateway, and then no connection
    ...(filters.length > 0 && options.direction !== 'gateway' ? { listenerFiltersTimeout: duration(options.mesh.protocolDetectionTimeout), continueOnListenerFiltersTimeout: true } : {}),
    trafficDirection: directions[options.direction],
    ...(options.bindToPort ? {} : { bindToPort: false }),
  });
}

/** Order: where to first, then TLS, then HTTP (which looks at plaintext only). */
function listenerFilters(chains: readonly FilterChain[], originalDestination: boolean): ListenerFilter[] {
  const matches = chains.map((chain) => chain.filterChainMatch).filter((match) => match !== undefined);
  const needsTls = matches.some((match) => match.transportProtocol !== '' || match.serverNames.length > 0) || chains.some((chain) => (chain.transportSocket !== undefined && chains.length > 1) || chain.filters.some(({ name }) => name === 'envoy.filters.network.sni_dynamic_forward_proxy'));
  const needsHttp = matches.some((match) => match.applicationProtocols.some((name) => plaintextHttp.includes(name)));
  return [
    ...(originalDestination ? [create(ListenerFilter, typed('envoy.filters.listener.original_dst', createAny('envoy.extensions.filters.listener.original_dst.v3.OriginalDst', OriginalDst)))] : []),
    ...(needsTls ? [create(ListenerFilter, typed('envoy.filters.listener.tls_inspector', createAny('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', TlsInspector)))] : []),
    ...(needsHttp ? [create(ListenerFilter, typed('envoy.filters.listener.http_inspector', createAny('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector', HttpInspector)))] : []),
  ];
}

/** A filter chain match from what matters. */
export function chainMatch(fields: Partial<FilterChainMatch>): FilterChainMatch {
  return create(FilterChainMatch, fields);
}
