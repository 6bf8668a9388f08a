import { ResponseFlag, type StreamInfo } from '@meltemi/http';
import type { Random } from '@meltemi/base';
import { requestHash } from '@meltemi/route';
import type { TcpProxyConfig, WeightedTarget } from '@meltemi/snapshot';
import type { ByteConnection, ConnectionSink } from '../../../connection.ts';
import type { ConnectionControls, NetworkStreamFilter } from '../../../filter.ts';
import type { Host, PickContext } from '../../../balance/index.ts';
import { FilterGate } from '../filter-gate.ts';
import { openHttpTunnel } from './http-tunnel.ts';
import { tcpClusterKey, tcpDynamicHostKey } from './tcp-cluster.ts';
import { originalDestination, type Clusters, type ConnectionCallbacks, type PendingStream, type PoolFailure, type UpstreamCluster } from '../../../upstream.ts';

export interface TcpSessionOptions {
  readonly config: TcpProxyConfig;
  readonly info: StreamInfo;
  readonly clusters: Clusters;
  readonly random: Random;
  readonly filters: readonly NetworkStreamFilter[];
  /** Bytes of the client kept while the upstream is being connected. */
  readonly bufferLimit: number;
  monotonic(): number;
  onDone(session: TcpSession): void;
  /** An access log entry before the end: connected, or the interval is over. */
  onProgress?(): void;
}

/** One TCP session: bytes both ways, each side's end passed on, a slow reader pausing the other side. */
export class TcpSession implements ConnectionSink, ConnectionControls {
  readonly connection: ByteConnection;
  readonly info: StreamInfo;
  lastActiveMs: number;
  readonly startedMs: number;
  readonly #options: TcpSessionOptions;
  readonly #gate: FilterGate;
  #upstream: ByteConnection | null = null;
  #pending: PendingStream | null = null;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #endSeen = false;
  #attempts = 0;
  #host: Host | null = null;
  #done = false;
  #read: () => void = () => {};
  #bytes = 0;
  #loggedMs: number;

  constructor(connection: ByteConnection, options: TcpSessionOptions) {
    this.connection = connection;
    this.info = options.info;
    this.#options = options;
    this.#gate = new FilterGate(options.filters, () => this.#begin());
    this.startedMs = options.monotonic();
    this.lastActiveMs = this.startedMs;
    this.#loggedMs = this.startedMs;
    connection.sink = this;
  }

  /** Asks the filters, then picks a cluster and a host and dials it. `read` begins the delivery of what the client sends. */
  start(read: () => void): void {
    this.#read = read;
    this.#gate.start(this);
  }

  continueReading(): void {
    this.#gate.continue(this);
  }

  close(details: string, flags = 0): void {
    this.info.responseFlags |= flags;
    this.destroy(details);
    this.#finish();
  }

  #begin(): void {
    this.#route();
    if (!this.#done) this.#read();
  }

  /** The cluster that an earlier filter chose. */
  #chosen(): WeightedTarget | null {
    const name = this.info.filterState?.get(tcpClusterKey);
    return typeof name === 'string' ? { cluster: name, upTo: 1, metadataMatch: this.#options.config.clusters[0]?.metadataMatch ?? null } : null;
  }

