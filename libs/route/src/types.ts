import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import type { FieldError, Result } from '@meltemi/base';
import type { DynamicMetadata, Formatter, RequestHead, StreamInfo } from '@meltemi/http';
import type { Fraction, HeaderMatch, RegexRewrite, StringMatch } from '@meltemi/match';
import type { CustomTag } from './custom-tags.ts';

/** A compiled RouteConfiguration. Immutable; replaced whole. */
export interface RouteTable {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
  /** Cluster names that any route, weight or mirror mentions (not those from headers): for warming and checks. */
  readonly clusterNames: ReadonlySet<string>;
  /** Request fields, in lower case, that are taken from requests of outsiders. */
  readonly internalOnlyHeaders: readonly string[];
  /** Settings that only tune and that we do not act on. */
  readonly warnings: readonly FieldError[];
  /**
   * The route for a request, or null (answer 404, NR, `route_not_found`). `random` in [0, 1) decides weights and runtime fractions.
   * `info` serves TLS and dynamic-metadata matches. The result is shared and immutable: nothing is allocated. @hot
   */
  match(request: RequestHead, random: number, info: StreamInfo | null): RouteMatch | null;
  /** The virtual host of an authority, or null. */
  virtualHostOf(authority: string): VirtualHost | null;
}

export interface VirtualHost {
  readonly name: string;
  readonly domains: readonly string[];
  readonly requireTls: 'none' | 'external-only' | 'all';
  /** Of a host with a matcher: those of all its actions. */
  readonly routes: readonly Route[];
  /** The routes that a request is compared with, in their order: all, or those that the matcher chooses; null when it chooses none. */
  routesFor(request: RequestHead): readonly Route[] | null;
}

/** One compiled Route. `matches` hold for it; `outcomes` has one entry, or one per weighted cluster. */
export interface Route {
  readonly name: string;
  /** For people and `explain`: "prefix /api", "exact /x", "regex ^/a.*". */
  readonly describe: string;
  readonly outcomes: readonly RouteMatch[];
  /** The weights of `outcomes`. */
  readonly weights: readonly number[];
  /** The first condition that does not hold, for people; null when all do. `path` is without query. Not for the hot path. */
  whyNot(request: RequestHead, path: string, random: number, info: StreamInfo | null): string | null;
}

/** What a matched request gets: route and weighted cluster together, with everything of the levels above merged in. Immutable, shared by requests. */
export interface RouteMatch {
  readonly routeName: string;
  readonly virtualHostName: string;
  readonly action: RouteAction;
  /** Request header operations in Envoy's order; apply with applyRequestHeaders before the upstream sees the head. */
  readonly requestHeaders: HeaderOps;
  readonly responseHeaders: HeaderOps;
  /** Filter name → what its parseRoute made of the most specific typed_per_filter_config (weighted cluster > route > virtual host > table). */
  readonly perFilter: ReadonlyMap<string, PerFilter>;
  /** Metadata of the route, for %METADATA(ROUTE:…)%. */
  readonly metadata: DynamicMetadata | null;
  readonly decoratorOperation: string | null;
  /** The operation's name is told to the other side by x-envoy-decorator-operation. */
  readonly decoratorPropagate: boolean;
  /** What the route says of tracing; null = the connection manager decides. */
  readonly tracing: RouteTracing | null;
  readonly statPrefix: string;
  /** What rate limit filters make descriptors from; null when neither route nor virtual host asks for any. */
  readonly rateLimits: RouteRateLimits | null;
  /** Of the virtual host: under which names its requests are counted; empty = none. The last, "other", takes all that is left. */
  readonly virtualClusters: readonly VirtualCluster[];
}

/** Requests of a virtual host that are counted together, vhost.<host>.vcluster.<name>.…: the first whose conditions hold. */
export interface VirtualCluster {
  readonly name: string;
  readonly virtualHostName: string;
  readonly headers: readonly HeaderMatch[];
}

/** Sampling of a route, in place of the connection manager's; its tags come after those. */
export interface RouteTracing {
  readonly clientSampling: Fraction;
  readonly randomSampling: Fraction;
  readonly overallSampling: Fraction;
  readonly customTags: readonly CustomTag[];
}

/** rate_limits of a route and its virtual host. */
export interface RouteRateLimits {
  readonly route: readonly RateLimitRule[];
  readonly virtualHost: readonly RateLimitRule[];
  /** include_vh_rate_limits: the virtual host's count beside the route's own. */
  readonly includeVirtualHost: boolean;
}

/** One compiled RateLimit: actions that make a descriptor of a request. */
export interface RateLimitRule {
  /** 0 to 10: only filters of this stage read it. */
  readonly stage: number;
  readonly disableKey: string;
  /** Null: this request has none (an action found nothing, or none added an entry). */
  descriptor(head: RequestHead, info: StreamInfo, source: RateLimitSource): RateLimitDescriptor | null;
}

/** What actions know of the proxy itself. */
export interface RateLimitSource {
  readonly localCluster: string;
}

export interface RateLimitEntry {
  readonly key: string;
  readonly value: string;
}

