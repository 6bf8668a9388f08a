import type { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterConfig } from '@meltemi/api/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts';
import type { DnsCacheConfig as CacheMessage, DnsCacheCircuitBreakers } from '@meltemi/api/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts';
import { checkFields, durationMs, oneof, refuse, use, warn, type Report, type FieldTable } from '@meltemi/route';
import type { DnsConfig, DynamicHostsConfig, UpstreamHttp } from './cluster-types.ts';
import { decodeAt } from './context.ts';

export const dynamicForwardProxyUrl = 'type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';

/** Envoy's defaults. */
const defaults = { refreshMs: 60_000, hostTtlMs: 300_000, maxHosts: 1024, maxPending: 1024, queryTimeoutMs: 5000 };
const lookups = ['auto', 'v4', 'v6', 'v4-preferred', 'all'] as const;
const resolver = warn('names are resolved by the system');

const clusterFields: FieldTable<ClusterConfig> = {
  clusterImplementationSpecifier: oneof({ dnsCacheConfig: use, subClustersConfig: refuse('sub clusters are not supported: use dns_cache_config') }),
  allowInsecureClusterOptions: use,
  allowCoalescedConnections: warn('connections are shared between names of one address where their TLS name is the same'),
};

const cacheFields: FieldTable<CacheMessage> = {
  name: use, dnsLookupFamily: use, dnsRefreshRate: use, dnsMinRefreshRate: warn('the system does not tell how long a name holds: it is looked up again after dns_refresh_rate'),
  hostTtl: use, maxHosts: use, dnsFailureRefreshRate: use, dnsCacheCircuitBreaker: use, useTcpForDnsLookups: warn('the system decides'),
  dnsResolutionConfig: resolver, typedDnsResolverConfig: resolver,
  preresolveHostnames: warn('names are looked up when they are asked for'),
  dnsQueryTimeout: use, keyValueConfig: warn('names are not kept across restarts'),
};

const breakerFields: FieldTable<DnsCacheCircuitBreakers> = { maxPendingRequests: use };

/** Compiles a cluster of type envoy.clusters.dynamic_forward_proxy; null when it is of another type. */
export function compileDynamicHosts(message: ClusterMessage, http: UpstreamHttp, report: Report): DynamicHostsConfig | null {
  const type = message.clusterDiscoveryType;
  if (type?.$case !== 'clusterType') return null;
  const any = type.value.typedConfig;
  if (any?.typeUrl !== dynamicForwardProxyUrl) {
    report.refuse('cluster_type', `${any?.typeUrl ?? type.value.name} is not a cluster type of this proxy`);
    return null;
  }
  const path = 'cluster_type.typed_config';
  const config = decodeAt(ClusterConfig, any.value, path, report);
  if (!config) return null;
  checkFields(config, clusterFields, path, report);
  if (!config.allowInsecureClusterOptions && !(http.autoSni && http.autoSanValidation)) {
    report.refuse(`${path}.allow_insecure_cluster_options`, 'must be set unless auto_sni and auto_san_validation are: else any host could answer for any name');
  }
  const specifier = config.clusterImplementationSpecifier;
  if (specifier?.$case !== 'dnsCacheConfig') {
    if (specifier === undefined) report.refuse(`${path}.dns_cache_config`, 'is required');
    return null;
  }
  return compileDnsCache(specifier.value, `${path}.dns_cache_config`, report);
}

/** A DNS cache with Envoy's defaults. */
export function compileDnsCache(message: CacheMessage, path: string, report: Report): DynamicHostsConfig {
  checkFields(message, cacheFields, path, report);
  if (message.name === '') report.refuse(`${path}.name`, 'is required');
  if (message.maxHosts === 0) report.refuse(`${path}.max_hosts`, 'must be more than 0');
  if (message.dnsCacheCircuitBreaker) checkFields(message.dnsCacheCircuitBreaker, breakerFields, `${path}.dns_cache_circuit_breaker`, report);
  const refreshMs = durationMs(message.dnsRefreshRate, defaults.refreshMs);
  const failureBaseMs = durationMs(message.dnsFailureRefreshRate?.baseInterval, refreshMs);
  const lookup: DnsConfig['lookup'] = lookups[message.dnsLookupFamily as 0 | 1 | 2 | 3 | 4] ?? 'auto';
  return {
    cacheName: message.name, lookup, refreshMs, failureBaseMs, failureMaxMs: durationMs(message.dnsFailureRefreshRate?.maxInterval, failureBaseMs * 10),
    hostTtlMs: durationMs(message.hostTtl, defaults.hostTtlMs), maxHosts: message.maxHosts ?? defaults.maxHosts,
    maxPending: message.dnsCacheCircuitBreaker?.maxPendingRequests ?? defaults.maxPending,
    queryTimeoutMs: durationMs(message.dnsQueryTimeout, defaults.queryTimeoutMs),
  };
}
