import { ok, type Clock, type Result } from '@meltemi/base';
import { StreamInfo } from '@meltemi/http';
import { GuardedConnection, HttpConnectionManager, isOtelAccessLog, networkFilterFactory, OtelLogExporter, tcpLogsOnTheWay, TcpSession, TcpStats, type ByteConnection, type CapturedConnectionInfo, type DrainPace, type HttpDeps, type NetworkFilterConfig, type NetworkStreamFilter, type OtelAccessLogConfig, type RouteHolder } from '@meltemi/proxy';
import type { AccessLog, ConnectionView, FilterChain, HcmConfig, Listener, TcpProxyConfig } from '@meltemi/snapshot';
import { awaitingSecrets, serverTls, type ServerTls } from '../transport/tls-server.ts';
import { missingSecrets } from '../transport/tls-material.ts';
import type { SecretStore } from '../transport/secret-store.ts';
import type { DescriptorGuard } from './descriptor-guard.ts';
import { listenerPrefix } from './listener-prefix.ts';
import type { WorkerServerOptions } from './options.ts';
import type { OverloadMonitor } from './overload-monitor.ts';

/** What chains need of their worker. */
export interface ChainDeps {
  readonly http: Omit<HttpDeps, 'direction' | 'listenerName' | 'onComplete' | 'bufferLimit'>;
  readonly secrets: SecretStore;
  readonly routeHolder: (routes: HcmConfig['routes']) => RouteHolder;
  readonly options: WorkerServerOptions;
  readonly overload: OverloadMonitor;
  readonly descriptors: DescriptorGuard;
}

interface Arrival {
  readonly connection: ByteConnection;
  readonly info: CapturedConnectionInfo;
  readonly read: () => void;
}

type LogWriter = (info: StreamInfo) => void;

/** A filter chain at work: its TLS context, its connection manager or TCP proxy, and the connections it serves. */
export class ChainRuntime {
  readonly chain: FilterChain;
  readonly http: HttpConnectionManager | null;
  tls: ServerTls | null;
  readonly #listener: Listener;
  readonly tcpSessions = new Set<TcpSession>();
  /** Connections that a network filter holds in front of the connection manager. */
  readonly #held = new Set<GuardedConnection>();
  readonly #tcp: TcpProxyConfig | null;
  readonly #deps: ChainDeps;
  readonly #filters: readonly NetworkFilterConfig[];
  readonly #writeTcpLog: LogWriter | null;
  readonly #tcpStats: TcpStats | null;
  readonly #bufferLimit: number;
  /** Replaced, or its listener is going: who comes now, from a handshake that began before, is told so at once. */
  #leaving = false;
  #released = false;

