import type { Clock, Random } from '@meltemi/base';
import { hasEscapedSlash, isGrpc, LogType, portOf, preparePath, ResponseFlag, type ConnectionInfo, type RequestHead, type StreamInfo } from '@meltemi/http';
import type { FlatStats, StatsRegistry } from '@meltemi/observe';
import type { RouteTable } from '@meltemi/route';
import type { HcmConfig } from '@meltemi/snapshot';
import { http2Stats, type Http2Stats } from '../codec/http2/http2-stats.ts';
import type { ByteConnection } from '../connection.ts';
import type { HttpFilterFactory, LocalReply } from '../filter.ts';
import type { OverloadState } from '../overload/overload-state.ts';
import type { SpanExporter } from '../tracing/span-exporter.ts';
import { HttpTracer } from '../tracing/tracer.ts';
import type { NodeFacts } from '../node.ts';
import type { SharedState } from '../shared-state.ts';
import type { Clusters } from '../upstream.ts';
import type { ActiveStream } from './active-stream.ts';
import type { DrainPace } from './drain-pace.ts';
import { every } from './every.ts';
import { HttpFilterChain, type FilterConfigHolder } from './filter-chain.ts';
import { HttpSession } from './http-session.ts';
import { httpStats, type HttpStats } from './http-stats.ts';
import { detectOrigin } from './ip-detection.ts';
import { prepareRequest } from './prepare-request.ts';
import type { RequestIds } from './request-id.ts';

/** Where the current route table is; RDS updates replace `table`. */
export interface RouteHolder {
  table: RouteTable | null;
  /** Set where the table depends on the request (scoped routes); null = none is for it. */
  readonly tableOf?: (head: RequestHead) => RouteTable | null;
}

/** What a connection manager needs of its worker. */
export interface HttpDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly requestIds: RequestIds;
  readonly stats: FlatStats;
  readonly metrics: StatsRegistry;
  readonly node: NodeFacts;
  readonly clusters: Clusters;
  readonly direction: 'unspecified' | 'inbound' | 'outbound';
  readonly shared: SharedState;
  readonly listenerName: string;
  /** Bytes of a body that filters or retries may hold. */
  readonly bufferLimit: number;
  /** RFC 9110 date of now; the worker makes it once a second. */
  httpDate(): string;
  /** A stream is over: for access logs. */
  onComplete: ((config: HcmConfig, info: StreamInfo) => void) | null;
  /** A filter threw: log and count. */
  onBug(error: unknown): void;
  /** Finds a filter by its config's type; those of this package unless said otherwise. */
  readonly httpFilter?: (typeUrl: string) => HttpFilterFactory | undefined;
  /** Where the config of a filter by ECDS is; unset = none ever comes. */
  readonly filterConfig?: (name: string) => FilterConfigHolder;
  /** What overload asks of this worker; unset = nothing. */
  readonly overload?: OverloadState;
  /** Variables of the process, for tags of spans. */
  readonly environment?: (name: string) => string | undefined;
  /** Told of what sends spans, so that the end of the process can wait for it. */
  readonly onExporter?: (exporter: Pick<SpanExporter, 'finished'>) => void;
}

const noHeaders: readonly string[] = [];
/** Deviation: Envoy sets no response flag here; UO tells an operator why. */
const overloaded: LocalReply = { status: 503, body: 'envoy overloaded', details: 'overload', flags: ResponseFlag.UO };

/** A compiled HTTP connection manager: everything its connections share. Replaced whole when its config changes. */
export class HttpConnectionManager {
  readonly config: HcmConfig;
  readonly deps: HttpDeps;
  readonly routes: RouteHolder;
  readonly chain: HttpFilterChain;
  readonly stats: HttpStats;
  /** Null when the config says nothing of tracing. */
  readonly tracer: HttpTracer | null;
  readonly sessions = new Set<HttpSession>();
  /** Requests under way whose connections another connection manager has by now. */
  leftBehind = 0;
  /** Set while the listener drains: its responses ask clients to leave. */
  pace: DrainPace | null = null;
  readonly #plainPaths: boolean;
  #http2Stats: Http2Stats | null = null;
  #codecSettings: string | null = null;

