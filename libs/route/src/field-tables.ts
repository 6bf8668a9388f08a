import type {
  HedgePolicy, HeaderMatcher, QueryParameterMatcher, RedirectAction, RetryPolicy, Route, RouteAction, RouteAction_RequestMirrorPolicy, RouteMatch, VirtualHost,
  WeightedCluster, WeightedCluster_ClusterWeight, CorsPolicy, DirectResponseAction, RouteAction_UpgradeConfig, RouteAction_UpgradeConfig_ConnectConfig,
} from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { oneof, refuse, use, warn, type FieldTable } from './fields.ts';

const retryConfig = refuse('retry policies from extensions are not supported: use retry_policy');
const headers = { requestHeadersToAdd: use, requestHeadersToRemove: use, responseHeadersToAdd: use, responseHeadersToRemove: use } as const;

export const routeConfigurationFields: FieldTable<RouteConfiguration> = {
  name: use, virtualHosts: use, ...headers,
  vhds: refuse('virtual hosts on demand are not supported: list them in virtual_hosts'),
  internalOnlyHeaders: use,
  mostSpecificHeaderMutationsWins: use,
  validateClusters: warn('clusters of routes are looked up per request, a missing one answers by cluster_not_found_response_code'),
  maxDirectResponseBodySizeBytes: use,
  clusterSpecifierPlugins: refuse('cluster specifier plugins are not supported'),
  requestMirrorPolicies: use, ignorePortInHostMatching: use, ignorePathParametersInPathMatching: use, typedPerFilterConfig: use, metadata: use,
};

export const virtualHostFields: FieldTable<VirtualHost> = {
  name: use, domains: use, routes: use, matcher: use, ...headers,
  requireTls: use,
  virtualClusters: use,
  rateLimits: use, cors: use, typedPerFilterConfig: use,
  includeRequestAttemptCount: use, includeAttemptCountInResponse: use, retryPolicy: use, retryPolicyTypedConfig: retryConfig, hedgePolicy: use,
  includeIsTimeoutRetryHeader: use,
  perRequestBufferLimitBytes: use, requestMirrorPolicies: use, metadata: use,
};

export const routeFields: FieldTable<Route> = {
  name: use, match: use, ...headers,
  action: oneof({ route: use, redirect: use, directResponse: use, nonForwardingAction: use, filterAction: refuse('filter actions are not supported') }),
  metadata: use, decorator: use, typedPerFilterConfig: use,
  tracing: use,
  perRequestBufferLimitBytes: use, statPrefix: use,
};

export const routeMatchFields: FieldTable<RouteMatch> = {
  pathSpecifier: oneof({
    prefix: use, path: use, safeRegex: use, connectMatcher: use, pathSeparatedPrefix: use,
    pathMatchPolicy: use,
  }),
  caseSensitive: use, runtimeFraction: use, headers: use, queryParameters: use, grpc: use, tlsContext: use, dynamicMetadata: use,
};

export const routeActionFields: FieldTable<RouteAction> = {
  clusterSpecifier: oneof({
    cluster: use, clusterHeader: use, weightedClusters: use,
    clusterSpecifierPlugin: refuse('cluster specifier plugins are not supported'),
    inlineClusterSpecifierPlugin: refuse('cluster specifier plugins are not supported'),
  }),
  clusterNotFoundResponseCode: use, metadataMatch: use, prefixRewrite: use, regexRewrite: use,
  pathRewritePolicy: use,
  hostRewriteSpecifier: oneof({ hostRewriteLiteral: use, autoHostRewrite: use, hostRewriteHeader: use, hostRewritePathRegex: use }),
  appendXForwardedHost: use, timeout: use, idleTimeout: use,
  earlyDataPolicy: warn('TLS early data is never accepted'),
  retryPolicy: use, retryPolicyTypedConfig: retryConfig, requestMirrorPolicies: use, priority: use, rateLimits: use, includeVhRateLimits: use,
  hashPolicy: use, cors: use, maxGrpcTimeout: use, grpcTimeoutOffset: use, upgradeConfigs: use,
  internalRedirectPolicy: use, internalRedirectAction: use, maxInternalRedirects: use,
  hedgePolicy: use, maxStreamDuration: use,
};

export const weightedClusterFields: FieldTable<WeightedCluster> = {
  clusters: use, totalWeight: use,
  runtimeKeyPrefix: warn('there is no runtime to override weights from'),
  randomValueSpecifier: oneof({ headerName: refuse('choosing by a header value is not supported: weights are drawn at random') }),
};

export const clusterWeightFields: FieldTable<WeightedCluster_ClusterWeight> = {
  name: use, clusterHeader: use, weight: use, metadataMatch: use, ...headers, typedPerFilterConfig: use,
  hostRewriteSpecifier: oneof({ hostRewriteLiteral: use }),
};

export const retryPolicyFields: FieldTable<RetryPolicy> = {
  retryOn: use, numRetries: use, perTryTimeout: use, perTryIdleTimeout: use,
  retryPriority: use, retryHostPredicate: use,
  retryOptionsPredicates: refuse('retry option predicates are not supported'),
  hostSelectionRetryMaxAttempts: use, retriableStatusCodes: use, retryBackOff: use, rateLimitedRetryBackOff: use, retriableHeaders: use,
  retriableRequestHeaders: use,
};

export const hedgePolicyFields: FieldTable<HedgePolicy> = {
  initialRequests: warn('one request is sent at first, as in Envoy: more come on timeouts', (value) => value === 1),
  additionalRequestChance: warn('no request is sent beforehand, as in Envoy: more come on timeouts'),
  hedgeOnPerTryTimeout: use,
};

export const mirrorFields: FieldTable<RouteAction_RequestMirrorPolicy> = {
  cluster: use, clusterHeader: use, runtimeFraction: use, traceSampled: use, disableShadowHostSuffixAppend: use,
};

export const redirectFields: FieldTable<RedirectAction> = {
  schemeRewriteSpecifier: oneof({ httpsRedirect: use, schemeRedirect: use }),
  hostRedirect: use, portRedirect: use,
  pathRewriteSpecifier: oneof({ pathRedirect: use, prefixRewrite: use, regexRewrite: use }),
  responseCode: use, stripQuery: use,
};

export const directResponseFields: FieldTable<DirectResponseAction> = { status: use, body: use };

export const corsFields: FieldTable<CorsPolicy> = {
  allowOriginStringMatch: use, allowMethods: use, allowHeaders: use, exposeHeaders: use, maxAge: use, allowCredentials: use,
  enabledSpecifier: oneof({ filterEnabled: use }),
  shadowEnabled: use, allowPrivateNetworkAccess: use, forwardNotMatchingPreflights: use,
};

export const upgradeFields: FieldTable<RouteAction_UpgradeConfig> = { upgradeType: use, enabled: use,
  connectConfig: use,
};

export const connectFields: FieldTable<RouteAction_UpgradeConfig_ConnectConfig> = {
  proxyProtocolConfig: refuse('a PROXY protocol header before the payload of a CONNECT is not supported'),
  allowPost: use,
};

export const headerMatcherFields: FieldTable<HeaderMatcher> = {
  name: use, invertMatch: use, treatMissingHeaderAsEmpty: use,
  headerMatchSpecifier: oneof({
    exactMatch: use, safeRegexMatch: use, rangeMatch: use, presentMatch: use, prefixMatch: use, suffixMatch: use, containsMatch: use, stringMatch: use,
  }),
};

export const queryMatcherFields: FieldTable<QueryParameterMatcher> = {
  name: use, queryParameterMatchSpecifier: oneof({ stringMatch: use, presentMatch: use }),
};