  #route(): void {
    const target = this.#chosen() ?? pickTarget(this.#options.config, this.#options.random);
    const cluster = target === null ? null : this.#options.clusters.get(target.cluster);
    this.info.upstreamCluster = target?.cluster ?? null;
    if (target === null || cluster === null) return this.#refuse(ResponseFlag.NC, 'cluster_not_found');
    this.info.upstreamClusterAlt = cluster.config.altStatName;
    return cluster.dynamicHosts === null ? this.#connect(cluster, target) : this.#lookUp(cluster, target);
  }

  /** The name that an earlier filter found is looked up first. */
  #lookUp(cluster: UpstreamCluster, target: WeightedTarget): void {
    const found = cluster.dynamicHosts?.lookUp(this.#dynamicHost, (outcome) => {
      this.#pending = null;
      if (outcome === 'ready') this.#connect(cluster, target);
      else this.#refuse(ResponseFlag.DF, 'dns_resolution_failure');
    });
    if (found === 'ready') return this.#connect(cluster, target);
    if (found === 'failed') return this.#refuse(ResponseFlag.DF, 'dns_resolution_failure');
    if (found === 'full' || found === 'busy') return this.#refuse(ResponseFlag.UO, 'dns_cache_overflow');
    this.#pending = found ?? null;
    return undefined;
  }

  get #dynamicHost(): string {
    const named = this.info.filterState?.get(tcpDynamicHostKey);
    return typeof named === 'string' ? named : '';
  }

  /** Ends the session now. */
  destroy(details: string): void {
    this.info.connectionTerminationDetails ??= details;
    this.connection.destroy();
  }

  /** Enforces the idle and duration limits. */
  tick(nowMs: number): void {
    const { config } = this.#options;
    const bytes = this.connection.bytesRead + this.connection.bytesWritten;
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.lastActiveMs = nowMs;
    }
    if (config.accessLogFlushIntervalMs > 0 && nowMs - this.#loggedMs >= config.accessLogFlushIntervalMs) {
      this.#loggedMs = nowMs;
      this.#options.onProgress?.();
    }
    if (config.idleTimeoutMs > 0 && nowMs - this.lastActiveMs > config.idleTimeoutMs) this.destroy('tcp_session_idle_timeout');
    else if (config.maxDownstreamConnectionDurationMs > 0 && nowMs - this.startedMs > config.maxDownstreamConnectionDurationMs) {
      this.info.responseFlags |= ResponseFlag.DT;
      this.destroy('max_duration_timeout');
    }
  }

  // Downstream

  onData(buffer: Buffer, length: number): void {
    this.info.bytesReceived += length;
    for (const filter of this.#options.filters) {
      filter.onRead(this, length);
      if (this.#done) return;
    }
    if (this.#upstream !== null) {
      if (!this.#upstream.write(buffer, 0, length)) this.connection.pause();
      return;
    }
    this.#early.push(Buffer.from(buffer.subarray(0, length)));
    this.#earlyBytes += length;
    if (this.#earlyBytes >= this.#options.bufferLimit) this.connection.pause();
  }

  onEnd(): void {
    this.#endSeen = true;
    this.#upstream?.end();
  }

  onDrain(): void {
    this.#upstream?.resume();
  }

  onClose(cause: Error | null): void {
    if (this.#upstream === null && !this.#done && this.info.connectionTerminationDetails === null) this.info.responseFlags |= ResponseFlag.DC;
    // What the client sent last may still be on its way: close in order when it ended in order.
    if (cause === null && this.#endSeen) this.#upstream?.end();
    else this.#upstream?.destroy();
    this.#finish();
  }

  // Upstream

  #connect(cluster: UpstreamCluster, target: WeightedTarget): void {
    const { random, config } = this.#options;
    const context: PickContext = {
      metadataMatch: target.metadataMatch, previousHosts: null, triedPriorities: null, maxAttempts: 1, random, field: (name) => (name === ':authority' ? this.#dynamicHost || null : null),
      hash: (into) => requestHash(config.hashPolicy, { head: null, clientAddress: this.info.downstreamRemoteAddress, newCookie: () => '' }, into),
    };
    const host = cluster.pick(context, originalDestination(this.info.connection));
    if (host === null) return this.#refuse(ResponseFlag.UH, 'no_healthy_upstream');
    this.#attempts++;
    this.#host = host;
    host.state.activeRequests++;
    host.state.requests++;
    this.info.upstreamHost = host.key;
    this.info.upstreamHostName = host.endpoint.hostname;
    this.info.upstreamMetadata = host.metadata;
    const callbacks: ConnectionCallbacks = {
      onReady: (connection) => {
        cluster.report(host, 200);
        this.#opened(connection);
      },
      onPoolFailure: (failure) => {
        this.#releaseHost();
        cluster.report(host, failure.kind === 'overflow' ? -1 : 0);
        if (failure.kind !== 'overflow' && this.#attempts < Math.max(1, config.maxConnectAttempts)) this.#connect(cluster, target);
        else this.#failed(failure);
      },
    };
    const { tunneling } = config;
    const pending = tunneling === null ? cluster.newConnection(host, callbacks, this.info.connection) : openHttpTunnel(cluster, host, { config: tunneling, info: this.info }, callbacks);
    if (this.#upstream === null && !this.#done) this.#pending = pending;
    return undefined;
  }

  #opened(upstream: ByteConnection): void {
    this.#pending = null;
    if (this.#done) return upstream.destroy();
    this.#upstream = upstream;
    this.info.upstreamLocalAddress = upstream.localAddress;
    this.info.upstreamTls = upstream.tls;
    this.info.upstreamConnectionId = upstream.id;
    upstream.sink = {
      onData: (buffer, length) => {
        this.info.bytesSent += length;
        for (const filter of this.#options.filters) filter.onWrite(this, length);
        if (!this.connection.write(buffer, 0, length)) upstream.pause();
      },
      onEnd: () => this.connection.end(),
      onDrain: () => this.connection.resume(),
      onClose: (cause) => {
        if (cause === null) this.connection.end();
        else this.connection.destroy();
      },
    };
    for (const filter of this.#options.filters) filter.onUpstream(this);
    if (this.#options.config.flushAccessLogOnConnected) this.#options.onProgress?.();
    for (const part of this.#early) upstream.write(part, 0, part.length);
    this.#early = [];
    if (this.#endSeen) upstream.end();
    upstream.resume();
    this.connection.resume();
    return undefined;
  }

  #failed(failure: PoolFailure): void {
    if (failure.transportFailure !== null) this.info.upstreamTransportFailureReason = failure.transportFailure;
    this.#refuse(failure.kind === 'overflow' ? ResponseFlag.UO : ResponseFlag.UF | ResponseFlag.URX, failure.kind === 'overflow' ? 'upstream_overflow' : 'upstream_connection_failure');
  }

  #refuse(flag: number, details: string): void {
    this.info.responseFlags |= flag;
    this.info.responseCodeDetails = details;
    this.connection.destroy();
    this.#finish();
  }

  #releaseHost(): void {
    if (this.#host !== null) this.#host.state.activeRequests--;
    this.#host = null;
  }

  #finish(): void {
    if (this.#done) return;
    this.#done = true;
    this.#gate.end();
    this.#pending?.cancel();
    this.#early = [];
    this.#releaseHost();
    this.info.endMonoMs = this.#options.monotonic();
    for (const filter of this.#options.filters) filter.onClose(this);
    this.#options.onDone(this);
  }
}

function pickTarget(config: TcpProxyConfig, random: Random): WeightedTarget | null {
  if (config.clusters.length <= 1) return config.clusters[0] ?? null;
  const at = random.next() * config.totalWeight;
  return config.clusters.find(({ upTo }) => at < upTo) ?? config.clusters.at(-1) ?? null;
}