/** Numbers of envoy.type.v3.RateLimitUnit: unknown, second, minute, hour, day, month, year. */
export type RateLimitUnit = 0 | 1 | 2 | 3 | 4 | 5 | 6;

export interface RateLimitDescriptor {
  readonly entries: readonly RateLimitEntry[];
  /** A limit that replaces the rate limit service's own; null = none. */
  readonly limit: { readonly requestsPerUnit: number; readonly unit: RateLimitUnit } | null;
}

/** One filter's settings on a route. */
export interface PerFilter {
  /** FilterConfig.disabled: the filter does not run for this route. */
  readonly disabled: boolean;
  /** The parsed config; null when only disabled. */
  readonly config: unknown;
  /** The parsed configs of every level that has one, most specific first: for filters that act on all. */
  readonly levels: readonly unknown[];
}

/** Parses a typed_per_filter_config entry; Result failures refuse the route table. `null` value = ignore the entry. */
export type PerFilterParser = (filterName: string, config: Any, path: string, optional: boolean) => Result<unknown>;

export type RouteAction = ForwardAction | RedirectAction | DirectAction | NonForwardingAction;

/** Send to a cluster. */
export interface ForwardAction {
  readonly kind: 'forward';
  /** The cluster's name; null when `clusterHeader` names the header that has it. */
  readonly cluster: string | null;
  readonly clusterHeader: string | null;
  /** Answer when the cluster is unknown: 503, 404 or 500. */
  readonly clusterNotFoundStatus: number;
  /** Subset criteria under `envoy.lb`, weighted cluster's over route's; null = none. */
  readonly metadataMatch: MetadataCriteria | null;
  readonly pathRewrite: PathRewrite | null;
  readonly hostRewrite: HostRewrite | null;
  readonly appendXForwardedHost: boolean;
  /** Whole-request timeout; 0 = none; 15,000 when unset. */
  readonly timeoutMs: number;
  /** Stream idle timeout of the route; null = the connection manager's; 0 = none. */
  readonly idleTimeoutMs: number | null;
  /** null = the connection manager's; 0 = none. */
  readonly maxStreamDurationMs: number | null;
  /** max_stream_duration is set: as in Envoy the stream's duration then stands in for `timeoutMs`, and grpc-timeout bounds the stream instead of the answer. */
  readonly timesStream: boolean;
  /** When not null, grpc-timeout replaces the timeout: at most this (0 = no cap), less the offset. */
  readonly grpcTimeoutHeaderMaxMs: number | null;
  readonly grpcTimeoutHeaderOffsetMs: number;
  readonly retry: RetryPolicy | null;
  /** hedge_policy.hedge_on_per_try_timeout: a try that takes too long goes on beside the next one. */
  readonly hedgeOnTryTimeout: boolean;
  /** Redirects of upstreams that are followed here; null = none. */
  readonly internalRedirect: InternalRedirectPolicy | null;
  readonly mirrors: readonly MirrorPolicy[];
  /** Legacy cors of the route, what it does not say of the virtual host; a filter's own per-filter config comes through `perFilter`. */
  readonly cors: CorsPolicy | null;
  readonly hashPolicy: readonly HashPolicy[];
  /** Upper-level upgrade switch by lower-case type: true/false overrides the connection manager's. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  /** connect_config: a CONNECT ends here and its payload goes to the cluster as plain TCP. */
  readonly terminatesConnect: boolean;
  /** allow_post: so does a POST. */
  readonly terminatesPost: boolean;
  readonly priority: 'default' | 'high';
  readonly includeAttemptCountInRequest: boolean;
  readonly includeAttemptCountInResponse: boolean;
  /** Retries say in x-envoy-is-timeout-retry whether a timeout caused them. */
  readonly includeTimeoutRetry: boolean;
  /** Bytes; null = the listener's. */
  readonly bufferLimitBytes: number | null;
}

/** Key/value pairs that endpoint metadata under `envoy.lb` must have; keys sorted. `key` is a stable text of all of them. */
export interface MetadataCriteria {
  readonly entries: readonly (readonly [string, unknown])[];
  readonly key: string;
}

export type PathRewrite =
  | { readonly kind: 'prefix'; readonly matchedLength: number; readonly replacement: string }
  /** prefix_rewrite under an exact or regex match: the whole path is replaced. */
  | { readonly kind: 'full'; readonly replacement: string }
  | { readonly kind: 'regex'; readonly regex: RegexRewrite };

export type HostRewrite =
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'header'; readonly name: string }
  /** The picked endpoint's hostname, known only after the pick. */
  | { readonly kind: 'auto' }
  | { readonly kind: 'path-regex'; readonly regex: RegexRewrite };

export interface InternalRedirectPolicy {
  /** Redirects that one request may follow before the next goes to the client. */
  readonly max: number;
  readonly codes: readonly number[];
  /** http may lead to https and the other way. */
  readonly crossScheme: boolean;
  /** All must accept the route that a redirect leads to. */
  readonly predicates: readonly RedirectPredicate[];
  /** Lower-case names of fields that the next request takes over from the redirect; those the redirect lacks are removed. */
  readonly headersToCopy: readonly string[];
}

