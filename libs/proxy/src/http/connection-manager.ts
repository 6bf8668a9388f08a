import type { Clock, Random } from '@meltemi/base';
import { ResponseFlag, ResponseHead, StreamInfo, hasEscapedSlash, preparePath, type ConnectionInfo, type RequestHead } from '@meltemi/http';
import type { FlatStats, StatsRegistry } from '@meltemi/observe';
import type { RouteTable } from '@meltemi/route';
import type { HcmConfig } from '@meltemi/snapshot';
import type { ByteConnection } from '../connection.ts';
import type { CodecError } from '../codec/http1/errors.ts';
import { Http1ServerConnection, type RequestHandler } from '../codec/http1/server-connection.ts';
import type { HttpFilterFactory, LocalReply } from '../filter.ts';
import type { NodeFacts } from '../node.ts';
import type { RequestReceiver } from '../stream.ts';
import type { Clusters } from '../upstream.ts';
import { ActiveStream } from './active-stream.ts';
import { HttpFilterChain } from './filter-chain.ts';
import { httpStats, type HttpStats } from './http-stats.ts';
import { prepareRequest } from './prepare-request.ts';
import type { RequestIds } from './request-id.ts';

/** Where the current route table is; RDS updates replace `table`. */
export interface RouteHolder {
  table: RouteTable | null;
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
}

/** A compiled HTTP connection manager: everything its connections share. Replaced whole when its config changes. */
export class HttpConnectionManager {
  readonly config: HcmConfig;
  readonly deps: HttpDeps;
  readonly routes: RouteHolder;
  readonly chain: HttpFilterChain;
  readonly stats: HttpStats;
  readonly sessions = new Set<HttpSession>();
  readonly #plainPaths: boolean;
  readonly #upgrades: ReadonlySet<string>;

  constructor(config: HcmConfig, routes: RouteHolder, deps: HttpDeps) {
    this.config = config;
    this.deps = deps;
    this.routes = routes;
    this.stats = httpStats(deps.stats, config.statPrefix);
    this.chain = new HttpFilterChain(config, { ...deps, hcm: config }, deps.httpFilter);
    this.#plainPaths = !config.normalizePath && !config.mergeSlashes && config.escapedSlashes === 'keep';
    this.#upgrades = new Set([...config.upgrades].filter(([, enabled]) => enabled).map(([type]) => type));
  }

  /** Serves a connection from its first byte on. */
  serve(connection: ByteConnection, info: ConnectionInfo): HttpSession {
    const session = new HttpSession(this, connection, info, this.#upgrades);
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
      if (config.http1.defaultHostForHttp10 === '') return { status: 400, body: '', details: 'missing_host_header' };
      head.authority = config.http1.defaultHostForHttp10;
    }
    const refusal = this.#plainPaths ? null : this.#preparePath(head);
    if (refusal !== null) return refusal;
    if (config.stripPort !== 'none' || config.stripTrailingHostDot) this.#stripHost(stream, head);
    if (config.headersWithUnderscores !== 'allow') {
      const bad = this.#underscores(head);
      if (bad !== null) return bad;
    }
    prepareRequest(config, { ids: this.deps.requestIds, node: this.deps.node }, head, stream.info);
    return null;
  }

  /** Counts and logs a stream that is over. @hot */
  completed(stream: ActiveStream): void {
    const { stats } = this;
    const info = stream.info;
    stats.rqActive.dec();
    stats.rqCompleted.inc();
    const hundreds = (info.responseCode / 100) | 0;
    if (hundreds > 0) (stats.rqClass[hundreds] ?? stats.rqClass[0])?.inc();
    // A pipelined request may have begun already.
    if (stream.session.stream === stream) stream.session.stream = null;
    if (this.deps.onComplete !== null) this.deps.onComplete(this.config, info);
  }

  #preparePath(head: RequestHead): LocalReply | null {
    const { config } = this;
    const path = preparePath(head.path, config);
    if (path === null) return { status: 400, body: '', details: 'path_normalization_failed' };
    if (config.escapedSlashes === 'unescape-redirect' && hasEscapedSlash(head.path)) return { status: 307, body: '', details: 'path_normalization_failed', headers: [['location', path]] };
    head.path = path;
    return null;
  }

  #stripHost(stream: ActiveStream, head: RequestHead): void {
    const { config } = this;
    const colon = head.authority.lastIndexOf(':');
    if (config.stripPort !== 'none' && colon > head.authority.lastIndexOf(']')) {
      const local = stream.info.connection.localAddress;
      if (config.stripPort === 'any' || head.authority.slice(colon) === local.slice(local.lastIndexOf(':'))) head.authority = head.authority.slice(0, colon);
    }
    if (config.stripTrailingHostDot && head.authority.endsWith('.')) head.authority = head.authority.slice(0, -1);
  }

  #underscores(head: RequestHead): LocalReply | null {
    const names = head.headers.flat.filter((name, i) => i % 2 === 0 && name.includes('_'));
    if (names.length === 0) return null;
    if (this.config.headersWithUnderscores === 'reject') return { status: 400, body: '', details: 'http1.unexpected_underscore' };
    for (const name of names) head.headers.remove(name);
    return null;
  }
}

