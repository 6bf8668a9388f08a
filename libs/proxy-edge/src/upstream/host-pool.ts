import type { ByteConnection, ClusterLimits, ClusterStats, ConnectionCallbacks, Host, NewStreamOptions, PendingStream, StreamCallbacks } from '@meltemi/proxy';
import type { Random } from '@meltemi/base';
import type { Cluster } from '@meltemi/snapshot';
import { dial } from '../transport/dial.ts';
import { proxyHeader } from '../transport/proxy-header.ts';
import type { SocketConnection } from '../transport/socket-connection.ts';
import type { ClientTls } from '../transport/tls-client.ts';
import { Http1PoolConnection, Http2PoolConnection, type PoolConnection, type PoolConnectionOwner } from './pool-connection.ts';

/** What a pool shares with its cluster. */
export interface PoolOptions {
  readonly host: Host;
  readonly cluster: Cluster;
  readonly tls: ClientTls | null;
  /** The TLS name its connections are for, where the cluster takes it from requests; else "". */
  readonly serverName: string;
  /** What the host is spoken to with; 'auto' asks by ALPN. */
  readonly protocol: PoolProtocol;
  readonly stats: ClusterStats;
  readonly limits: ClusterLimits;
  readonly random: Random;
  /** Coarse monotonic milliseconds. */
  now(): number;
  after(delayMs: number, task: () => void): () => void;
}

export type PoolProtocol = 'http1' | 'http2' | 'auto';

interface Waiting {
  readonly callbacks: StreamCallbacks;
  readonly options: NewStreamOptions;
  cancelled: boolean;
}

/**
 * HTTP connections to one host under one TLS identity, protocol and priority. The youngest idle HTTP/1.1 connection serves next, so that
 * surplus ones age out; of HTTP/2 the first with room. @hot
 */
export class HostPool implements PoolConnectionOwner {
  readonly host: Host;
  readonly tls: ClientTls | null;
  readonly key: string;
  readonly #options: PoolOptions;
  readonly #idle: PoolConnection[] = [];
  readonly #multiplexed: PoolConnection[] = [];
  readonly #all = new Set<PoolConnection>();
  readonly #waiting: Waiting[] = [];
  readonly #dials = new Set<() => void>();
  /** Requests that one more connection can be expected to take at once. */
  #expectedRoom: number;
  /** Streams that the host takes at once on an HTTP/2 connection, as it said last. */
  #hostStreams = Infinity;
  #draining = false;

  constructor(options: PoolOptions) {
    this.host = options.host;
    this.tls = options.tls;
    this.key = poolKey(options.host, options.serverName, options.protocol);
    this.#options = options;
    this.#expectedRoom = options.protocol === 'http2' ? this.#http2Room : 1;
  }

  /** Nothing open, nothing under way. */
  get empty(): boolean {
    return this.#all.size === 0 && this.#dials.size === 0 && this.#waiting.length === 0;
  }

  /** Above the limits a host still gets one connection, or nobody would ever take those who wait. */
  get #mayConnect(): boolean {
    const open = this.#all.size + this.#dials.size;
    return open === 0 || (this.#options.limits.canConnect && open < this.#options.cluster.circuitBreakers.perHostMaxConnections);
  }

