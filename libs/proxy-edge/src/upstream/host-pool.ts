import { Http1ClientConnection, type ByteConnection, type ClientConnectionOwner, type ClusterLimits, type ClusterStats, type ConnectionCallbacks, type Host, type NewStreamOptions, type PendingStream, type StreamCallbacks, type UpstreamConnectionInfo } from '@meltemi/proxy';
import type { Cluster } from '@meltemi/snapshot';
import { dial } from '../transport/dial.ts';
import type { ClientTls } from '../transport/tls-client.ts';

/** What a pool shares with its cluster. */
export interface PoolOptions {
  readonly host: Host;
  readonly cluster: Cluster;
  readonly tls: ClientTls | null;
  /** The TLS name its connections are for, where the cluster takes it from requests; else "". */
  readonly serverName: string;
  readonly stats: ClusterStats;
  readonly limits: ClusterLimits;
  /** Coarse monotonic milliseconds. */
  now(): number;
}

interface Waiting {
  readonly callbacks: StreamCallbacks;
  readonly options: NewStreamOptions;
  cancelled: boolean;
}

interface Pooled {
  readonly client: Http1ClientConnection;
  readonly info: UpstreamConnectionInfo;
  readBefore: number;
  writtenBefore: number;
}

/** HTTP/1.1 connections to one host under one TLS identity and priority. The youngest idle one serves next, so that surplus ones age out. @hot */
export class HostPool implements ClientConnectionOwner {
  readonly host: Host;
  readonly tls: ClientTls | null;
  readonly key: string;
  readonly #options: PoolOptions;
  readonly #idle: Http1ClientConnection[] = [];
  readonly #all = new Map<Http1ClientConnection, Pooled>();
  readonly #waiting: Waiting[] = [];
  readonly #dials = new Set<() => void>();
  #draining = false;

  constructor(options: PoolOptions) {
    this.host = options.host;
    this.tls = options.tls;
    this.key = poolKey(options.host, options.serverName);
    this.#options = options;
  }

  /** Nothing open, nothing under way. */
  get empty(): boolean {
    return this.#all.size === 0 && this.#dials.size === 0 && this.#waiting.length === 0;
  }

