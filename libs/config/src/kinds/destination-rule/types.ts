import type { DurationMs, MatchLabelsSelector, PortSelector, StringMap } from '../types.ts';

/** networking.istio.io DestinationRule. */
export interface DestinationRuleSpec {
  readonly host: string;
  readonly trafficPolicy?: TrafficPolicy;
  readonly subsets: readonly Subset[];
  readonly exportTo: readonly string[];
  readonly workloadSelector?: MatchLabelsSelector;
}

export interface Subset {
  readonly name: string;
  readonly labels: StringMap;
  readonly trafficPolicy?: TrafficPolicy;
}

export interface TrafficPolicy {
  readonly loadBalancer?: LoadBalancerSettings;
  readonly connectionPool?: ConnectionPoolSettings;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTlsSettings;
  readonly portLevelSettings: readonly PortTrafficPolicy[];
  readonly tunnel?: TunnelSettings;
  readonly proxyProtocol?: { readonly version: 'V1' | 'V2' };
  readonly retryBudget?: RetryBudget;
}

/** Replaces the destination's settings for one port altogether. */
export interface PortTrafficPolicy {
  readonly port?: PortSelector;
  readonly loadBalancer?: LoadBalancerSettings;
  readonly connectionPool?: ConnectionPoolSettings;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTlsSettings;
}

export interface TunnelSettings {
  /** "" is CONNECT. */
  readonly protocol: string;
  readonly targetHost: string;
  readonly targetPort: number;
}

export interface RetryBudget {
  readonly percent?: number;
  readonly minRetryConcurrency: number;
  readonly budgetInterval?: DurationMs;
}

export type SimpleLb = 'UNSPECIFIED' | 'LEAST_CONN' | 'RANDOM' | 'PASSTHROUGH' | 'ROUND_ROBIN' | 'LEAST_REQUEST';

/** At most one of `simple` and `consistentHash`. */
export interface LoadBalancerSettings {
  readonly simple?: SimpleLb;
  readonly consistentHash?: ConsistentHashLb;
  readonly backendUtilization?: BackendUtilizationLb;
  readonly localityLbSetting?: LocalityLoadBalancerSetting;
  readonly zoneAwareLbSetting?: ZoneAwareLoadBalancerSetting;
  /** Deprecated by `warmup`. */
  readonly warmupDurationSecs?: DurationMs;
  readonly warmup?: WarmupConfiguration;
}

/** Exactly one hash key (header, cookie, source IP, query parameter); at most one of `ringHash` and `maglev`. */
export interface ConsistentHashLb {
  readonly httpHeaderName?: string;
  readonly httpCookie?: HttpCookie;
  readonly useSourceIp?: boolean;
  readonly httpQueryParameterName?: string;
  /** Absent size: 1024. */
  readonly ringHash?: { readonly minimumRingSize: number };
  /** Size 0: 65537. */
  readonly maglev?: { readonly tableSize: number };
  /** Deprecated by `ringHash`. */
  readonly minimumRingSize: number;
}

export interface HttpCookie {
  readonly name: string;
  readonly path: string;
  /** Absent: the proxy sets no cookie of its own; 0: a session cookie. */
  readonly ttl?: DurationMs;
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
}

/** Weights from the load that endpoints report (ORCA). */
export interface BackendUtilizationLb {
  readonly errorUtilizationPenaltyPercent: number;
  readonly metricNamesForComputingUtilization: readonly string[];
  readonly weightExpirationPeriod?: DurationMs;
  readonly weightStabilizationPeriod?: DurationMs;
  readonly weightUpdatePeriod?: DurationMs;
}

export interface WarmupConfiguration {
  readonly duration: DurationMs;
  readonly minimumPercent?: number;
  readonly aggression?: number;
}

export interface LocalityLoadBalancerSetting {
  readonly distribute: readonly LocalityDistribute[];
  readonly failover: readonly LocalityFailover[];
  readonly failoverPriority: readonly string[];
  readonly enabled?: boolean;
}

/** `to` maps a locality to its percentage; they add up to 100. */
export interface LocalityDistribute {
  readonly from: string;
  readonly to: Readonly<Record<string, number>>;
}

export interface LocalityFailover {
  readonly from: string;
  readonly to: string;
}

export interface ZoneAwareLoadBalancerSetting {
  readonly enabled?: boolean;
  readonly failover: readonly LocalityFailover[];
  readonly failoverPriority: readonly string[];
  readonly minClusterSize?: number;
}

export interface ConnectionPoolSettings {
  readonly tcp?: TcpSettings;
  readonly http?: HttpSettings;
}

/** 0 in `maxConnections`: unlimited. */
export interface TcpSettings {
  readonly maxConnections: number;
  readonly connectTimeout?: DurationMs;
  readonly tcpKeepalive?: TcpKeepalive;
  readonly maxConnectionDuration?: DurationMs;
  readonly idleTimeout?: DurationMs;
}

export interface TcpKeepalive {
  readonly probes: number;
  readonly time?: DurationMs;
  readonly interval?: DurationMs;
}

/** 0 in a limit: Istio's default. */
export interface HttpSettings {
  readonly http1MaxPendingRequests: number;
  readonly http2MaxRequests: number;
  readonly maxRequestsPerConnection: number;
  readonly maxRetries: number;
  readonly idleTimeout?: DurationMs;
  readonly h2UpgradePolicy: 'DEFAULT' | 'DO_NOT_UPGRADE' | 'UPGRADE';
  readonly useClientProtocol: boolean;
  readonly maxConcurrentStreams: number;
  readonly http2KeepAlive?: { readonly interval?: DurationMs; readonly timeout?: DurationMs };
}

export interface OutlierDetection {
  /** Deprecated by `consecutive5xxErrors`. */
  readonly consecutiveErrors: number;
  readonly splitExternalLocalOriginErrors: boolean;
  readonly consecutiveLocalOriginFailures?: number;
  readonly consecutiveGatewayErrors?: number;
  readonly consecutive5xxErrors?: number;
  readonly interval?: DurationMs;
  readonly baseEjectionTime?: DurationMs;
  readonly maxEjectionPercent: number;
  readonly minHealthPercent: number;
  readonly outlierDetectionHttpErrorCodes: readonly number[];
}

export type ClientTlsMode = 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL';

export interface ClientTlsSettings {
  readonly mode: ClientTlsMode;
  readonly clientCertificate: string;
  readonly privateKey: string;
  readonly caCertificates: string;
  readonly credentialName: string;
  readonly subjectAltNames: readonly string[];
  readonly sni: string;
  readonly insecureSkipVerify?: boolean;
  readonly caCrl: string;
}