  newStream(options: NewStreamOptions, callbacks: StreamCallbacks): PendingStream | null {
    const { stats, limits } = this.#options;
    const connection = options.fresh ? this.#roomy() : (this.#idle.pop() ?? this.#roomy());
    if (connection !== undefined) {
      if (limits.canRequest) this.#serve(connection, options, callbacks);
      else {
        if (!connection.multiplexed) this.#idle.push(connection);
        this.#overflow(callbacks);
      }
      return null;
    }
    if (!limits.canPend) {
      this.#overflow(callbacks);
      return null;
    }
    const waiting: Waiting = { callbacks, options, cancelled: false };
    this.#waiting.push(waiting);
    limits.pending++;
    stats.rqPendingTotal.inc();
    stats.rqPendingActive.inc();
    if (this.#enoughDials()) return { cancel: () => this.#cancel(waiting) };
    if (this.#mayConnect) this.#connect();
    else stats.cxOverflow.inc();
    return { cancel: () => this.#cancel(waiting) };
  }

  /** Takes nothing new: idle connections close now, busy ones after their requests. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#all) connection.retire();
  }

  /** Closes what was idle too long or lived too long; counts bytes. */
  tick(nowMs: number): void {
    const { cluster, stats } = this.#options;
    const { idleTimeoutMs, maxConnectionDurationMs } = cluster.http;
    for (const connection of this.#all) {
      this.#countBytes(connection);
      if (!connection.busy && idleTimeoutMs > 0 && nowMs - connection.idleSinceMs > idleTimeoutMs) {
        stats.cxIdleTimeout.inc();
        this.#retire(connection);
      } else if (maxConnectionDurationMs > 0 && nowMs - connection.openedMs > maxConnectionDurationMs) {
        stats.cxMaxDuration.inc();
        this.#retire(connection);
      }
    }
    // Nobody tells when other hosts, or workers, give connections up.
    this.#connectForWaiting();
  }

  destroy(): void {
    this.#draining = true;
    for (const giveUp of this.#dials) giveUp();
    this.#options.limits.connections -= this.#dials.size;
    this.#dials.clear();
    for (const { connection } of this.#all) connection.destroy();
    for (const waiting of this.#waiting.splice(0)) this.#leaveQueue(waiting, 'connect', null);
  }

  onRoom(connection: PoolConnection): void {
    if (!connection.busy) connection.idleSinceMs = this.#options.now();
    while (connection.room > 0) {
      const next = this.#nextWaiting();
      if (next === null) break;
      if (this.#options.limits.canRequest) this.#serve(connection, next.options, next.callbacks);
      else this.#overflow(next.callbacks);
    }
    if (this.#draining) connection.retire();
    else if (!connection.multiplexed && connection.room > 0) this.#idle.push(connection);
    this.#connectForWaiting();
  }

  /** Its next connections get no more before it has said so again. */
  onStreamLimit(streams: number): void {
    this.#hostStreams = Math.max(1, streams);
    this.#expectedRoom = this.#http2Room;
  }

  onGone(connection: PoolConnection): void {
    if (!this.#all.delete(connection)) return;
    this.#countBytes(connection);
    this.#forget(connection);
    const { stats, limits } = this.#options;
    limits.connections--;
    this.host.state.connections--;
    stats.cxActive.dec();
    stats.cxDestroy.inc();
    this.#connectForWaiting();
  }

  /** A circuit breaker says no. */
  #overflow(callbacks: StreamCallbacks): void {
    this.#options.stats.rqPendingOverflow.inc();
    callbacks.onPoolFailure({ kind: 'overflow', transportFailure: null });
  }

  /** Requests that a new HTTP/2 connection takes at once. */
  get #http2Room(): number {
    const { http2, maxRequestsPerConnection: most } = this.#options.cluster.http;
    return Math.min(http2.maxConcurrentStreams, this.#hostStreams, most > 0 ? most : Infinity);
  }

  /** What is being dialled will take all that wait. */
  #enoughDials(): boolean {
    return this.#waiting.length <= this.#dials.size * this.#expectedRoom;
  }

  #roomy(): PoolConnection | undefined {
    const list = this.#multiplexed;
    for (let i = 0; i < list.length; i++) if ((list[i]?.room ?? 0) > 0) return list[i];
    return undefined;
  }

  /** No request is given to it any more. */
  #forget(connection: PoolConnection): void {
    const list = connection.multiplexed ? this.#multiplexed : this.#idle;
    const at = list.lastIndexOf(connection);
    if (at >= 0) list.splice(at, 1);
  }

  #retire(connection: PoolConnection): void {
    this.#forget(connection);
    connection.retire();
  }

  #serve(connection: PoolConnection, options: NewStreamOptions, callbacks: StreamCallbacks): void {
    const { cluster, stats } = this.#options;
    const most = cluster.http.maxRequestsPerConnection;
    const writer = connection.begin(options, callbacks);
    if (most > 0 && connection.requests >= most) {
      stats.cxMaxRequests.inc();
      this.#retire(connection);
    }
    callbacks.onReady(writer, connection.info);
  }

  /** Dials for those whom nothing under way will serve, as far as limits allow. */
  #connectForWaiting(): void {
    while (this.#waiting.length > 0 && !this.#enoughDials() && this.#mayConnect) this.#connect();
  }

  #connect(): void {
    const { stats, limits } = this.#options;
    limits.connections++;
    stats.cxTotal.inc();
    let over = false;
    const giveUp = dialHost(this.#options, {
      onOpen: (connection) => {
        over = true;
        this.#dials.delete(giveUp);
        stats.cxActive.inc();
        this.host.state.connections++;
        this.#opened(connection);
      },
      onFailure: ({ timedOut, transportFailure }) => {
        over = true;
        this.#dials.delete(giveUp);
        limits.connections--;
        stats.cxConnectFail.inc();
        if (timedOut) stats.cxConnectTimeout.inc();
        this.#failWaiting(timedOut ? 'timeout' : 'connect', transportFailure);
        this.#connectForWaiting();
      },
    });
    if (!over) this.#dials.add(giveUp);
  }

  /** Those who waited for the connection that failed; where no other is open also those who would have had to wait on, since the next most likely fails, too. */
  #failWaiting(kind: 'timeout' | 'connect', transportFailure: string | null): void {
    const failed: Waiting[] = [];
    const unserved = this.#all.size > 0 ? 0 : this.#waiting.length - this.#dials.size * this.#expectedRoom;
    const count = Math.min(this.#waiting.length, Math.max(this.#expectedRoom, unserved));
    for (let i = 0; i < count; i++) {
      const next = this.#nextWaiting();
      if (next !== null) failed.push(next);
    }
    for (const { callbacks, cancelled } of failed) {
      if (cancelled) continue;
      this.#options.stats.rqPendingFailureEject.inc();
      callbacks.onPoolFailure({ kind, transportFailure });
    }
  }

  #opened(connection: SocketConnection): void {
    const opened = this.#client(connection);
    if (opened.multiplexed) this.#multiplexed.push(opened);
    this.#all.add(opened);
    connection.resume();
    this.onRoom(opened);
  }

