import type { AddedTlv } from './tlv-selection.ts';
import type { DynamicMetadata } from '@meltemi/http';
import type { StringMatch } from '@meltemi/match';
import type { HeaderOps } from '@meltemi/route';
import type { Reference } from './config-source-types.ts';
import type { Http1Options, Http2Options, SocketTarget } from './listener-types.ts';
import type { UpstreamTls } from './tls-types.ts';
import type { UpstreamProxyProtocol } from './upstream-proxy-protocol.ts';

export interface Cluster {
  readonly name: string;
  /** For statistics: alt_stat_name or the name. */
  readonly statName: string;
  readonly altStatName: string | null;
  readonly discovery: 'static' | 'strict_dns' | 'logical_dns' | 'eds' | 'original_dst' | 'dynamic_forward_proxy';
  /** What to subscribe to under EDS; "" otherwise. */
  readonly edsServiceName: string;
  /** Inline endpoints (static and DNS kinds); null under EDS and original_dst. */
  readonly loadAssignment: LoadAssignment | null;
  readonly lbPolicy: LbPolicy;
  readonly subsets: SubsetConfig | null;
  /** 0–100; 50 when unset; 0 = never panic. */
  readonly healthyPanicThreshold: number;
  /** In panic no host is picked instead of any. */
  readonly failTrafficOnPanic: boolean;
  readonly localityWeighted: boolean;
  /** Requests stay in the proxy's zone where there is a local cluster to compare with; null = never. */
  readonly zoneAware: { readonly routingPercent: number; readonly minClusterSize: number } | null;
  /** 5,000 when unset. */
  readonly connectTimeoutMs: number;
  readonly perConnectionBufferLimit: number;
  readonly circuitBreakers: { readonly default: CircuitBreaker; readonly high: CircuitBreaker; readonly perHostMaxConnections: number };
  readonly outlierDetection: OutlierDetection | null;
  /** null = hosts are not asked. */
  readonly healthCheck: HealthCheck | null;
  readonly http: UpstreamHttp;
  /** null = plaintext. */
  readonly tls: UpstreamTls | null;
  /** A header in front of every connection; null = none. */
  readonly proxyProtocol: UpstreamProxyProtocol | null;
  /** First match by endpoint metadata `envoy.transport_socket_match` wins; none = `tls`. */
  readonly transportSocketMatches: readonly TransportSocketMatch[];
  readonly dns: DnsConfig;
  /** `header`: the request's field that names the destination ("ip:port") before the connection's own; null = none. */
  readonly originalDst: { readonly portOverride: number | null; readonly header: string | null };
  /** How names are looked up and kept by a dynamic forward proxy; null = it is none. */
  readonly dynamicHosts: DynamicHostsConfig | null;
  readonly bindAddress: { readonly address: string; readonly port: number } | null;
  readonly tcpKeepaliveMs: number | null;
  readonly closeConnectionsOnHealthFailure: boolean;
  readonly ignoreHealthOnHostRemoval: boolean;
  readonly cleanupIntervalMs: number;
  readonly metadata: DynamicMetadata | null;
  /** SDS names that must arrive before the cluster serves. */
  readonly sdsNames: ReadonlySet<string>;
  /** Its endpoints under EDS and its secrets: what comes from a config source. */
  readonly references: readonly Reference[];
}

export type LbPolicy =
  | { readonly kind: 'round_robin'; readonly slowStart: SlowStart | null }
  | { readonly kind: 'random' }
  /** `fullScan`: the least busy of all hosts instead of `choiceCount` random ones. */
  | { readonly kind: 'least_request'; readonly choiceCount: number; readonly activeRequestBias: number; readonly fullScan: boolean; readonly slowStart: SlowStart | null }
  | RingHashPolicy
  | MaglevPolicy
  | { readonly kind: 'cluster_provided' };

export interface RingHashPolicy extends ConsistentHashing {
  readonly kind: 'ring_hash';
  /** Places on the ring: 1,024 and 8,388,608 when unset. */
  readonly minRingSize: number;
  readonly maxRingSize: number;
  readonly hashFunction: 'xx' | 'murmur2';
}

export interface MaglevPolicy extends ConsistentHashing {
  readonly kind: 'maglev';
  /** Prime; 65,537 when unset. */
  readonly tableSize: number;
}

export interface ConsistentHashing {
  /** Hosts are told apart by hostname instead of address. */
  readonly useHostname: boolean;
  /** A host takes at most this part of the average load, in percent; 0 = any. */
  readonly balanceFactor: number;
}

