import type { IpDetector } from './ip-detection.ts';
import type { CustomTag, RouteTable, MetadataCriteria, HashPolicy, HeaderOps, ScopeKeyBuilder } from '@meltemi/route';
import type { CidrSet, Fraction, MatchTree } from '@meltemi/match';
import type { Formatter, StreamInfo } from '@meltemi/http';
import type { Reference } from './config-source-types.ts';
import type { DownstreamTls } from './tls-types.ts';

/** Where to listen or connect. */
export type SocketTarget =
  | { readonly kind: 'ip'; readonly address: string; readonly port: number }
  | { readonly kind: 'pipe'; readonly path: string; readonly mode: number };

export interface Listener {
  readonly name: string;
  readonly statPrefix: string;
  /** The first is the main one, the others come from additional_addresses. */
  readonly addresses: readonly SocketTarget[];
  readonly bindToPort: boolean;
  /** Hand a connection to the listener of its original destination. */
  readonly useOriginalDst: boolean;
  readonly transparent: boolean;
  readonly freebind: boolean;
  readonly listenerFilters: readonly ListenerFilter[];
  /** 15,000 when unset; 0 = none. */
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  /** Picks the chain of a connection; null = no chain matches (close). */
  readonly filterChains: FilterChainMatcher;
  /** Every chain, the default one last: for warming, config dumps and statistics. */
  readonly allFilterChains: readonly FilterChain[];
  /** Bytes; 1 MiB when unset. */
  readonly perConnectionBufferLimit: number;
  readonly drainType: 'default' | 'modify-only';
  readonly trafficDirection: 'unspecified' | 'inbound' | 'outbound';
  /** null = the system's. */
  /** Its connections do not count against the limit on all of them. */
  readonly ignoreGlobalConnLimit: boolean;
  /** Overload leaves it alone. */
  readonly bypassOverloadManager: boolean;
  readonly tcpBacklog: number | null;
  readonly accessLogs: readonly AccessLog[];
  /** RDS names that must arrive before the listener serves. */
  readonly rdsNames: ReadonlySet<string>;
  /** SDS names that must arrive before the listener serves. */
  readonly sdsNames: ReadonlySet<string>;
  /** Configs of filters by ECDS that must arrive before the listener serves. */
  readonly extensionNames: ReadonlySet<string>;
  /** Its routes, secrets and filter configs that come from a config source. */
  readonly references: readonly Reference[];
  /** Clusters that its TCP proxies and inline routes mention. */
  readonly clusterNames: ReadonlySet<string>;
}

export type ListenerFilter =
  | { readonly kind: 'tls_inspector'; readonly name: string; readonly disabled: PortPredicate | null }
  | { readonly kind: 'http_inspector'; readonly name: string; readonly disabled: PortPredicate | null }
  | { readonly kind: 'original_dst'; readonly name: string; readonly disabled: PortPredicate | null }
  | ({ readonly kind: 'proxy_protocol'; readonly name: string; readonly disabled: PortPredicate | null } & ProxyProtocolSettings)
  | { readonly kind: 'extension'; readonly name: string; readonly disabled: PortPredicate | null; readonly typeUrl: string; readonly config: unknown };

export interface ProxyProtocolSettings {
  readonly allowWithoutHeader: boolean;
  readonly versions: { readonly v1: boolean; readonly v2: boolean };
  /** Values of version 2 that become dynamic metadata. */
  readonly metadata: readonly { readonly type: number; readonly namespace: string; readonly key: string }[];
  /** Values of version 2 that stay with the connection, for upstreams that want them. */
  readonly passThrough: TlvSelection;
  /** Between "proxy_proto." and the name of a counter; "" = none. */
  readonly statPrefix: string;
}

/** Types of the PROXY protocol's extra values. */
export type TlvSelection = 'all' | readonly number[];

/** A compiled filter_disabled: true = skip the filter for this destination port. */
export type PortPredicate = (destinationPort: number) => boolean;

/** What chains are matched on. "" and [] mean unknown. */
export interface ConnectionView {
  readonly destinationPort: number;
  readonly destinationIp: string;
  /** From the tls_inspector, lower-case; "" when none. */
  readonly serverName: string;
  /** "tls", "raw_buffer" or "". */
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  readonly directSourceIp: string;
  readonly sourceIp: string;
  readonly sourcePort: number;
  /** The address the connection really arrived at, for SAME_IP_OR_LOOPBACK. */
  readonly localIp: string;
}

export interface FilterChainMatcher {
  match(view: ConnectionView): FilterChain | null;
}

export interface FilterChain {
  readonly name: string;
  readonly tls: DownstreamTls | null;
  readonly networkFilters: readonly NetworkFilter[];
  /** TLS handshake deadline; 0 = none (Envoy's default). */
  readonly transportSocketConnectTimeoutMs: number;
  /** Equal in chains that do the same with every connection they match. */
  readonly fingerprint: string;
  /** Equal in chains that ask the same of a connection's transport (plaintext, or TLS with these settings). */
  readonly transportFingerprint: string;
}