  #client(connection: SocketConnection): PoolConnection {
    const { protocol, stats } = this.#options;
    const http2 = protocol === 'http2' || (protocol === 'auto' && connection.tls?.alpn === 'h2');
    (http2 ? stats.cxHttp2Total : stats.cxHttp1Total).inc();
    // What a host chose once it most likely chooses again.
    if (protocol === 'auto') this.#expectedRoom = http2 ? this.#http2Room : 1;
    const options = { ...this.#options, remoteAddress: this.host.key, streamsAtFirst: this.#hostStreams };
    return http2 ? new Http2PoolConnection(connection, this, options) : new Http1PoolConnection(connection, this, options);
  }

  #nextWaiting(): Waiting | null {
    for (;;) {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return null;
      if (waiting.cancelled) continue;
      this.#uncount();
      return waiting;
    }
  }

  #cancel(waiting: Waiting): void {
    if (waiting.cancelled) return;
    waiting.cancelled = true;
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#options.stats.rqCancelled.inc();
    this.#uncount();
  }

  #leaveQueue(waiting: Waiting, kind: 'connect', transportFailure: string | null): void {
    if (waiting.cancelled) return;
    this.#uncount();
    waiting.callbacks.onPoolFailure({ kind, transportFailure });
  }

  #uncount(): void {
    this.#options.limits.pending--;
    this.#options.stats.rqPendingActive.dec();
  }

  #countBytes(pooled: PoolConnection): void {
    const { stats } = this.#options;
    const { connection } = pooled;
    stats.cxRxBytes.inc(connection.bytesRead - pooled.readBefore);
    stats.cxTxBytes.inc(connection.bytesWritten - pooled.writtenBefore);
    pooled.readBefore = connection.bytesRead;
    pooled.writtenBefore = connection.bytesWritten;
    pooled.count();
  }
}

/** What tells pools of one cluster and priority apart. */
export function poolKey(host: Host, serverName: string, protocol: PoolProtocol): string {
  const key = protocol === 'http1' ? host.key : `${host.key} ${protocol}`;
  return serverName === '' ? key : `${key} ${serverName}`;
}

/** What to ask by ALPN where the TLS context does not say (Envoy's fallback); 'auto' asks in any case. */
const alpnOf = { http2: ['h2'], auto: ['h2', 'http/1.1'] } as const;

/** Whose connection it is; null: many clients share it. */
type Client = Parameters<typeof proxyHeader>[2];

/** Dials a host as its cluster says. */
export function dialHost({ host, cluster, tls, serverName, protocol }: PoolOptions, result: Parameters<typeof dial>[1], client: Client = null): () => void {
  return dial(
    {
      target: host.endpoint.target,
      connectTimeoutMs: cluster.connectTimeoutMs,
      bufferLimit: cluster.perConnectionBufferLimit,
      tls,
      ...(protocol === 'auto' && { alpn: alpnOf.auto }),
      ...(protocol === 'http2' && { alpnFallback: alpnOf.http2 }),
      ...(serverName !== '' && { sni: cluster.http.autoSni ? serverName : '', peerName: cluster.http.autoSanValidation ? serverName : '' }),
      ...(cluster.bindAddress !== null && { localAddress: cluster.bindAddress.address }),
      keepAliveMs: cluster.tcpKeepaliveMs,
      ...(cluster.proxyProtocol !== null && { first: proxyHeader(cluster.proxyProtocol, host.endpoint, client) }),
    },
    result,
  );
}

/** A connection outside the pool, for TCP sessions; while it is open it stands in `open`. */
export function openConnection(options: PoolOptions, callbacks: ConnectionCallbacks, { client, open }: { readonly client: Client; readonly open: Map<ByteConnection, Host> }): PendingStream {
  const { stats, limits } = options;
  if (!limits.canConnect) {
    stats.cxOverflow.inc();
    callbacks.onPoolFailure({ kind: 'overflow', transportFailure: null });
    return { cancel: () => {} };
  }
  limits.connections++;
  stats.cxTotal.inc();
  let counted = true;
  const uncount = () => {
    if (counted) limits.connections--;
    counted = false;
  };
  const cancel = dialHost(options, {
    onOpen: (connection) => {
      stats.cxActive.inc();
      const { state } = options.host;
      state.connections++;
      open.set(connection, options.host);
      connection.socket.once('close', () => {
        open.delete(connection);
        uncount();
        state.connections--;
        stats.cxActive.dec();
        stats.cxDestroy.inc();
        stats.cxRxBytes.inc(connection.bytesRead);
        stats.cxTxBytes.inc(connection.bytesWritten);
      });
      callbacks.onReady(connection);
    },
    onFailure: ({ timedOut, transportFailure }) => {
      uncount();
      stats.cxConnectFail.inc();
      if (timedOut) stats.cxConnectTimeout.inc();
      callbacks.onPoolFailure({ kind: timedOut ? 'timeout' : 'connect', transportFailure });
    },
  }, client);
  return {
    cancel: () => {
      uncount();
      cancel();
    },
  };
}
