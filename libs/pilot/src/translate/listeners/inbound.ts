import { FilterChain } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import type { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { TransportSocket } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { Route, RouteAction, VirtualHost } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { addressListener, inboundCluster, inboundRoute, wellKnownClusters, wellKnownListeners } from '@meltemi/xds';
import { listenerAccessLogs } from '../access-log.ts';
import { modeForPort, mtlsPolicyFor, type MtlsMode } from '../../push-context/peer-authentication.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import { bindAddress, type Proxy } from '../../proxy/proxy.ts';
import { isHttp, isHttp2, type Protocol } from '../../registry/model.ts';
import { wildcards } from '../addresses.ts';
import { inboundPorts, type InboundPort } from '../inbound-ports.ts';
import { create, duration } from '../message.ts';
import { istioMutualDownstream, serverDownstream, tlsSocket } from '../tls.ts';
import { routeMatch } from '../routes/matchers.ts';
import { inboundRetryPolicy } from '../routes/retry.ts';
import { httpConnectionManager } from './http-connection-manager.ts';
import { chainMatch, listener, plaintextHttp } from './listener.ts';
import { tcpFilters } from './tcp-filters.ts';

/** What clients in the mesh negotiate for HTTP, for bytes, and either. */
const meshHttp: readonly string[] = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'];
const meshTcp: readonly string[] = ['istio-peer-exchange', 'istio'];
const meshAny: readonly string[] = ['istio', 'istio-peer-exchange', ...meshHttp];

/** One way into a port: which connections, read as what, with or without mutual TLS. */
interface Entrance {
  readonly transport: 'tls' | 'raw_buffer';
  readonly alpn: readonly string[];
  readonly http: boolean;
  readonly mtls: boolean;
}

const entrance = (transport: Entrance['transport'], http: boolean, options: { readonly alpn?: readonly string[]; readonly mtls?: boolean } = {}): Entrance => ({
  transport,
  http,
  alpn: options.alpn ?? [],
  mtls: options.mtls ?? false,
});

/** Ways in by mode and kind of port. Source: Istio's filterchain_options.go. */
const entrances: Readonly<Record<MtlsMode, Readonly<Record<'http' | 'tcp' | 'auto', readonly Entrance[]>>>> = {
  STRICT: {
    http: [entrance('tls', true, { mtls: true })],
    tcp: [entrance('tls', false, { mtls: true })],
    auto: [entrance('tls', true, { alpn: meshHttp, mtls: true }), entrance('tls', false, { mtls: true })],
  },
  PERMISSIVE: {
    http: [entrance('tls', true, { alpn: meshAny, mtls: true }), entrance('raw_buffer', true)],
    // the last one: TLS that the application itself speaks
    tcp: [entrance('tls', false, { alpn: meshAny, mtls: true }), entrance('raw_buffer', false), entrance('tls', false)],
    auto: [
      entrance('tls', true, { alpn: meshHttp, mtls: true }),
      entrance('raw_buffer', true, { alpn: plaintextHttp }),
      entrance('tls', false, { alpn: meshTcp, mtls: true }),
      entrance('raw_buffer', false),
      entrance('tls', false),
    ],
  },
  DISABLE: {
    // nobody looks for TLS on these ports: what the application itself encrypts is bytes
    http: [entrance('raw_buffer', true)],
    tcp: [entrance('raw_buffer', false)],
    auto: [entrance('raw_buffer', true, { alpn: plaintextHttp }), entrance('raw_buffer', false)],
  },
};

/** virtualInbound with a chain per port, or a listener per port where nothing is intercepted. */
export function inboundListeners(push: PushContext, proxy: Proxy): Listener[] {
  const listeners: Listener[] = [];
  const virtual: FilterChain[] = [];
  const ports = inboundPorts(push, proxy);
  const logs = listenerAccessLogs({ push, proxy, direction: 'inbound' });
  for (const port of ports) {
    const chains = portChains(push, proxy, port);
    if (port.bindToPort) listeners.push(listener({ name: addressListener(port.bind, port.targetPort), bind: port.bind, port: port.targetPort, direction: 'inbound', mesh: push.mesh, bindToPort: true, filterChains: chains, accessLogs: logs }));
    else virtual.push(...chains);
  }
  if (proxy.interception === 'NONE') return listeners;
  const { proxyInboundListenPort: port } = push.mesh;
  const filterChains = [...passthroughChains(push, proxy, new Set(ports.map((declared) => declared.targetPort))), ...virtual];
  const [bind, ...others] = wildcards(proxy.families);
  const virtualInbound = listener({ name: wellKnownListeners.inbound, bind: bindAddress(proxy, bind), moreBinds: push.features.dualStack ? others : [], port, direction: 'inbound', mesh: push.mesh, bindToPort: true, filterChains, originalDestination: true, accessLogs: logs });
  // Deviation: no original_src filter; applications see the proxy as their client, as with REDIRECT.
  return [proxy.interception === 'TPROXY' ? { ...virtualInbound, transparent: true } : virtualInbound, ...listeners];
}

function portChains(push: PushContext, proxy: Proxy, port: InboundPort): FilterChain[] {
  const mode = modeForPort(mtlsPolicyFor(push.peerAuthentications, proxy), port.targetPort);
  const build = { push, proxy, cluster: inboundCluster(port.targetPort), name: addressListener(port.bind, port.targetPort), servicePort: port.servicePort, operation: `${port.services[0]?.hostname ?? ''}:${port.servicePort}/*` };
  // a Sidecar's own TLS counts only where mutual TLS does not already decide
  const own = port.tls && mode === 'DISABLE' ? serverDownstream(port.tls, { mesh: push.mesh, http: true, proxy }) : undefined;
  if (own) {
    const protocol: Protocol = port.protocol === 'HTTPS' ? 'HTTP' : port.protocol;
    return [chain({ ...build, protocol, port: port.targetPort }, entrance('tls', isHttp(protocol), { mtls: true }), tlsSocket({ downstream: own }))];
  }
  const kind = isHttp(port.protocol) ? 'http' : port.protocol === 'AUTO' ? 'auto' : 'tcp';
  return entrances[mode][kind].map((way) => chain({ ...build, protocol: port.protocol, port: port.targetPort }, way, meshSocket(push, proxy, way)));
}

function meshSocket(push: PushContext, proxy: Proxy, way: Entrance): TransportSocket | undefined {
  return way.mtls ? tlsSocket({ downstream: istioMutualDownstream({ mesh: push.mesh, http: way.http, proxy }) }) : undefined;
}

interface ChainBuild {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly cluster: string;
  readonly name: string;
  /** 0: any port. */
  readonly port: number;
  /** No service declares the port: connections go where their clients meant. Default false. */
  readonly passthrough?: boolean;
  readonly servicePort: number;
  readonly protocol: Protocol;
  readonly operation: string;
}

function chain(build: ChainBuild, way: Entrance, transportSocket: TransportSocket | undefined): FilterChain {
  const { push, proxy, cluster } = build;
  const match = chainMatch({
    // a listener of its own has one port only
    ...(build.port === 0 || proxy.interception === 'NONE' ? {} : { destinationPort: build.port }),
    transportProtocol: way.transport,
    applicationProtocols: [...way.alpn],
  });
  const statPrefix = build.passthrough === true ? cluster : `inbound_${build.name};`;
  const filters = way.http
    ? [httpConnectionManager({ push, proxy, direction: 'inbound', statPrefix, routes: inboundRoutes(build), http2: isHttp2(build.protocol), protocol: build.protocol })]
    : tcpFilters({ push, proxy, direction: 'inbound' }, cluster);
  return create(FilterChain, { name: build.name, filterChainMatch: match, filters, ...(transportSocket ? { transportSocket } : {}) });
}

/** One route to the application. */
function inboundRoutes({ push, cluster, servicePort, protocol, operation, port, passthrough }: ChainBuild): RouteConfiguration {
  const action = create(RouteAction, { clusterSpecifier: { $case: 'cluster', value: cluster }, timeout: duration(0), maxGrpcTimeout: duration(0), retryPolicy: inboundRetryPolicy(push.mesh.defaultInboundHttpRetryPolicy, protocol) });
  const route = create(Route, { name: 'default', match: routeMatch(undefined), decorator: { operation }, action: { $case: 'route', value: action } });
  const host = create(VirtualHost, { name: `inbound|http|${servicePort}`, domains: ['*'], routes: [route] });
  return create(RouteConfiguration, { name: passthrough === true ? cluster : inboundRoute(port), virtualHosts: [host], validateClusters: false });
}

/** Chains for ports no service declares, and one that keeps the listener from calling itself. */
function passthroughChains(push: PushContext, proxy: Proxy, declared: ReadonlySet<number>): FilterChain[] {
  const loop = create(FilterChain, {
    name: 'virtualInbound-blackhole',
    filterChainMatch: chainMatch({ destinationPort: push.mesh.proxyInboundListenPort }),
    filters: tcpFilters({ push, proxy, direction: 'inbound' }, wellKnownClusters.blackHole),
  });
  const policy = mtlsPolicyFor(push.peerAuthentications, proxy);
  const build = (way: Entrance, port: number): ChainBuild => ({
    push, proxy, cluster: wellKnownClusters.inboundPassthrough, name: way.http ? 'virtualInbound-catchall-http' : 'virtualInbound', port, passthrough: true, servicePort: 0, protocol: 'AUTO', operation: `:${port}/*`,
  });
  const chains = (port: number): FilterChain[] => entrances[modeForPort(policy, port)].auto.map((way) => chain(build(way, port), way, meshSocket(push, proxy, way)));
  // a port's own rule holds also where no service declares the port
  const ruled = [...policy.ports.keys()].filter((port) => !declared.has(port)).toSorted((a, b) => a - b);
  return [loop, ...chains(0), ...ruled.flatMap(chains)];
}
