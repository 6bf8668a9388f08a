import type { GrpcRouteFilter } from '../filters.ts';
import type { SessionPersistence, ValueMatch } from '../http-route/types.ts';
import type { BackendRef, ParentReference } from '../references.ts';

/** gateway.networking.k8s.io GRPCRoute. */
export interface GrpcRouteSpec {
  readonly parentRefs: readonly ParentReference[];
  readonly hostnames: readonly string[];
  readonly rules: readonly GrpcRouteRule[];
  readonly useDefaultGateways?: 'All' | 'None';
}

export interface GrpcRouteRule {
  readonly name?: string;
  readonly matches: readonly GrpcRouteMatch[];
  readonly filters: readonly GrpcRouteFilter[];
  readonly backendRefs: readonly GrpcBackendRef[];
  readonly sessionPersistence?: SessionPersistence;
}

export interface GrpcRouteMatch {
  readonly method?: GrpcMethodMatch;
  readonly headers: readonly ValueMatch[];
}

/** One of service and method at least. */
export interface GrpcMethodMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly service?: string;
  readonly method?: string;
}

export interface GrpcBackendRef extends BackendRef {
  readonly filters: readonly GrpcRouteFilter[];
}