/** New hosts get a part of their weight that grows over the window. */
export interface SlowStart {
  readonly windowMs: number;
  /** 1 = linear. */
  readonly aggression: number;
  /** 0–1: the least part; 0.1 when unset. */
  readonly minWeight: number;
}

export interface SubsetConfig {
  readonly fallback: 'none' | 'any' | 'default';
  readonly defaultSubset: Readonly<Record<string, unknown>>;
  readonly selectors: readonly SubsetSelector[];
  readonly listAsAny: boolean;
  /** Without it subsets ignore locality weights. */
  readonly localityWeightAware: boolean;
  /** A locality weighs by the part of its hosts that the subset has. */
  readonly scaleLocalityWeight: boolean;
  /** When the fallback has no host either, any will do. */
  readonly panicModeAny: boolean;
  /** `fallback_list` in the criteria lists criteria to try one after another. */
  readonly metadataFallbackList: boolean;
}

export interface SubsetSelector {
  /** Sorted. */
  readonly keys: readonly string[];
  readonly fallback: 'not-defined' | 'none' | 'any' | 'default' | 'keys';
  readonly fallbackKeys: readonly string[];
  /** A subset is its first host, whatever its health. */
  readonly singleHost: boolean;
}

/** The DNS cache of a dynamic forward proxy. */
export interface DynamicHostsConfig {
  readonly cacheName: string;
  readonly lookup: DnsConfig['lookup'];
  /** 60,000 when unset. */
  readonly refreshMs: number;
  readonly failureBaseMs: number;
  readonly failureMaxMs: number;
  /** Since the last use; 300,000 when unset. */
  readonly hostTtlMs: number;
  /** 1,024 when unset. */
  readonly maxHosts: number;
  /** Requests that may wait for look-ups; 1,024 when unset. */
  readonly maxPending: number;
  /** 5,000 when unset. */
  readonly queryTimeoutMs: number;
}

/** Limits at the same time; Number.MAX_SAFE_INTEGER = none. Envoy's defaults: 1024, 1024, 1024, 3. */
export interface CircuitBreaker {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** Gauges tell what is left. */
  readonly trackRemaining: boolean;
  /** Retries at once may be this part of active and pending requests; replaces maxRetries. */
  /** `intervalMs`: how long requests count after their end; 0: active ones alone. */
  readonly retryBudget: { readonly percent: number; readonly minConcurrency: number; readonly intervalMs: number } | null;
}

/** Envoy's defaults filled in. */
export interface OutlierDetection {
  /** Statuses that count as errors; null = 500 and above. */
  readonly errorStatuses: ReadonlySet<number> | null;
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  readonly maxEjectionTimeJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOneHost: boolean;
  readonly consecutive5xx: number;
  readonly enforcingConsecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly enforcingConsecutiveGatewayFailure: number;
  readonly splitExternalLocalOrigin: boolean;
  readonly consecutiveLocalOriginFailure: number;
  readonly enforcingConsecutiveLocalOriginFailure: number;
  readonly enforcingSuccessRate: number;
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  /** Thousandths: 1900 = 1.9 standard deviations. */
  readonly successRateStdevFactor: number;
  readonly enforcingLocalOriginSuccessRate: number;
  readonly failurePercentageThreshold: number;
  readonly enforcingFailurePercentage: number;
  readonly enforcingFailurePercentageLocalOrigin: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  /** A host that passes an active health check comes back at once. */
  readonly unejectByHealthCheck: boolean;
}

/** Active health checking, Envoy's defaults filled in. */
export interface HealthCheck {
  readonly kind: HttpCheck | TcpCheck | GrpcCheck;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly initialJitterMs: number;
  readonly intervalJitterMs: number;
  readonly intervalJitterPercent: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  readonly reuseConnection: boolean;
  /** While the cluster was never used. */
  readonly noTrafficIntervalMs: number;
  readonly noTrafficHealthyIntervalMs: number;
  readonly unhealthyIntervalMs: number;
  /** Between checks that must still add up to a threshold. */
  readonly unhealthyEdgeIntervalMs: number;
  readonly healthyEdgeIntervalMs: number;
  readonly alwaysLogFailures: boolean;
  /** null = where traffic goes. An endpoint's own comes first. */
  readonly altPort: number | null;
  /** null = as the TLS context says. */
  readonly alpn: readonly string[] | null;
  /** Picks among transport_socket_matches instead of the endpoint's metadata; null = the endpoint's. */
  readonly socketMatch: Readonly<Record<string, unknown>> | null;
  /** New hosts do not count before their first check. */
  readonly ignoreNewHosts: boolean;
}