  constructor(config: HcmConfig, routes: RouteHolder, deps: HttpDeps) {
    this.config = config;
    this.deps = deps;
    this.routes = routes;
    this.stats = httpStats(deps.stats, config.statPrefix);
    this.tracer = config.tracing === null ? null : new HttpTracer(config, config.tracing, deps);
    this.chain = new HttpFilterChain(config, { ...deps, hcm: config }, deps);
    this.#plainPaths = !config.normalizePath && !config.mergeSlashes && config.escapedSlashes === 'keep';
  }

  /** Of all HTTP/2 clients of this proxy. */
  get http2Stats(): Http2Stats {
    return (this.#http2Stats ??= http2Stats(this.deps.stats, 'http2.'));
  }

  /** Equal where codecs would be made the same. */
  get codecSettings(): string {
    const { codecType, maxRequestHeadersBytes, maxHeadersCount, http1, http2, delayedCloseTimeoutMs } = this.config;
    return (this.#codecSettings ??= JSON.stringify([codecType, maxRequestHeadersBytes, maxHeadersCount, http1, http2, delayedCloseTimeoutMs]));
  }

  /** Serves a connection from its first byte on. */
  serve(connection: ByteConnection, info: ConnectionInfo): HttpSession {
    const session = new HttpSession(this, connection, info);
    this.sessions.add(session);
    this.stats.cxTotal.inc();
    this.stats.cxActive.inc();
    return session;
  }

  /** Rewrites the request for the chain; a reply when it must not go there. @hot */
  prepare(stream: ActiveStream): LocalReply | null {
    const { config } = this;
    const head = stream.request;
    if (head.protocol === 'HTTP/1.0' && !config.http1.acceptHttp10) return { status: 426, body: 'Upgrade Required', details: 'low_version' };
    if (head.authority === '') {
      if (config.http1.defaultHostForHttp10 === '' || head.protocol !== 'HTTP/1.0') return { status: 400, body: '', details: 'missing_host_header' };
      head.authority = config.http1.defaultHostForHttp10;
    }
    if (head.path.charCodeAt(0) !== 47 && head.method !== 'CONNECT') {
      this.stats.nonRelativePath.inc();
      return { status: 404, body: '', details: 'absolute_path_rejected' };
    }
    const refusal = this.#plainPaths ? null : this.#preparePath(head);
    if (refusal !== null) return refusal;
    if (config.stripPort !== 'none' || config.stripTrailingHostDot) this.#stripHost(stream, head);
    if (config.headersWithUnderscores !== 'allow') {
      const bad = this.#underscores(stream, head);
      if (bad !== null) return bad;
    }
    const origin = config.ipDetectors.length === 0 ? null : detectOrigin(config.ipDetectors, head.headers, stream.info.connection);
    if (origin !== null && origin.refusal !== 0) return { status: origin.refusal, body: '', details: 'rejecting_because_detection_failed' };
    stream.tellsRequestId = prepareRequest(config, { ids: this.deps.requestIds, node: this.deps.node, internalOnlyHeaders: this.tableOf(head)?.internalOnlyHeaders ?? noHeaders, origin }, head, stream.info);
    return head.upgrade === '' || this.#mayUpgrade(stream, head.upgrade) ? null : this.#refuseUpgrade();
  }

  /** The table a request is routed by. @hot */
  tableOf(head: RequestHead): RouteTable | null {
    const { routes } = this;
    return routes.tableOf === undefined ? routes.table : routes.tableOf(head);
  }

  /** The route says, where it does; else the connection manager. */
  #mayUpgrade(stream: ActiveStream, type: string): boolean {
    const action = stream.route()?.action;
    return (action?.kind === 'forward' ? action.upgrades.get(type) : undefined) ?? this.config.upgrades.get(type) ?? false;
  }

  #refuseUpgrade(): LocalReply {
    this.stats.rqWsOnNonWsRoute.inc();
    return { status: 403, body: '', details: 'upgrade_failed' };
  }

  /** The answer to a request that overload sheds, or null. @hot */
  shed(): LocalReply | null {
    const overload = this.deps.overload;
    if (overload === undefined || overload.shedRequests === 0 || this.deps.random.next() >= overload.shedRequests) return null;
    this.stats.rqOverloadClose.inc();
    return this.config.appendLocalOverload ? { ...overloaded, headers: [['x-envoy-local-overloaded', 'true']] } : overloaded;
  }

