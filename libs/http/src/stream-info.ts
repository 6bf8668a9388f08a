import type { RequestHead, ResponseHead } from './heads.ts';

/** What one TLS connection agreed on and who the other side is. Immutable, shared by all streams of the connection. */
export interface TlsInfo {
  /** "TLSv1.3" */
  readonly version: string;
  readonly cipher: string;
  /** Requested server name; "" when none. */
  readonly sni: string;
  readonly alpn: string;
  /** True when the peer showed a certificate. */
  readonly peerPresented: boolean;
  /** True when that certificate was verified against the trusted CA. */
  readonly peerValidated: boolean;
  /** RFC 2253 text; "" without a certificate. */
  readonly peerSubject: string;
  readonly peerIssuer: string;
  readonly peerUriSans: readonly string[];
  readonly peerDnsSans: readonly string[];
  readonly peerSerial: string;
  /** Lower-case hex of the SHA-256 of the certificate's DER. */
  readonly peerFingerprint256: string;
  /** The same of SHA-1, for logs alone. */
  readonly peerFingerprint1?: string;
  readonly peerIpSans?: readonly string[];
  readonly peerEmailSans?: readonly string[];
  /** PEM, for x-forwarded-client-cert's Cert. */
  readonly peerCertPem: string;
  /** PEM of the certificate and those above it that the peer sent, for x-forwarded-client-cert's Chain. */
  readonly peerChainPem: string;
  readonly peerCertValidFromMs: number;
  readonly peerCertValidToMs: number;
  readonly localSubject: string;
  readonly localUriSans: readonly string[];
  readonly localDnsSans: readonly string[];
  readonly localIpSans?: readonly string[];
  readonly localEmailSans?: readonly string[];
}

/** What a connection knows about its downstream side; one object per connection, shared by its streams. Addresses are "ip:port", "[ip6]:port" or a path. */
export interface ConnectionInfo {
  readonly id: number;
  /** Where the client really sent it (after original-dst). */
  readonly localAddress: string;
  /** Where the connection was accepted; unset: the same. */
  readonly directLocalAddress?: string;
  /** The TCP peer. */
  readonly directRemoteAddress: string;
  /** Who is behind the TCP peer, by the PROXY protocol; unset: the peer itself. Read it through `remoteAddress`. */
  readonly proxiedAddress?: string;
  readonly requestedServerName: string;
  readonly tls: TlsInfo | null;
}

/** Kinds of access log entries: numbers of envoy.data.accesslog.v3.AccessLogType. */
export const LogType = { notSet: 0, tcpUpstreamConnected: 1, tcpPeriodic: 2, tcpConnectionEnd: 3, downstreamStart: 4, downstreamPeriodic: 5, downstreamEnd: 6 } as const;

/** Names that %ACCESS_LOG_TYPE% prints, by number. */
export const logTypeNames = ['NotSet', 'TcpUpstreamConnected', 'TcpPeriodic', 'TcpConnectionEnd', 'DownstreamStart', 'DownstreamPeriodic', 'DownstreamEnd'] as const;

/** The kind of entry that is being written; at the end of a stream unless said otherwise. */
export function logTypeOf(info: StreamInfo): number {
  return info.logType !== 0 ? info.logType : info.request === null ? LogType.tcpConnectionEnd : LogType.downstreamEnd;
}

/** Dynamic metadata: filter namespace → key → JSON value. */
export type DynamicMetadata = Record<string, Record<string, unknown>>;

/**
 * Everything known about one HTTP stream or TCP session while it lives: filters write, access log, stats and formatters read.
 * One shape for all; fields that are not known yet are null, -1 (times) or 0. Monotonic times are milliseconds from Clock.monotonic().
 */
export class StreamInfo {
  request: RequestHead | null = null;
  response: ResponseHead | null = null;
  /** Response trailers when there were any: `[name, value, …]`. */
  responseTrailers: readonly string[] | null = null;
  /** Status sent downstream; 0 when none was (TCP, or reset before). */
  responseCode = 0;
  responseCodeDetails: string | null = null;
  connectionTerminationDetails: string | null = null;
  /** Bits of ResponseFlag. */
  responseFlags = 0;