export interface HttpCheck {
  readonly kind: 'http';
  readonly protocol: 'http1' | 'http2';
  readonly method: string;
  /** "" = the cluster's name. An endpoint's own comes first. */
  readonly host: string;
  readonly path: string;
  readonly send: Buffer | null;
  /** All in this order, anywhere in the body. */
  readonly receive: readonly Buffer[];
  readonly responseBufferBytes: number;
  readonly expectedStatuses: readonly StatusRange[];
  /** Count like no answer. */
  readonly retriableStatuses: readonly StatusRange[];
  readonly requestHeaders: HeaderOps;
  readonly serviceName: StringMatch | null;
}

/** `from` included, `to` not. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

export interface TcpCheck {
  readonly kind: 'tcp';
  readonly send: Buffer | null;
  readonly receive: readonly Buffer[];
}

/** grpc.health.v1.Health/Check. */
export interface GrpcCheck {
  readonly kind: 'grpc';
  readonly serviceName: string;
  /** "" = the cluster's name. */
  readonly authority: string;
  readonly metadata: HeaderOps;
}

export interface UpstreamHttp {
  /** 'downstream' = as the client spoke; 'auto' = by ALPN. */
  readonly protocol: 'http1' | 'http2' | 'downstream' | 'auto';
  readonly http1: Http1Options;
  readonly http2: Http2Options;
  /** Pooled connection idle; 3,600,000 when unset; 0 = none. */
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxStreamDurationMs: number;
  readonly maxHeadersCount: number;
  /** 0 = unlimited. */
  readonly maxRequestsPerConnection: number;
  /** SNI is the host of the request that opens the connection. */
  readonly autoSni: boolean;
  /** The peer's certificate must have that name as a DNS SAN. */
  readonly autoSanValidation: boolean;
  readonly overrideAutoSniHeader: string;
  /** What outlier detection takes for an error; null = 500 and above. */
  readonly errorStatuses: ReadonlySet<number> | null;
}

export interface TransportSocketMatch {
  readonly name: string;
  /** All must equal the endpoint's metadata; empty matches all. */
  readonly match: Readonly<Record<string, unknown>>;
  readonly tls: UpstreamTls | null;
}

export interface DnsConfig {
  readonly refreshMs: number;
  readonly failureRefreshBaseMs: number;
  readonly failureRefreshMaxMs: number;
  readonly respectTtl: boolean;
  readonly lookup: 'auto' | 'v4' | 'v6' | 'v4-preferred' | 'all';
}

export interface LoadAssignment {
  readonly clusterName: string;
  /** Dense by priority: priorities[0] first. A gap in the resource's priorities is refused. */
  readonly priorities: readonly (readonly LocalityEndpoints[])[];
  /** 140 when unset. */
  readonly overprovisioningFactor: number;
  readonly weightedPriorityHealth: boolean;
  /** Parts of a million of requests to drop, by category. */
  readonly drops: readonly { readonly category: string; readonly perMillion: number }[];
}

export interface LocalityEndpoints {
  readonly locality: Locality;
  /** null = unset. */
  readonly weight: number | null;
  readonly endpoints: readonly Endpoint[];
}

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export interface Endpoint {
  readonly target: SocketTarget;
  /** "address:port", "[ip6]:port" or the path: identity across updates, and %UPSTREAM_HOST%. */
  readonly key: string;
  /** "" when none; for auto host rewrite. */
  readonly hostname: string;
  readonly weight: number;
  readonly health: 'healthy' | 'degraded' | 'unhealthy';
  /** Filter namespace → values, as in the resource; null when none. */
  readonly metadata: DynamicMetadata | null;
  readonly locality: Locality;
  /** How the host is checked, where it differs. */
  readonly healthCheck?: EndpointHealthCheck;
  /** Values that go into the PROXY headers of its connections, in place of the cluster's of the same type. */
  readonly proxyTlvs?: readonly AddedTlv[];
}

export interface EndpointHealthCheck {
  /** null = the endpoint's address. */
  readonly target: SocketTarget | null;
  /** null = as the target, or the check's alt_port. */
  readonly port: number | null;
  /** "" = the check's. */
  readonly hostname: string;
  readonly disabled: boolean;
}