  /** The drain or overload wants the connection to close with this response. @hot */
  get closesConnection(): boolean {
    if (this.pace !== null && this.deps.random.next() < this.pace.share(this.deps.clock.monotonic())) return true;
    const overload = this.deps.overload;
    if (overload === undefined || overload.closeConnections === 0 || this.deps.random.next() >= overload.closeConnections) return false;
    this.stats.cxOverloadDisableKeepalive.inc();
    return true;
  }

  /** Logs a stream that goes on: when it begins and every now and then, where the config asks for that. */
  logsOnTheWay(stream: ActiveStream): (() => void) | null {
    const { onComplete, clock } = this.deps;
    const { flushAccessLogOnNewRequest, accessLogFlushIntervalMs } = this.config;
    if (onComplete === null || (!flushAccessLogOnNewRequest && accessLogFlushIntervalMs <= 0)) return null;
    const log = (type: number) => {
      stream.info.logType = type;
      onComplete(this.config, stream.info);
      stream.info.logType = LogType.notSet;
    };
    if (flushAccessLogOnNewRequest) log(LogType.downstreamStart);
    return accessLogFlushIntervalMs > 0 ? every(clock, accessLogFlushIntervalMs, () => log(LogType.downstreamPeriodic)) : null;
  }

  /** Counts and logs a stream that is over. @hot */
  completed(stream: ActiveStream): void {
    const { stats } = this;
    const info = stream.info;
    stats.rqActive.dec();
    stats.rqCompleted.inc();
    const hundreds = (info.responseCode / 100) | 0;
    if (hundreds > 0) (stats.rqClass[hundreds] ?? stats.rqClass[0])?.inc();
    stream.session.ended(stream);
    if (stream.session.manager !== this) this.leftBehind--;
    stream.trace?.finish();
    if (this.deps.onComplete !== null) this.deps.onComplete(this.config, info);
  }

  #preparePath(head: RequestHead): LocalReply | null {
    const { config } = this;
    const path = preparePath(head.path, config);
    const redirects = config.escapedSlashes === 'unescape-redirect' && hasEscapedSlash(head.path);
    // gRPC's clients follow no redirect.
    if (path === null || (redirects && isGrpc(head))) return { status: 400, body: '', details: 'path_normalization_failed' };
    if (redirects) return { status: 307, body: '', details: 'path_normalization_failed', headers: [['location', path]] };
    head.path = path;
    return null;
  }

  #stripHost(stream: ActiveStream, head: RequestHead): void {
    const { config } = this;
    if (config.stripTrailingHostDot) head.authority = head.authority.replace(/\.(?=$|:\d+$)/, '');
    const colon = head.authority.lastIndexOf(':');
    if (config.stripPort !== 'none' && colon > head.authority.lastIndexOf(']') && portOf(head.authority) >= 0) {
      const local = stream.info.connection.localAddress;
      if (config.stripPort === 'any' || head.authority.slice(colon) === local.slice(local.lastIndexOf(':'))) head.authority = head.authority.slice(0, colon);
    }
  }

  /** As in Envoy a refused stream of HTTP/2 is reset, and a request of HTTP/1 answered. */
  #underscores(stream: ActiveStream, head: RequestHead): LocalReply | null {
    const names = head.headers.flat.filter((name, i) => i % 2 === 0 && name.includes('_'));
    if (names.length === 0) return null;
    const http2 = head.protocol === 'HTTP/2';
    const counters = http2 ? this.http2Stats : this.stats.http1;
    if (this.config.headersWithUnderscores === 'reject') {
      const details = http2 ? 'http2.unexpected_underscore' : 'http1.unexpected_underscore';
      counters.requestsRejectedWithUnderscores.inc();
      stream.info.responseCodeDetails = details;
      if (http2) stream.resetStream();
      return { status: 400, body: '', details };
    }
    counters.droppedHeadersWithUnderscores.inc(names.length);
    for (const name of names) head.headers.remove(name);
    return null;
  }
}
