import type {
  Cluster, Cluster_CommonLbConfig, Cluster_CommonLbConfig_ZoneAwareLbConfig, Cluster_EdsClusterConfig, Cluster_LbSubsetConfig, Cluster_LbSubsetConfig_LbSubsetSelector, Cluster_OriginalDstLbConfig,
  UpstreamConnectionOptions,
} from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import type { CircuitBreakers_Thresholds, CircuitBreakers_Thresholds_RetryBudget } from '@meltemi/api/gen/envoy/config/cluster/v3/circuit_breaker.ts';
import type { OutlierDetection } from '@meltemi/api/gen/envoy/config/cluster/v3/outlier_detection.ts';
import type { ClusterLoadAssignment, ClusterLoadAssignment_Policy } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import type { Endpoint, LbEndpoint, LocalityLbEndpoints } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint_components.ts';
import type { HttpProtocolOptions } from '@meltemi/api/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts';
import type { Subset as SubsetExtension } from '@meltemi/api/gen/envoy/extensions/load_balancing_policies/subset/v3/subset.ts';
import type { HealthCheck, HealthCheck_GrpcHealthCheck, HealthCheck_HttpHealthCheck, HealthCheck_TcpHealthCheck } from '@meltemi/api/gen/envoy/config/core/v3/health_check.ts';
import type { BindConfig } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import { oneof, refuse, use, warn, type FieldTable } from '@meltemi/route';

const resolver = refuse('DNS resolvers other than the system are not supported');
const loadReports = warn('load reports are not sent');

export const clusterFields: FieldTable<Cluster> = {
  transportSocketMatches: use, name: use, altStatName: use,
  clusterDiscoveryType: oneof({ type: use, clusterType: use }),
  edsClusterConfig: use, connectTimeout: use, perConnectionBufferLimitBytes: use, lbPolicy: use, loadAssignment: use,
  healthChecks: use,
  maxRequestsPerConnection: use, circuitBreakers: use,
  upstreamHttpProtocolOptions: use, commonHttpProtocolOptions: use, httpProtocolOptions: use, http2ProtocolOptions: use,
  typedExtensionProtocolOptions: use, dnsRefreshRate: use, dnsFailureRefreshRate: use,
  respectDnsTtl: warn('the system does not tell: names are looked up again after dns_refresh_rate'), dnsLookupFamily: use, dnsResolvers: resolver,
  useTcpForDnsLookups: warn('the system decides'), dnsResolutionConfig: resolver,
  typedDnsResolverConfig: warn('names are resolved by the system'),
  waitForWarmOnInit: warn('clusters always warm before they serve'),
  outlierDetection: use, cleanupInterval: use, upstreamBindConfig: use, lbSubsetConfig: use,
  lbConfig: oneof({ ringHashLbConfig: use, maglevLbConfig: use, originalDstLbConfig: use, leastRequestLbConfig: use, roundRobinLbConfig: use }),
  commonLbConfig: use, transportSocket: use, metadata: use,
  protocolSelection: use, upstreamConnectionOptions: use, closeConnectionsOnHostHealthFailure: use, ignoreHealthOnHostRemoval: use,
  filters: refuse('upstream network filters are not supported'),
  loadBalancingPolicy: use, lrsServer: loadReports, lrsReportEndpointMetrics: loadReports,
  trackTimeoutBudgets: warn('timeout budgets are not tracked'),
  upstreamConfig: refuse('upstream extensions are not supported'),
  trackClusterStats: warn('only the standard statistics are kept'),
  preconnectPolicy: warn('connections are opened on demand'),
  connectionPoolPerDownstreamConnection: refuse('a pool per downstream connection is not supported'),
};

export const edsFields: FieldTable<Cluster_EdsClusterConfig> = { edsConfig: use, serviceName: use };

export const subsetFields: FieldTable<Cluster_LbSubsetConfig> = {
  fallbackPolicy: use, defaultSubset: use, subsetSelectors: use, localityWeightAware: use, scaleLocalityWeight: use, panicModeAny: use, listAsAny: use, metadataFallbackPolicy: use,
};

export const subsetExtensionFields: FieldTable<SubsetExtension> = {
  ...subsetFields, subsetLbPolicy: use,
  allowRedundantKeys: refuse('criteria with more keys than a selector are not supported: name the selector\'s keys only'),
};

export const subsetSelectorFields: FieldTable<Cluster_LbSubsetConfig_LbSubsetSelector> = { keys: use, singleHostPerSubset: use, fallbackPolicy: use, fallbackKeysSubset: use };

export const commonLbFields: FieldTable<Cluster_CommonLbConfig> = {
  healthyPanicThreshold: use,
  localityConfigSpecifier: oneof({ zoneAwareLbConfig: use, localityWeightedLbConfig: use }),
  updateMergeWindow: warn('updates are applied as they come: a picker is built only when it is used, so there is nothing to merge'),
  ignoreNewHostsUntilFirstHc: use,
  closeConnectionsOnHostSetChange: refuse('close_connections_on_host_set_change is not supported'),
  consistentHashingLbConfig: use,
  overrideHostStatus: warn('there are no override hosts'),
};

export const zoneAwareFields: FieldTable<Cluster_CommonLbConfig_ZoneAwareLbConfig> = { routingEnabled: use, minClusterSize: use, failTrafficOnPanic: use };

export const originalDstFields: FieldTable<Cluster_OriginalDstLbConfig> = {
  useHttpHeader: use, httpHeaderName: use, upstreamPortOverride: use, metadataKey: refuse('destinations from metadata are not supported'),
};