/** One downstream connection under a connection manager. */
export class HttpSession implements RequestHandler {
  readonly manager: HttpConnectionManager;
  readonly info: ConnectionInfo;
  readonly codec: Http1ServerConnection;
  readonly openedMs: number;
  stream: ActiveStream | null = null;
  #readBefore = 0;
  #writtenBefore = 0;
  #drainCounted = false;
  /** The request whose head was arriving at the last look, by its number on the connection; -1 when none was. */
  #arriving = -1;

  constructor(manager: HttpConnectionManager, connection: ByteConnection, info: ConnectionInfo, upgrades: ReadonlySet<string>) {
    this.manager = manager;
    this.info = info;
    const { config, deps } = manager;
    this.openedMs = deps.clock.monotonic();
    this.codec = new Http1ServerConnection(connection, this, {
      limits: { maxHeadBytes: config.maxRequestHeadersBytes, maxFields: config.maxHeadersCount },
      scheme: connection.tls === null ? 'http' : 'https',
      upgrades,
      properCase: config.http1.properCase,
      lingerMs: config.delayedCloseTimeoutMs || 1000,
      after: (delayMs, task) => deps.clock.after(delayMs, task),
    });
    this.codec.lastActiveMs = this.openedMs;
  }

  /** Asks the client to leave: with the next response, or, when `now`, at once when idle. */
  drain(now: boolean): void {
    if (!this.#drainCounted) this.manager.stats.cxDrainClose.inc();
    this.#drainCounted = true;
    if (now) this.codec.drain();
    else this.codec.closeAfterNext();
  }

  /** Called now and then with the worker's coarse time: enforces the idle and header timeouts. */
  tick(nowMs: number): void {
    const { config, stats } = this.manager;
    const connection = this.codec.connection;
    if (connection.bytesRead !== this.#readBefore || connection.bytesWritten !== this.#writtenBefore) {
      stats.cxRxBytes.inc(connection.bytesRead - this.#readBefore);
      stats.cxTxBytes.inc(connection.bytesWritten - this.#writtenBefore);
      this.#readBefore = connection.bytesRead;
      this.#writtenBefore = connection.bytesWritten;
      this.#active(nowMs);
    }
    if (config.maxConnectionDurationMs > 0 && nowMs - this.openedMs > config.maxConnectionDurationMs) return this.drain(true);
    const idle = nowMs - this.codec.lastActiveMs;
    if (this.stream !== null) {
      const action = this.stream.route()?.action;
      const limit = (action?.kind === 'forward' ? action.idleTimeoutMs : null) ?? config.streamIdleTimeoutMs;
      if (limit > 0 && idle > limit) this.stream.idleTimeout();
    } else if (this.codec.readingHead) {
      const limit = config.requestHeadersTimeoutMs || config.requestTimeoutMs;
      if (limit > 0 && idle > limit) {
        stats.rqHeaderTimeout.inc();
        connection.destroy();
      }
    } else if (config.idleTimeoutMs > 0 && idle > config.idleTimeoutMs) {
      stats.cxIdleTimeout.inc();
      this.codec.drain();
    }
    return undefined;
  }

  /** A head has its whole time from when it began, however long the connection was idle before, and no more for coming in drops. */
  #active(nowMs: number): void {
    const arriving = this.codec.readingHead ? this.codec.requests : -1;
    if (arriving < 0 || arriving !== this.#arriving) this.codec.lastActiveMs = nowMs;
    this.#arriving = arriving;
  }

  onRequest(codec: Http1ServerConnection, head: RequestHead, endStream: boolean): RequestReceiver {
    const { manager } = this;
    manager.stats.rqTotal.inc();
    manager.stats.rqActive.inc();
    const limit = manager.config.maxRequestsPerConnection;
    if (limit > 0 && codec.requests >= limit) codec.drain();
    if (codec.parser.expectContinue && !manager.config.proxy100Continue) {
      head.headers.remove('expect');
      codec.interim(continueHead);
    }
    const stream = new ActiveStream(this, codec, head, endStream);
    this.stream = stream;
    stream.start();
    return stream;
  }

  onCodecError(_codec: Http1ServerConnection, error: CodecError): void {
    const { manager } = this;
    manager.stats.cxProtocolError.inc();
    if (manager.deps.onComplete === null || this.stream !== null) return;
    const info = new StreamInfo(this.info, manager.deps.clock.now(), manager.deps.clock.monotonic());
    info.responseCode = error.status;
    info.responseCodeDetails = error.details;
    info.responseFlags = ResponseFlag.DPE;
    info.endMonoMs = info.startMonoMs;
    manager.deps.onComplete(manager.config, info);
  }

  onConnectionClose(): void {
    const { stats } = this.manager;
    this.tickBytes();
    if (!this.manager.sessions.delete(this)) return;
    stats.cxActive.dec();
    stats.cxDestroy.inc();
  }

  tickBytes(): void {
    const { stats } = this.manager;
    stats.cxRxBytes.inc(this.codec.connection.bytesRead - this.#readBefore);
    stats.cxTxBytes.inc(this.codec.connection.bytesWritten - this.#writtenBefore);
    this.#readBefore = this.codec.connection.bytesRead;
    this.#writtenBefore = this.codec.connection.bytesWritten;
  }
}

const continueHead = new ResponseHead(100);