  private constructor(listener: Listener, chain: FilterChain, tls: ServerTls | null, deps: ChainDeps) {
    this.chain = chain;
    this.#listener = listener;
    this.tls = tls;
    this.#deps = deps;
    this.#bufferLimit = listener.perConnectionBufferLimit;
    const last = chain.networkFilters.at(-1);
    const context = { ...deps.http, direction: listener.trafficDirection, listenerName: listener.name, ...(listener.bypassOverloadManager ? {} : { overload: deps.overload.state }) };
    this.#filters = chain.networkFilters.flatMap((filter) => {
      const factory = filter.kind === 'extension' ? networkFilterFactory(filter.typeUrl) : undefined;
      return filter.kind === 'extension' && factory !== undefined ? [factory.bind(filter.config, { ...context, filterName: filter.name })] : [];
    });
    this.#tcp = last?.kind === 'tcp_proxy' ? last.config : null;
    this.#writeTcpLog = this.#tcp === null ? null : logWriter(this.#tcp.accessLogs, deps);
    this.#tcpStats = this.#tcp === null ? null : new TcpStats(deps.options.stats, this.#tcp.statPrefix);
    if (last?.kind === 'http_connection_manager') {
      const write = logWriter(last.config.accessLogs, deps);
      this.http = new HttpConnectionManager(last.config, deps.routeHolder(last.config.routes), { ...context, bufferLimit: listener.perConnectionBufferLimit, onComplete: write === null ? null : (_config, info) => write(info) });
    } else this.http = null;
  }

  static create(listener: Listener, chain: FilterChain, deps: ChainDeps): Result<ChainRuntime> {
    const tls = tlsOf(listener, chain, deps);
    return tls.ok ? ok(new ChainRuntime(listener, chain, tls.value, deps)) : tls;
  }

  /** A secret changed: new handshakes use it, open connections stay. */
  rotate(): Result<void> {
    if (this.chain.tls === null) return ok(undefined);
    const tls = tlsOf(this.#listener, this.chain, this.#deps);
    if (!tls.ok) return tls;
    this.tls = tls.value;
    return ok(undefined);
  }

  /** Takes an open connection over; `read` begins the delivery of what the client sends, once the network filters let it pass. */
  serve(connection: ByteConnection, info: CapturedConnectionInfo, read: () => void): void {
    if (this.http !== null) this.#serveHttp(this.http, { connection, info, read });
    else if (this.#tcp !== null) this.#serveTcp(this.#tcp, { connection, info, read });
    else connection.destroy();
  }

  /** Connections this chain serves. */
  get connections(): number {
    return (this.http?.sessions.size ?? 0) + this.tcpSessions.size + this.#held.size;
  }

  /** Whether all its connections are such. */
  onlyHas(test: (view: ConnectionView) => boolean): boolean {
    const infos = [...[...(this.http?.sessions ?? [])].map(({ info }) => info), ...[...this.#held, ...this.tcpSessions].map(({ info }) => info.connection)];
    return infos.every(({ view }: CapturedConnectionInfo) => view !== undefined && test(view));
  }

  /** Nothing needs this chain: no connection, and no request of one that another chain has by now. */
  get idle(): boolean {
    return this.connections === 0 && (this.http?.leftBehind ?? 0) === 0;
  }

  /**
   * Hands HTTP connections to the chains that would get them now (`chainOf`; null: none), so that their next requests are judged by what is in
   * force. Where a new connection would be made or admitted differently, the open one ends after what is under way, and gets no further request.
   */
  handOver(chainOf: (view: ConnectionView) => ChainRuntime | null): void {
    for (const session of this.http?.sessions ?? []) {
      const { view } = session.info as CapturedConnectionInfo;
      const next = view === undefined ? null : chainOf(view);
      if (next === this) continue;
      const http = next?.takesOpenConnectionsOf(this) === true ? next.http : null;
      if (http === null) session.leave();
      else session.moveTo(http);
    }
    for (const guarded of this.#held) {
      const { view } = guarded.info.connection as CapturedConnectionInfo;
      if (view === undefined || chainOf(view) !== this) guarded.close('drained');
    }
  }

  /** Whether a connection that is open in the other chain is as if it had been opened in this one. */
  takesOpenConnectionsOf(other: ChainRuntime): boolean {
    return this.chain.transportFingerprint === other.chain.transportFingerprint && this.#filters.length === 0 && other.#filters.length === 0;
  }

  /** Asks clients to leave as the pace says, those who come later too; idle connections stay. */
  drainBy(pace: DrainPace): void {
    if (this.http === null || this.http.pace !== null) return;
    this.http.pace = pace;
    if (pace.strategy === 'immediate') for (const session of this.http.sessions) session.drain(false);
  }

  /** What responses ask from now on; null: nothing. */
  paceResponses(pace: DrainPace | null): void {
    if (this.http !== null) this.http.pace = pace;
  }

  /** Asks clients to leave with their next response; for a chain that gets no new connections. */
  drain(): void {
    this.#leaving = true;
    for (const session of this.http?.sessions ?? []) session.drain(false);
  }

  /** Idle HTTP connections close now, busy ones after their response. */
  drainIdle(): void {
    this.#leaving = true;
    for (const session of this.http?.sessions ?? []) session.drain(true);
  }

  /** The drain time is over: as `drainIdle`, and TCP connections end now. */
  drainNow(): void {
    this.drainIdle();
    for (const guarded of this.#held) guarded.close('drained');
    for (const session of this.tcpSessions) session.destroy('drained');
  }

  destroy(): void {
    for (const session of this.http?.sessions ?? []) session.connection.destroy();
    for (const guarded of this.#held) guarded.close('stopped');
    for (const session of this.tcpSessions) session.destroy('stopped');
    this.release();
  }

  /** The chain is gone, and its connections with it. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const filter of this.#filters) filter.release?.();
    this.http?.chain.release();
  }

  tick(nowMs: number): void {
    if (this.http !== null) for (const session of this.http.sessions) session.tick(nowMs);
    for (const session of this.tcpSessions) session.tick(nowMs);
  }

  #serveHttp(http: HttpConnectionManager, { connection, info, read }: Arrival): void {
    const begin = () => {
      const session = http.serve(connection, info);
      if (this.#leaving) session.drain(false);
      read();
    };
    if (this.#filters.length === 0) return begin();
    const { clock } = this.#deps.http;
    const guarded: GuardedConnection = new GuardedConnection(connection, {
      info: streamOf(info, clock),
      filters: this.#filters,
      monotonic: () => clock.monotonic(),
      begin: () => {
        this.#held.delete(guarded);
        begin();
      },
      onClose: () => this.#held.delete(guarded),
    });
    this.#held.add(guarded);
    return guarded.start();
  }

  #serveTcp(config: TcpProxyConfig, { connection, info: connectionInfo, read }: Arrival): void {
    const { clock, random, clusters } = this.#deps.http;
    const info = streamOf(connectionInfo, clock);
    const filters: NetworkStreamFilter[] = [];
    const session = new TcpSession(connection, {
      config, info, clusters, random, filters,
      bufferLimit: this.#bufferLimit,
      monotonic: () => clock.monotonic(),
      onProgress: () => this.#writeTcpLog?.(info),
      onDone: (done) => {
        this.tcpSessions.delete(done);
        this.#tcpStats?.ended(info);
        this.#writeTcpLog?.(info);
      },
    });
    for (const filter of this.#filters) {
      const created = filter.create(session);
      if (created !== null) filters.push(created);
    }
    const logs = this.#writeTcpLog === null ? null : tcpLogsOnTheWay(config, clock, this.#writeTcpLog);
    if (logs !== null) filters.push(logs);
    this.tcpSessions.add(session);
    this.#tcpStats?.began();
    session.start(read);
  }
}

/** The connection itself as a stream, with what its listener filters left. */
function streamOf(connection: CapturedConnectionInfo, clock: Clock): StreamInfo {
  const info = new StreamInfo(connection, clock.now(), clock.monotonic());
  if (connection.metadata !== undefined) info.dynamicMetadata = structuredClone(connection.metadata);
  return info;
}

/** Writes an entry to each log whose filter holds; null when there is no log. */
export function logWriter(logs: readonly AccessLog[], deps: ChainDeps): LogWriter | null {
  const open = logs.flatMap((log) => {
    const write = isOtelAccessLog(log.typeUrl) ? openOtelLog(log.config as OtelAccessLogConfig, deps) : (deps.options.openAccessLog?.(log) ?? null);
    return write === null ? [] : [{ filter: log.filter, write }];
  });
  if (open.length === 0) return null;
  return (info) => {
    for (const { filter, write } of open) if (filter === null || filter.evaluate(info, deps.http.random.next())) write(info);
  };
}

/** Sent from here over the log's cluster, as spans are. */
function openOtelLog(config: OtelAccessLogConfig, { http }: ChainDeps): LogWriter {
  const exporter = new OtelLogExporter(config, http);
  http.onExporter?.(exporter);
  return exporter.add;
}

/** What the listener waited for and did not get is not waited for any more: the chain refuses connections until it is there. */
function tlsOf(listener: Listener, { tls }: FilterChain, { secrets, options }: ChainDeps): Result<ServerTls | null> {
  if (tls === null) return ok(null);
  const lookup = (name: string) => secrets.get(name);
  const missing = missingSecrets(tls, lookup);
  if (missing.length === 0) return serverTls(tls, lookup);
  const refused = options.stats.counter(`${listenerPrefix(listener)}.server_ssl_socket_factory.downstream_context_secrets_not_ready`);
  return ok(awaitingSecrets(missing, () => refused.inc()));
}
