import type { Destination, DurationMs, Percent, StringMap, StringMatch } from '../types.ts';

/** networking.istio.io VirtualService. */
export interface VirtualServiceSpec {
  readonly hosts: readonly string[];
  /** Empty means the mesh gateway alone. */
  readonly gateways: readonly string[];
  readonly http: readonly HttpRoute[];
  readonly tls: readonly TlsRoute[];
  readonly tcp: readonly TcpRoute[];
  readonly exportTo: readonly string[];
}

/** Exactly one of `route` (not empty), `redirect`, `directResponse`, `delegate`. */
export interface HttpRoute {
  readonly name: string;
  readonly match: readonly HttpMatchRequest[];
  readonly route: readonly HttpRouteDestination[];
  readonly redirect?: HttpRedirect;
  readonly directResponse?: HttpDirectResponse;
  readonly delegate?: Delegate;
  readonly rewrite?: HttpRewrite;
  /** Absent or 0: no timeout. */
  readonly timeout?: DurationMs;
  readonly retries?: HttpRetry;
  readonly fault?: HttpFaultInjection;
  readonly mirror?: Destination;
  readonly mirrors: readonly HttpMirrorPolicy[];
  /** Deprecated by `mirrorPercentage`. */
  readonly mirrorPercent?: number;
  readonly mirrorPercentage?: Percent;
  readonly corsPolicy?: CorsPolicy;
  readonly headers?: Headers;
}

export interface Delegate {
  readonly name: string;
  /** "" is the namespace of the delegating VirtualService. */
  readonly namespace: string;
}

export interface Headers {
  readonly request?: HeaderOperations;
  readonly response?: HeaderOperations;
}

export interface HeaderOperations {
  readonly set: StringMap;
  readonly add: StringMap;
  readonly remove: readonly string[];
}

/** All that is set must hold. */
export interface HttpMatchRequest {
  readonly name: string;
  readonly uri?: StringMatch;
  readonly scheme?: StringMatch;
  readonly method?: StringMatch;
  readonly authority?: StringMatch;
  readonly headers: Readonly<Record<string, StringMatch>>;
  /** 0: any. */
  readonly port: number;
  readonly sourceLabels: StringMap;
  readonly gateways: readonly string[];
  readonly queryParams: Readonly<Record<string, StringMatch>>;
  readonly ignoreUriCase: boolean;
  readonly withoutHeaders: Readonly<Record<string, StringMatch>>;
  readonly sourceNamespace: string;
  readonly statPrefix: string;
}

export interface HttpRouteDestination {
  readonly destination: Destination;
  readonly weight: number;
  readonly headers?: Headers;
}

export interface RouteDestination {
  readonly destination: Destination;
  readonly weight: number;
}

export interface TlsRoute {
  readonly match: readonly TlsMatchAttributes[];
  readonly route: readonly RouteDestination[];
}

export interface TcpRoute {
  readonly match: readonly L4MatchAttributes[];
  readonly route: readonly RouteDestination[];
}

export interface TlsMatchAttributes {
  readonly sniHosts: readonly string[];
  readonly destinationSubnets: readonly string[];
  readonly port: number;
  readonly sourceLabels: StringMap;
  readonly gateways: readonly string[];
  readonly sourceNamespace: string;
}

export interface L4MatchAttributes {
  readonly destinationSubnets: readonly string[];
  readonly port: number;
  readonly sourceSubnet: string;
  readonly sourceLabels: StringMap;
  readonly gateways: readonly string[];
  readonly sourceNamespace: string;
}

export interface HttpRedirect {
  readonly uri: string;
  readonly authority: string;
  readonly port?: number;
  readonly derivePort?: 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT';
  readonly scheme: string;
  /** 0 means 301. */
  readonly redirectCode: number;
  readonly prefixRewrite: string;
}

export interface HttpDirectResponse {
  readonly status: number;
  readonly body?: HttpBody;
}

/** Exactly one is set. `bytes` is decoded from base64. */
export interface HttpBody {
  readonly string?: string;
  readonly bytes?: Uint8Array;
}

export interface HttpRewrite {
  readonly uri: string;
  readonly authority: string;
  readonly uriRegexRewrite?: RegexRewrite;
}

export interface RegexRewrite {
  readonly match: string;
  readonly rewrite: string;
}

export interface HttpRetry {
  /** 0 switches retries off. */
  readonly attempts: number;
  readonly perTryTimeout?: DurationMs;
  /** "" is Istio's default list. */
  readonly retryOn: string;
  readonly retryRemoteLocalities?: boolean;
  readonly retryIgnorePreviousHosts?: boolean;
  readonly backoff?: DurationMs;
}

export interface CorsPolicy {
  /** Deprecated by `allowOrigins`; exact values. */
  readonly allowOrigin: readonly string[];
  readonly allowOrigins: readonly StringMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAge?: DurationMs;
  readonly allowCredentials?: boolean;
  readonly unmatchedPreflights: 'UNSPECIFIED' | 'FORWARD' | 'IGNORE';
}

export interface HttpFaultInjection {
  readonly delay?: FaultDelay;
  readonly abort?: FaultAbort;
}

export interface FaultDelay {
  /** Deprecated by `percentage`; 0…100. */
  readonly percent: number;
  readonly fixedDelay?: DurationMs;
  readonly exponentialDelay?: DurationMs;
  /** Absent (and `percent` 0): never delays. */
  readonly percentage?: Percent;
}

export interface FaultAbort {
  readonly httpStatus?: number;
  readonly grpcStatus?: string;
  readonly http2Error?: string;
  /** Absent: never aborts. */
  readonly percentage?: Percent;
}

export interface HttpMirrorPolicy {
  readonly destination: Destination;
  /** Absent: everything. */
  readonly percentage?: Percent;
}