  get #mayConnect(): boolean {
    return this.#options.limits.canConnect && this.#all.size + this.#dials.size < this.#options.cluster.circuitBreakers.perHostMaxConnections;
  }

  newStream(options: NewStreamOptions, callbacks: StreamCallbacks): PendingStream | null {
    if (!options.fresh) {
      const idle = this.#idle.pop();
      if (idle !== undefined) {
        this.#serve(idle, options, callbacks);
        return null;
      }
    }
    const { stats, limits } = this.#options;
    if (!limits.canPend) {
      stats.rqPendingOverflow.inc();
      callbacks.onPoolFailure({ kind: 'overflow', transportFailure: null });
      return null;
    }
    const waiting: Waiting = { callbacks, options, cancelled: false };
    this.#waiting.push(waiting);
    limits.pending++;
    stats.rqPendingTotal.inc();
    stats.rqPendingActive.inc();
    // Above the limit a host still gets its first connection, or it could never be used.
    if (this.#mayConnect || this.#all.size + this.#dials.size === 0) this.#connect();
    else stats.cxOverflow.inc();
    return { cancel: () => this.#cancel(waiting) };
  }

  /** Takes nothing new: idle connections close now, busy ones after their request. */
  drain(): void {
    this.#draining = true;
    for (const client of this.#all.keys()) client.retire();
  }

  /** Closes what was idle too long or lived too long; counts bytes. */
  tick(nowMs: number): void {
    const { http } = this.#options.cluster;
    for (const [client, pooled] of this.#all) {
      this.#countBytes(pooled);
      if (!client.busy && http.idleTimeoutMs > 0 && nowMs - client.idleSinceMs > http.idleTimeoutMs) client.retire();
    }
  }

  destroy(): void {
    this.#draining = true;
    for (const giveUp of this.#dials) giveUp();
    this.#options.limits.connections -= this.#dials.size;
    this.#dials.clear();
    for (const client of this.#all.keys()) client.connection.destroy();
    for (const waiting of this.#waiting.splice(0)) this.#leaveQueue(waiting, 'connect', null);
  }

  onIdle(client: Http1ClientConnection): void {
    client.idleSinceMs = this.#options.now();
    const next = this.#nextWaiting();
    if (next !== null) {
      client.retired = this.#draining;
      this.#serve(client, next.options, next.callbacks);
    } else if (this.#draining) client.retire();
    else this.#idle.push(client);
  }

  onGone(client: Http1ClientConnection): void {
    const pooled = this.#all.get(client);
    if (pooled === undefined) return;
    this.#countBytes(pooled);
    this.#all.delete(client);
    const at = this.#idle.lastIndexOf(client);
    if (at >= 0) this.#idle.splice(at, 1);
    const { stats, limits } = this.#options;
    limits.connections--;
    this.host.state.connections--;
    stats.cxActive.dec();
    stats.cxDestroy.inc();
    if (this.#waiting.length > this.#dials.size && this.#mayConnect) this.#connect();
  }

  #serve(client: Http1ClientConnection, options: NewStreamOptions, callbacks: StreamCallbacks): void {
    const most = this.#options.cluster.http.maxRequestsPerConnection;
    client.begin(callbacks, options.method, options.upgrade);
    if (most > 0 && client.requests >= most) client.retired = true;
    if (options.upgrade) client.retired = true;
    const pooled = this.#all.get(client);
    if (pooled !== undefined) callbacks.onReady(client, pooled.info);
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
        const next = this.#nextWaiting();
        if (next !== null) next.callbacks.onPoolFailure({ kind: timedOut ? 'timeout' : 'connect', transportFailure });
        if (this.#waiting.length > this.#dials.size && this.#mayConnect) this.#connect();
      },
    });
    if (!over) this.#dials.add(giveUp);
  }

  #opened(connection: ByteConnection): void {
    const client = new Http1ClientConnection(connection, this, { maxHeadBytes: 60 * 1024, maxFields: this.#options.cluster.http.maxHeadersCount }, this.#options.cluster.http.http1.properCase);
    const info = { id: connection.id, localAddress: connection.localAddress, remoteAddress: this.host.key, tls: connection.tls };
    this.#all.set(client, { client, info, readBefore: 0, writtenBefore: 0 });
    connection.resume();
    this.onIdle(client);
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
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    waiting.cancelled = true;
    this.#waiting.splice(at, 1);
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

  #countBytes(pooled: Pooled): void {
    const { stats } = this.#options;
    const { connection } = pooled.client;
    stats.cxRxBytes.inc(connection.bytesRead - pooled.readBefore);
    stats.cxTxBytes.inc(connection.bytesWritten - pooled.writtenBefore);
    pooled.readBefore = connection.bytesRead;
    pooled.writtenBefore = connection.bytesWritten;
  }
}

/** What tells pools of one cluster and priority apart. */
export function poolKey(host: Host, serverName: string): string {
  return serverName === '' ? host.key : `${host.key} ${serverName}`;
}

/** Dials a host as its cluster says. */
export function dialHost({ host, cluster, tls, serverName }: PoolOptions, result: Parameters<typeof dial>[1]): () => void {
  return dial(
    {
      target: host.endpoint.target,
      connectTimeoutMs: cluster.connectTimeoutMs,
      bufferLimit: cluster.perConnectionBufferLimit,
      tls,
      ...(serverName !== '' && { sni: cluster.http.autoSni ? serverName : '', peerName: cluster.http.autoSanValidation ? serverName : '' }),
      ...(cluster.bindAddress !== null && { localAddress: cluster.bindAddress.address }),
      keepAliveMs: cluster.tcpKeepaliveMs,
    },
    result,
  );
}

/** A connection outside the pool, for TCP sessions. */
export function openConnection(options: PoolOptions, callbacks: ConnectionCallbacks): PendingStream {
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
      connection.socket.once('close', () => {
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
  });
  return {
    cancel: () => {
      uncount();
      cancel();
    },
  };
}