export const connectionOptionFields: FieldTable<UpstreamConnectionOptions> = {
  tcpKeepalive: use,
  setLocalInterfaceNameOnUpstreamConnections: warn('interface names are not recorded'),
  happyEyeballsConfig: warn('the runtime decides'),
};

export const bindFields: FieldTable<BindConfig> = {
  sourceAddress: use,
  freebind: refuse('freebind towards upstreams is not supported'),
  socketOptions: warn('socket options are left to the system'),
  extraSourceAddresses: refuse('only one source address is supported'), additionalSourceAddresses: refuse('only one source address is supported'),
  localAddressSelector: refuse('local address selectors are not supported'),
};

export const retryBudgetFields: FieldTable<CircuitBreakers_Thresholds_RetryBudget> = {
  budgetPercent: use, minRetryConcurrency: use, budgetInterval: use,
};

export const thresholdFields: FieldTable<CircuitBreakers_Thresholds> = {
  priority: use, maxConnections: use, maxPendingRequests: use, maxRequests: use, maxRetries: use, retryBudget: use,
  trackRemaining: use,
  maxConnectionPools: warn('there is one pool per host'),
};

export const outlierFields: FieldTable<OutlierDetection> = {
  consecutive5xx: use, interval: use, baseEjectionTime: use, maxEjectionPercent: use, enforcingConsecutive5xx: use, enforcingSuccessRate: use,
  successRateMinimumHosts: use, successRateRequestVolume: use, successRateStdevFactor: use, consecutiveGatewayFailure: use,
  enforcingConsecutiveGatewayFailure: use, splitExternalLocalOriginErrors: use, consecutiveLocalOriginFailure: use,
  enforcingConsecutiveLocalOriginFailure: use, enforcingLocalOriginSuccessRate: use, failurePercentageThreshold: use, enforcingFailurePercentage: use,
  enforcingFailurePercentageLocalOrigin: use, failurePercentageMinimumHosts: use, failurePercentageRequestVolume: use, maxEjectionTime: use,
  maxEjectionTimeJitter: use,
  successfulActiveHealthCheckUnejectHost: use,
  monitors: warn('outlier monitors from extensions are not run'),
  alwaysEjectOneHost: use,
};

export const upstreamHttpFields: FieldTable<HttpProtocolOptions> = {
  commonHttpProtocolOptions: use, upstreamHttpProtocolOptions: use,
  upstreamProtocolOptions: oneof({ explicitHttpConfig: use, useDownstreamProtocolConfig: use, autoConfig: use }),
  httpFilters: refuse('upstream HTTP filters are not supported'),
  headerValidationConfig: refuse('header validation extensions are not supported'),
  outlierDetection: use,
};

export const loadAssignmentFields: FieldTable<ClusterLoadAssignment> = {
  clusterName: use, endpoints: use, namedEndpoints: refuse('named endpoints are not supported'), policy: use,
};

export const assignmentPolicyFields: FieldTable<ClusterLoadAssignment_Policy> = {
  dropOverloads: use, overprovisioningFactor: use, endpointStaleAfter: warn('endpoints do not go stale'), 
  weightedPriorityHealth: use,
};

export const localityFields: FieldTable<LocalityLbEndpoints> = {
  locality: use, metadata: use, lbEndpoints: use,
  lbConfig: oneof({ loadBalancerEndpoints: use, ledsClusterLocalityConfig: refuse('LEDS is not supported') }),
  loadBalancingWeight: use, priority: use, proximity: warn('proximity is not used (nor is it in Envoy)'),
};

export const lbEndpointFields: FieldTable<LbEndpoint> = {
  hostIdentifier: oneof({ endpoint: use, endpointName: refuse('named endpoints are not supported') }),
  healthStatus: use, metadata: use, loadBalancingWeight: use,
};

export const endpointFields: FieldTable<Endpoint> = {
  address: use, healthCheckConfig: use, hostname: use,
  additionalAddresses: warn('only the first address is used'),
};

const noEvents = warn('health check events are not written: changes of a host are logged, and shown by /clusters');

export const healthCheckFields: FieldTable<HealthCheck> = {
  timeout: use, interval: use, initialJitter: use, intervalJitter: use, intervalJitterPercent: use, unhealthyThreshold: use, healthyThreshold: use, altPort: use, reuseConnection: use,
  healthChecker: oneof({
    httpHealthCheck: use, tcpHealthCheck: use, grpcHealthCheck: use,
    customHealthCheck: refuse('health checkers from extensions (Redis, Thrift) are not supported: use http_health_check, tcp_health_check or grpc_health_check'),
  }),
  noTrafficInterval: use, noTrafficHealthyInterval: use, unhealthyInterval: use, unhealthyEdgeInterval: use, healthyEdgeInterval: use,
  eventLogPath: noEvents, eventLogger: noEvents, eventService: noEvents,
  alwaysLogHealthCheckFailures: use, alwaysLogHealthCheckSuccess: warn('checks that pass are not logged'),
  tlsOptions: use, transportSocketMatchCriteria: use,
};

export const httpCheckFields: FieldTable<HealthCheck_HttpHealthCheck> = {
  host: use, path: use, send: use, receive: use, responseBufferSize: use, requestHeadersToAdd: use, requestHeadersToRemove: use, expectedStatuses: use, retriableStatuses: use,
  codecClientType: use, serviceNameMatcher: use, method: use,
};

export const tcpCheckFields: FieldTable<HealthCheck_TcpHealthCheck> = { send: use, receive: use, proxyProtocolConfig: refuse('a PROXY protocol header before checks is not supported') };

export const grpcCheckFields: FieldTable<HealthCheck_GrpcHealthCheck> = { serviceName: use, authority: use, initialMetadata: use };
