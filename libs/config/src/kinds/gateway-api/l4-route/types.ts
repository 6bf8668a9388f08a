import type { BackendRef, ParentReference } from '../references.ts';

/** gateway.networking.k8s.io TCPRoute. */
export interface TcpRouteSpec {
  readonly parentRefs: readonly ParentReference[];
  readonly rules: readonly L4RouteRule[];
  readonly useDefaultGateways?: 'All' | 'None';
}

/** gateway.networking.k8s.io TLSRoute: as a TCPRoute, for the server names it lists. */
export interface TlsRouteSpec extends TcpRouteSpec {
  readonly hostnames: readonly string[];
}

export interface L4RouteRule {
  readonly name?: string;
  readonly backendRefs: readonly BackendRef[];
}
