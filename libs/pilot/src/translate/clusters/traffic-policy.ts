import type { ConnectionPoolSettings, LoadBalancerSettings, MeshConfigSpec, OutlierDetection as OutlierSettings, TrafficPolicy } from '@meltemi/config';
import { type Cluster, Cluster_CommonLbConfig, Cluster_DiscoveryType, Cluster_LbPolicy, Cluster_LeastRequestLbConfig, Cluster_MaglevLbConfig, Cluster_RingHashLbConfig, Cluster_RoundRobinLbConfig, Cluster_SlowStartConfig, UpstreamConnectionOptions } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { CircuitBreakers, CircuitBreakers_Thresholds } from '@meltemi/api/gen/envoy/config/cluster/v3/circuit_breaker.ts';
import { OutlierDetection } from '@meltemi/api/gen/envoy/config/cluster/v3/outlier_detection.ts';
import { RuntimeDouble } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { TcpKeepalive } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import { create, duration, optionalDuration } from '../message.ts';

/** What a policy means for one port: a port's own settings replace the destination's altogether. */
export type PortPolicy = Pick<TrafficPolicy, 'loadBalancer' | 'connectionPool' | 'outlierDetection' | 'tls' | 'tunnel' | 'proxyProtocol' | 'retryBudget'>;

/**
 * Destination ⊕ subset, for `port`. Blocks the destination leaves open are the mesh's `defaults`; each block of the subset overrides; port
 * settings of either replace what their level says, with nothing in place of what they leave open. Source: Istio's MergeTrafficPolicy.
 */
export function effectivePolicy(destination: TrafficPolicy | undefined, subset: TrafficPolicy | undefined, port: number, defaults?: MeshConfigSpec['defaultTrafficPolicy']): PortPolicy {
  const base = { ...defined(defaults ?? {}), ...atPort(destination, port).policy };
  if (!subset) return base;
  const own = atPort(subset, port);
  if (!own.ported) return { ...base, ...own.policy };
  const { tunnel, proxyProtocol, retryBudget } = base;
  return { ...defined({ tunnel, proxyProtocol, retryBudget }), ...own.policy };
}

/** The mesh's defaults and nothing else: for clusters that no DestinationRule can name. */
export function defaultPolicy(mesh: MeshConfigSpec): PortPolicy {
  return effectivePolicy(undefined, undefined, 0, mesh.defaultTrafficPolicy);
}

function atPort(policy: TrafficPolicy | undefined, port: number): { readonly policy: PortPolicy; readonly ported: boolean } {
  if (!policy) return { policy: {}, ported: false };
  const level = policy.portLevelSettings.find((entry) => entry.port?.number === port);
  const { loadBalancer, connectionPool, outlierDetection, tls } = level ?? policy;
  const { tunnel, proxyProtocol, retryBudget } = level ? {} : policy;
  return { policy: defined({ loadBalancer, connectionPool, outlierDetection, tls, tunnel, proxyProtocol, retryBudget }), ported: level !== undefined };
}

function defined(policy: { [K in keyof PortPolicy]?: PortPolicy[K] | undefined }): PortPolicy {
  return Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined));
}

const unlimited = 0xffff_ffff;

/** Sets circuit breakers, timeouts, outlier detection and load balancing on `cluster`. */
export function applyTrafficPolicy(cluster: Cluster, policy: PortPolicy, mesh: MeshConfigSpec): void {
  const pool = policy.connectionPool;
  cluster.connectTimeout = duration(pool?.tcp?.connectTimeout ?? mesh.connectTimeout);
  cluster.circuitBreakers = create(CircuitBreakers, { thresholds: [thresholds(pool, policy)] });
  const keepalive = pool?.tcp?.tcpKeepalive ?? mesh.tcpKeepalive;
  if (keepalive) {
    cluster.upstreamConnectionOptions = create(UpstreamConnectionOptions, {
      tcpKeepalive: create(TcpKeepalive, {
        ...(keepalive.probes > 0 ? { keepaliveProbes: keepalive.probes } : {}),
        ...(keepalive.time === undefined ? {} : { keepaliveTime: Math.round(keepalive.time / 1000) }),
        ...(keepalive.interval === undefined ? {} : { keepaliveInterval: Math.round(keepalive.interval / 1000) }),
      }),
    });
  }
  if (policy.outlierDetection) applyOutlierDetection(cluster, policy.outlierDetection);
  applyLoadBalancer(cluster, policy.loadBalancer);
}

