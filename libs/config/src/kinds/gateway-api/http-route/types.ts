import type { DurationMs } from '../../types.ts';
import type { HttpRouteFilter } from '../filters.ts';
import type { BackendRef, ParentReference } from '../references.ts';

/** gateway.networking.k8s.io HTTPRoute. */
export interface HttpRouteSpec {
  readonly parentRefs: readonly ParentReference[];
  /** Empty: every host of the listener. */
  readonly hostnames: readonly string[];
  readonly rules: readonly HttpRouteRule[];
  readonly useDefaultGateways?: 'All' | 'None';
}

export interface HttpRouteRule {
  readonly name?: string;
  /** Empty matches everything. */
  readonly matches: readonly HttpRouteMatch[];
  readonly filters: readonly HttpRouteFilter[];
  /** Empty (and no redirect): 500. */
  readonly backendRefs: readonly HttpBackendRef[];
  readonly timeouts?: HttpRouteTimeouts;
  readonly retry?: HttpRouteRetry;
  readonly sessionPersistence?: SessionPersistence;
}

/** All that is set must hold. */
export interface HttpRouteMatch {
  readonly path: { readonly type: 'PathPrefix' | 'Exact' | 'RegularExpression'; readonly value: string };
  readonly headers: readonly ValueMatch[];
  readonly queryParams: readonly ValueMatch[];
  readonly method?: string;
}

/** A header or query parameter. */
export interface ValueMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

export interface HttpBackendRef extends BackendRef {
  readonly filters: readonly HttpRouteFilter[];
}

/** 0 switches a timeout off. */
export interface HttpRouteTimeouts {
  readonly request?: DurationMs;
  readonly backendRequest?: DurationMs;
}

export interface HttpRouteRetry {
  readonly codes: readonly number[];
  readonly attempts?: number;
  readonly backoff?: DurationMs;
}

/** Refused by name: neither Istio nor Meltemi does it. */
export interface SessionPersistence {
  readonly sessionName?: string;
  readonly type: 'Cookie' | 'Header';
  readonly absoluteTimeout?: DurationMs;
  readonly idleTimeout?: DurationMs;
  readonly cookie?: { readonly name: string; readonly path: string; readonly lifetimeType: 'Session' | 'Permanent' };
  readonly header?: { readonly name: string };
}
