export {
  RetryOn, type CookieHash, type CorsPolicy, type DirectAction, type ForwardAction, type HashPolicy, type HeaderOp, type HeaderOps, type HostRewrite, type MetadataCriteria,
  type InternalRedirectPolicy, type MirrorPolicy, type NonForwardingAction, type PathRewrite, type PerFilter, type PerFilterParser, type RateLimitDescriptor, type RateLimitEntry, type RateLimitRule, type RateLimitSource, type RateLimitUnit, type RedirectAction, type RedirectPredicate, type RetryPolicy, type Route,
  type RouteAction, type RouteMatch, type RouteTracing, type RouteRateLimits, type RouteTable, type VirtualCluster, type VirtualHost,
} from './types.ts';
export { compileScopeKey, scopeKey, type ScopeKeyBuilder } from './scope-key.ts';
export { compileRouteTable } from './route-table.ts';
export { clusterOf, redirectLocation, rewriteHost, rewritePath, rewriteRequest } from './rewrite.ts';
export { cookieValue, requestHash, type HashSource } from './hash-policy.ts';
export { applyHeaderOps, compileHeaderMutations, compileHeaderOps } from './header-ops.ts';
export { compileRetryPolicy, parseRetryGrpcOn, parseRetryHttpOn, parseRetryOn } from './retry-policy.ts';
export { compileRequestMatcher, type RequestMatcher } from './request-matcher.ts';
export { criteriaOf, metadataCriteria, plainMetadata } from './metadata-criteria.ts';
export { stripPort } from './virtual-host-index.ts';
export { compileCustomTags, type CustomTag } from './custom-tags.ts';
export { durationMs } from './duration.ts';
export { Report } from './report.ts';
export { checkFields, fieldPath, isSet, oneof, refuse, use, warn, type FieldRule, type FieldTable } from './fields.ts';
export * as routeFieldTables from './field-tables.ts';
export { compileRateLimits } from './rate-limits.ts';
export { inheritCors } from './cors.ts';
