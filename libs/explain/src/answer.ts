import type { Position } from '@meltemi/config';

/** What may become of a call. */
export const outcomes = [
  'routed', 'redirect', 'direct_response', 'denied', 'no_listener', 'no_filter_chain', 'no_virtual_host', 'no_route', 'tls_error', 'mtls_error', 'protocol_error',
] as const;

export type Outcome = (typeof outcomes)[number];

/** An object of the user's configuration, and where it is written. */
export interface Origin extends Partial<Position> {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Field path in the object: "spec.http[1].match[0]"; "" = the object as a whole. */
  readonly field: string;
  readonly file?: string;
}

/** One thing that was looked at on the way. */
export interface Step {
  readonly at: 'dns' | 'listener' | 'filter_chain' | 'tls' | 'network_filter' | 'virtual_host' | 'http_filter' | 'route' | 'cluster' | 'config';
  readonly name: string;
  /** It applied; false = it was considered and did not. */
  readonly matched: boolean;
  readonly detail: string;
  readonly origin?: Origin;
}

export interface ClusterWeight {
  readonly name: string;
  /** As configured; 100 for the only one. */
  readonly weight: number;
}

export interface EndpointAnswer {
  readonly address: string;
  readonly priority: number;
  readonly weight: number;
  readonly health: 'healthy' | 'degraded' | 'unhealthy';
  /** How the proxy connects: "mtls", "tls" or "none". */
  readonly tls: 'none' | 'tls' | 'mtls';
}

/** Policies in force on a routed request. */
export interface RouteSettings {
  /** Milliseconds; 0 = none. */
  readonly timeoutMs: number;
  readonly retries: { readonly attempts: number; readonly perTryTimeoutMs: number } | null;
  readonly faults: readonly string[];
  readonly mirrors: readonly string[];
  /** As the upstream sees it. */
  readonly path: string;
  readonly authority: string;
}

/** Fields that have nothing to say are absent. */
export interface Answer {
  readonly outcome: Outcome;
  readonly listener?: string;
  readonly filterChain?: string;
  readonly virtualHost?: string;
  readonly route?: string;
  /** Where it goes; with several weights the first of the heaviest. */
  readonly cluster?: string;
  readonly clusters?: readonly ClusterWeight[];
  /** Those of `clusters` with a weight that no request comes through: they are not there, or have no endpoint. */
  readonly failing?: readonly ClusterWeight[];
  /** HTTP status of an answer that the proxy itself makes. */
  readonly status?: number;
  /** What a gRPC client is told when the proxy answers it; `status` is 200 then. */
  readonly grpcStatus?: number;
  /** Of redirects. */
  readonly location?: string;
  /** %RESPONSE_CODE_DETAILS% of what the proxy itself answered. */
  readonly details?: string;
  /** The AuthorizationPolicy that denied, "namespace/name". */
  readonly policy?: string;
  /** Its rule under the name that logs have: "ns[foo]-policy[bar]-rule[0]". */
  readonly rule?: string;
  readonly endpoints?: readonly EndpointAnswer[];
  readonly settings?: RouteSettings;
  readonly steps: readonly Step[];
}