function thresholds(pool: ConnectionPoolSettings | undefined, policy: PortPolicy): CircuitBreakers_Thresholds {
  const limit = (value: number | undefined) => (value === undefined || value <= 0 ? unlimited : value);
  return create(CircuitBreakers_Thresholds, {
    maxConnections: limit(pool?.tcp?.maxConnections),
    maxPendingRequests: limit(pool?.http?.http1MaxPendingRequests),
    maxRequests: limit(pool?.http?.http2MaxRequests),
    maxRetries: limit(pool?.http?.maxRetries),
    trackRemaining: true,
    ...(policy.retryBudget ? { retryBudget: { budgetInterval: optionalDuration(policy.retryBudget.budgetInterval), budgetPercent: { value: policy.retryBudget.percent ?? 20 }, minRetryConcurrency: policy.retryBudget.minRetryConcurrency > 0 ? policy.retryBudget.minRetryConcurrency : 3 } } : {}),
  });
}

function applyOutlierDetection(cluster: Cluster, settings: OutlierSettings): void {
  const detection = create(OutlierDetection, {
    interval: optionalDuration(settings.interval),
    baseEjectionTime: optionalDuration(settings.baseEjectionTime),
    ...(settings.maxEjectionPercent > 0 ? { maxEjectionPercent: settings.maxEjectionPercent } : {}),
    // Istio judges by errors, not by comparing hosts
    enforcingSuccessRate: 0,
    splitExternalLocalOriginErrors: settings.splitExternalLocalOriginErrors,
  });
  const errors = settings.consecutive5xxErrors;
  if (errors !== undefined) Object.assign(detection, { consecutive5xx: errors, enforcingConsecutive5xx: errors > 0 ? 100 : 0 });
  const gateway = settings.consecutiveGatewayErrors;
  if (gateway !== undefined) Object.assign(detection, { consecutiveGatewayFailure: gateway, enforcingConsecutiveGatewayFailure: gateway > 0 ? 100 : 0 });
  if (settings.splitExternalLocalOriginErrors) {
    const count = settings.consecutiveLocalOriginFailures ?? 0;
    Object.assign(detection, { enforcingLocalOriginSuccessRate: 0, ...(count > 0 ? { consecutiveLocalOriginFailure: count, enforcingConsecutiveLocalOriginFailure: 100 } : {}) });
  }
  cluster.outlierDetection = detection;
  cluster.commonLbConfig = create(Cluster_CommonLbConfig, { healthyPanicThreshold: { value: settings.minHealthPercent } });
}

function applyLoadBalancer(cluster: Cluster, settings: LoadBalancerSettings | undefined): void {
  // Envoy accepts no other policy for these
  if (cluster.clusterDiscoveryType?.$case === 'type' && cluster.clusterDiscoveryType.value === Cluster_DiscoveryType.ORIGINAL_DST) {
    cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
    return;
  }
  const hash = settings?.consistentHash;
  const warmup = slowStart(settings);
  if (hash?.maglev) {
    cluster.lbPolicy = Cluster_LbPolicy.MAGLEV;
    if (hash.maglev.tableSize > 0) cluster.lbConfig = { $case: 'maglevLbConfig', value: create(Cluster_MaglevLbConfig, { tableSize: BigInt(hash.maglev.tableSize) }) };
  } else if (hash) {
    cluster.lbPolicy = Cluster_LbPolicy.RING_HASH;
    const size = hash.ringHash ? hash.ringHash.minimumRingSize : hash.minimumRingSize > 0 ? hash.minimumRingSize : 1024;
    if (size > 0) cluster.lbConfig = { $case: 'ringHashLbConfig', value: create(Cluster_RingHashLbConfig, { minimumRingSize: BigInt(size) }) };
  } else if (settings?.simple === 'ROUND_ROBIN') {
    cluster.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
    if (warmup) cluster.lbConfig = { $case: 'roundRobinLbConfig', value: create(Cluster_RoundRobinLbConfig, { slowStartConfig: warmup }) };
  } else if (settings?.simple === 'RANDOM') cluster.lbPolicy = Cluster_LbPolicy.RANDOM;
  else {
    cluster.lbPolicy = Cluster_LbPolicy.LEAST_REQUEST;
    if (warmup) cluster.lbConfig = { $case: 'leastRequestLbConfig', value: create(Cluster_LeastRequestLbConfig, { slowStartConfig: warmup }) };
  }
}

/** The deprecated duration alone leaves the rest to Envoy's defaults, which are the same. */
function slowStart(settings: LoadBalancerSettings | undefined): Cluster_SlowStartConfig | undefined {
  const { warmup } = settings ?? {};
  if (!warmup) return settings?.warmupDurationSecs === undefined ? undefined : create(Cluster_SlowStartConfig, { slowStartWindow: duration(settings.warmupDurationSecs) });
  return create(Cluster_SlowStartConfig, {
    slowStartWindow: optionalDuration(warmup.duration),
    minWeightPercent: { value: warmup.minimumPercent ?? 10 },
    aggression: create(RuntimeDouble, { defaultValue: warmup.aggression ?? 1, runtimeKey: '(' }),
  });
}