export type NetworkFilter =
  | { readonly kind: 'http_connection_manager'; readonly name: string; readonly config: HcmConfig }
  | { readonly kind: 'tcp_proxy'; readonly name: string; readonly config: TcpProxyConfig }
  | { readonly kind: 'extension'; readonly name: string; readonly typeUrl: string; readonly config: unknown };

export interface HttpFilter {
  readonly name: string;
  readonly typeUrl: string;
  /** What the extension's parse gave. */
  readonly config: unknown;
  /** Off unless a route's per-filter config turns it on. */
  readonly disabled: boolean;
  /** Its config comes by itself (ECDS); `typeUrl` and `config` are then those that hold until it is there, "" and null when nothing does. */
  readonly discovery?: { readonly name: string; readonly typeUrls: ReadonlySet<string> };
  /** Set where a matcher says (ExtensionWithMatcher): requests that it takes to an action pass the filter by. */
  readonly skip?: MatchTree<StreamInfo, 'skip'>;
}

/** A compiled access log: the filter decides, the sink (by typeUrl) writes. */
export interface AccessLog {
  readonly name: string;
  /** null = always. */
  readonly filter: AccessLogFilter | null;
  readonly typeUrl: string;
  readonly config: unknown;
}

export interface AccessLogFilter {
  /** `random` in [0, 1). */
  evaluate(info: StreamInfo, random: number): boolean;
}

/** Where a route table comes from: RDS, by name, or the config itself. */
export type TableSource = { readonly kind: 'rds'; readonly name: string } | { readonly kind: 'inline'; readonly table: RouteTable };

/** A route table for each scope of requests. */
export interface ScopedRoutes {
  readonly kind: 'scoped';
  readonly name: string;
  /** The key of a request's scope; null: it belongs to none. */
  readonly keyOf: ScopeKeyBuilder;
  /** Null: they come by SRDS. */
  readonly scopes: readonly Scope[] | null;
}

export interface Scope {
  readonly name: string;
  /** What `keyOf` gives for its requests. */
  readonly key: string;
  /** Listeners do not wait for its routes. */
  readonly onDemand: boolean;
  readonly routes: TableSource;
}

export interface HcmConfig {
  readonly statPrefix: string;
  readonly codecType: 'auto' | 'http1' | 'http2';
  readonly routes: TableSource | ScopedRoutes;
  readonly httpFilters: readonly HttpFilter[];
  /** "envoy" when unset. */
  readonly serverName: string;
  readonly serverHeader: 'overwrite' | 'append-if-absent' | 'pass-through';
  readonly schemeToOverwrite: 'http' | 'https' | null;
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  /** Asked in turn where use_remote_address is off; none: x-forwarded-for by `xffNumTrustedHops`. */
  readonly ipDetectors: readonly IpDetector[];
  readonly skipXffAppend: boolean;
  readonly appendXForwardedPort: boolean;
  /** What counts as internal for x-envoy-internal; null = RFC 1918 and its kin. */
  readonly internalAddresses: CidrSet | null;
  readonly via: string;
  readonly addUserAgent: boolean;
  readonly forwardClientCert: 'sanitize' | 'forward-only' | 'append-forward' | 'sanitize-set' | 'always-forward-only';
  readonly setCurrentClientCert: { readonly subject: boolean; readonly cert: boolean; readonly chain: boolean; readonly dns: boolean; readonly uri: boolean };
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  /** Mark sampled traces in the request id's 14th nibble. */
  readonly packTraceReason: boolean;
  /** Sampling follows the request id, so that every proxy on the way decides alike; false = every request is sampled. */
  readonly sampleByRequestId: boolean;
  /** Connection idle; 3,600,000 when unset; 0 = none. */
  readonly idleTimeoutMs: number;
  /** 300,000 when unset; 0 = none. */
  readonly streamIdleTimeoutMs: number;
  /** 0 = none. */
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly maxStreamDurationMs: number;
  /** 0 = unlimited. */
  readonly maxRequestsPerConnection: number;
  /** 5,000 when unset. */
  readonly drainTimeoutMs: number;
  /** 1,000 when unset. */
  readonly delayedCloseTimeoutMs: number;
  /** Bytes; 60 KiB when unset. */
  readonly maxRequestHeadersBytes: number;
  /** 100 when unset. */
  readonly maxHeadersCount: number;
  readonly headersWithUnderscores: 'allow' | 'reject' | 'drop';
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'unescape-redirect' | 'unescape-forward';
  readonly stripPort: 'none' | 'matching' | 'any';
  readonly stripTrailingHostDot: boolean;
  readonly http1: Http1Options;
  readonly http2: Http2Options;
  readonly streamErrorOnInvalidMessage: boolean;
  readonly proxy100Continue: boolean;
  /** Lower-case upgrade type → enabled. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  readonly accessLogs: readonly AccessLog[];
  readonly flushAccessLogOnNewRequest: boolean;
  /** Requests shed for overload say so in x-envoy-local-overloaded. */
  readonly appendLocalOverload: boolean;
  /** 0 = only at the end. */
  readonly accessLogFlushIntervalMs: number;
  readonly tracing: TracingConfig | null;
  readonly localReply: LocalReply | null;
}