export type RedirectPredicate =
  /** No route is redirected to twice from the same route. */
  | { readonly kind: 'previous-routes' }
  | { readonly kind: 'allow-listed-routes'; readonly names: readonly string[] }
  /** Nobody is led from http to https. */
  | { readonly kind: 'safe-cross-scheme' };

export interface RetryPolicy {
  /** Bits of RetryOn. */
  readonly on: number;
  readonly numRetries: number;
  /** 0 = none. */
  readonly perTryTimeoutMs: number;
  readonly perTryIdleTimeoutMs: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly retriableStatusCodes: readonly number[];
  readonly retriableHeaders: readonly HeaderMatch[];
  /** When not empty, only matching requests are retried. */
  readonly retriableRequestHeaders: readonly HeaderMatch[];
  /** previous_hosts predicate: do not pick a host again. */
  readonly avoidPreviousHosts: boolean;
  /** omit_canary_hosts: retries avoid hosts whose `envoy.lb` metadata has `canary: true`. */
  readonly omitCanaryHosts: boolean;
  /** omit_host_metadata: retries avoid hosts whose `envoy.lb` metadata has all of one of these. */
  readonly omitMetadata: readonly MetadataCriteria[];
  /** previous_priorities: after this many attempts their priorities are left out; 0 = never. */
  readonly leavePrioritiesAfter: number;
  readonly hostSelectionMaxAttempts: number;
  /** Reset headers (retry-after, x-ratelimit-reset) that lengthen the backoff; null = none. */
  readonly rateLimited: { readonly headers: readonly { readonly name: string; readonly unix: boolean }[]; readonly maxMs: number } | null;
}

/** retry_on conditions as bits. */
export const RetryOn = {
  '5xx': 1 << 0, 'gateway-error': 1 << 1, reset: 1 << 2, 'reset-before-request': 1 << 3, 'connect-failure': 1 << 4,
  'envoy-ratelimited': 1 << 5, 'retriable-4xx': 1 << 6, 'refused-stream': 1 << 7, 'retriable-status-codes': 1 << 8,
  'retriable-headers': 1 << 9, 'http3-post-connect-failure': 1 << 10, cancelled: 1 << 11, 'deadline-exceeded': 1 << 12,
  internal: 1 << 13, 'resource-exhausted': 1 << 14, unavailable: 1 << 15,
} as const;

export interface MirrorPolicy {
  /** null when `clusterHeader` names the header that has it. */
  readonly cluster: string | null;
  readonly clusterHeader: string | null;
  readonly fraction: Fraction;
  /** Append "-shadow" to the host. */
  readonly appendShadowSuffix: boolean;
  /** null = as the request. */
  readonly traceSampled: boolean | null;
}

export interface CorsPolicy {
  readonly enabled: Fraction;
  /** Of the requests not enabled: those whose origin is only looked at and counted. */
  readonly shadow: Fraction;
  readonly allowOrigin: readonly StringMatch[];
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  /** Null, as "" and none above: not said. */
  readonly allowCredentials: boolean | null;
  readonly allowPrivateNetworkAccess: boolean | null;
  readonly forwardNotMatchingPreflights: boolean | null;
}

export type HashPolicy =
  | { readonly kind: 'header'; readonly name: string; readonly regex: RegexRewrite | null; readonly terminal: boolean }
  | CookieHash
  | { readonly kind: 'source-ip'; readonly terminal: boolean }
  | { readonly kind: 'query'; readonly name: string; readonly terminal: boolean };

export interface CookieHash {
  readonly kind: 'cookie';
  readonly name: string;
  /** Null: a client without the cookie gets none. */
  readonly ttlMs: number | null;
  /** What follows name and value in set-cookie. */
  readonly suffix: string;
  readonly terminal: boolean;
}

/** Answer with a Location; build it with redirectLocation(). */
export interface RedirectAction {
  readonly kind: 'redirect';
  /** 301, 302, 303, 307 or 308. */
  readonly status: number;
  /** null = keep. */
  readonly scheme: string | null;
  readonly host: string | null;
  readonly port: number | null;
  readonly path: { readonly kind: 'path'; readonly value: string } | PathRewrite | null;
  readonly stripQuery: boolean;
}

/** Answer here. */
export interface DirectAction {
  readonly kind: 'direct';
  readonly status: number;
  readonly body: Buffer | null;
}

/** Runs the filters, never the router (xDS clients that own the call). */
export interface NonForwardingAction {
  readonly kind: 'non-forwarding';
}

/** Header mutations in the order they run. Empty array = nothing to do. */
export type HeaderOps = readonly HeaderOp[];

export interface HeaderOp {
  readonly action: 'remove' | 'append' | 'append-if-absent' | 'overwrite' | 'overwrite-if-present';
  /** Lower-case; never a pseudo header or "host", which have rewrites of their own. */
  readonly name: string;
  /** The value when it needs no substitution, else null. */
  readonly literal: string | null;
  readonly formatter: Formatter | null;
  readonly keepEmptyValue: boolean;
}