  /** Wall clock, milliseconds since the epoch. */
  startTimeMs: number;
  startMonoMs: number;
  /** Last byte of the request received from downstream. */
  requestCompleteMonoMs = -1;
  upstreamFirstSentMonoMs = -1;
  upstreamLastSentMonoMs = -1;
  upstreamFirstReceivedMonoMs = -1;
  upstreamLastReceivedMonoMs = -1;
  downstreamFirstSentMonoMs = -1;
  downstreamLastSentMonoMs = -1;
  /** End of the stream: what %DURATION% measures to. */
  endMonoMs = -1;

  requestHeaderBytes = 0;
  responseHeaderBytes = 0;
  /** Body bytes from downstream. */
  bytesReceived = 0;
  /** Body bytes to downstream. */
  bytesSent = 0;
  downstreamWireBytesReceived = 0;
  downstreamWireBytesSent = 0;
  upstreamWireBytesReceived = 0;
  upstreamWireBytesSent = 0;

  upstreamHost: string | null = null;
  /** What the endpoint is called; "" when it has an address alone. */
  upstreamHostName = '';
  /** Cluster name (raw). */
  upstreamCluster: string | null = null;
  /** alt_stat_name when the cluster has one. */
  upstreamClusterAlt: string | null = null;
  upstreamLocalAddress: string | null = null;
  upstreamTransportFailureReason: string | null = null;
  upstreamTls: TlsInfo | null = null;
  upstreamProtocol: string | null = null;
  upstreamConnectionId = 0;
  /** Of the cluster, for %CLUSTER_METADATA()%. */
  clusterMetadata: DynamicMetadata | null = null;
  /** Of the picked host, for %UPSTREAM_METADATA()%. */
  upstreamMetadata: DynamicMetadata | null = null;

  connection: ConnectionInfo;
  /** The client's address after x-forwarded-for rules, "ip:port". */
  downstreamRemoteAddress: string;
  downstreamTransportFailureReason: string | null = null;

  routeName = '';
  virtualHostName = '';
  virtualClusterName = '';
  /** Of the route, for %METADATA(ROUTE:…)%. */
  routeMetadata: DynamicMetadata | null = null;
  requestId: string | null = null;
  /** 1 for the first try; 0 before any. */
  attemptCount = 0;
  traceId: string | null = null;
  /** The stream's own span; with traceId. */
  spanId: string | null = null;
  /** Body of an answer that the proxy made itself, for %LOCAL_REPLY_BODY%. */
  localReplyBody: string | null = null;
  /** Which of a stream's log entries is being written: a LogType; 0 outside of that. */
  logType = 0;
  /** The request was answered by the health_check filter. */
  healthCheck = false;
  traceSampled = false;
  dynamicMetadata: DynamicMetadata | null = null;
  filterState: Map<string, unknown> | null = null;

  constructor(connection: ConnectionInfo, startTimeMs: number, startMonoMs: number) {
    this.connection = connection;
    this.downstreamRemoteAddress = remoteAddress(connection);
    this.startTimeMs = startTimeMs;
    this.startMonoMs = startMonoMs;
  }

  /** Merges into the namespace, born at first use. */
  setMetadata(namespace: string, key: string, value: unknown): void {
    const all = (this.dynamicMetadata ??= {});
    const space = (all[namespace] ??= {});
    space[key] = value;
  }

  setFilterState(key: string, value: unknown): void {
    (this.filterState ??= new Map()).set(key, value);
  }
}

/** The client of a connection, before x-forwarded-for: the TCP peer, or whom a balancer named by the PROXY protocol. */
export function remoteAddress(connection: ConnectionInfo): string {
  return connection.proxiedAddress ?? connection.directRemoteAddress;
}

/** A connection with nothing known: for tests and synthetic streams. */
export const unknownConnection: ConnectionInfo = {
  id: 0, localAddress: '', directRemoteAddress: '', requestedServerName: '', tls: null,
};