export interface Http1Options {
  readonly allowAbsoluteUrl: boolean;
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly enableTrailers: boolean;
  readonly allowChunkedLength: boolean;
  /** Names go out as Proper-Case-Words instead of lower-case. */
  readonly properCase: boolean;
  /** Names go out as they came in (stateful formatter preserve_case). */
  readonly preserveCase: boolean;
  /** With preserveCase: names that the proxy adds go out as Proper-Case-Words. */
  readonly properCaseOwn: boolean;
  readonly sendFullyQualifiedUrl: boolean;
}

export interface Http2Options {
  /** Bytes of the header compression table, in each direction. */
  readonly hpackTableSize: number;
  readonly maxConcurrentStreams: number;
  readonly initialStreamWindow: number;
  readonly initialConnectionWindow: number;
  readonly allowConnect: boolean;
  /** 0 = no pings. */
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Random share of the interval on top of it. */
  readonly keepaliveJitterPercent: number;
  /** A connection silent for this long is pinged before it carries a new stream; 0 = never. */
  readonly connectionIdleIntervalMs: number;
  /** Frames waiting to be sent, of any kind, and of the kinds that only answer. Beyond: a flood, the connection ends; so for those below. */
  readonly maxOutboundFrames: number;
  readonly maxOutboundControlFrames: number;
  readonly maxConsecutiveEmptyFrames: number;
  readonly maxPriorityFramesPerStream: number;
  readonly maxWindowUpdatesPerDataFrame: number;
  /** A malformed message ends its stream alone, not the connection. */
  readonly streamErrorOnMalformed: boolean;
}

export interface TracingConfig {
  readonly clientSampling: Fraction;
  readonly randomSampling: Fraction;
  readonly overallSampling: Fraction;
  readonly verbose: boolean;
  readonly maxPathTagLength: number;
  readonly spawnUpstreamSpan: boolean;
  readonly customTags: readonly CustomTag[];
  /** Who takes the spans; null = nobody: sampling is decided and passed on all the same. */
  readonly provider: { readonly name: string; readonly typeUrl: string; readonly config: unknown } | null;
}

/** local_reply_config: rewrites the answers the proxy makes itself. The first mapper whose filter holds wins. */
export interface LocalReply {
  readonly mappers: readonly LocalReplyMapper[];
  readonly body: LocalReplyBody | null;
}

export interface LocalReplyMapper {
  readonly filter: AccessLogFilter;
  readonly status: number | null;
  /** Text that %LOCAL_REPLY_BODY% then means. */
  readonly body: string | null;
  readonly bodyFormat: LocalReplyBody | null;
  readonly headers: HeaderOps;
}

export interface LocalReplyBody {
  readonly formatter: Formatter;
  readonly contentType: string;
}

export interface TcpProxyConfig {
  readonly statPrefix: string;
  /** One entry, or several by weight; `upTo` is the running sum of weights. */
  readonly clusters: readonly WeightedTarget[];
  readonly totalWeight: number;
  /** 3,600,000 when unset; 0 = none. */
  readonly idleTimeoutMs: number;
  readonly maxConnectAttempts: number;
  /** 0 = none. */
  readonly maxDownstreamConnectionDurationMs: number;
  readonly accessLogs: readonly AccessLog[];
  readonly flushAccessLogOnConnected: boolean;
  readonly accessLogFlushIntervalMs: number;
  readonly hashPolicy: readonly HashPolicy[];
  /** Bytes go to the upstream within a request; null: as they are. */
  readonly tunneling: TunnelingConfig | null;
}

/** How a TCP connection travels within an HTTP request. */
export interface TunnelingConfig {
  /** Whom the upstream is to connect to: "host:port". */
  readonly hostname: Formatter;
  readonly method: 'CONNECT' | 'POST';
  /** Of a POST. */
  readonly path: string;
  readonly headers: HeaderOps;
  /** Whether fields of the answer are kept as filter state. */
  readonly propagateResponseHeaders: boolean;
  readonly propagateResponseTrailers: boolean;
}

export interface WeightedTarget {
  readonly cluster: string;
  readonly upTo: number;
  readonly metadataMatch: MetadataCriteria | null;
}

