import type { Clock } from '@meltemi/base';
import type { HeaderMap, ResponseHead, StreamInfo } from '@meltemi/http';
import type { Host } from '../../../balance/index.ts';
import type { RequestWriter, UpstreamReset } from '../../../stream.ts';
import type { AttemptTrace } from '../../../tracing/stream-trace.ts';
import type { ClusterLimits, NewStreamOptions, PendingStream, PoolFailure, StreamCallbacks, UpstreamCluster, UpstreamConnectionInfo } from '../../../upstream.ts';
import type { AttemptFailure } from './failure-reply.ts';
import { openTcpTunnel } from './tcp-tunnel.ts';

/** Whose attempt it is. After `attemptEnd` or `attemptFailed`, or once it is given up, nothing more is told. */
export interface AttemptOwner {
  attemptReady(attempt: Attempt, writer: RequestWriter): void;
  attemptWritable(attempt: Attempt): void;
  attemptInterim(attempt: Attempt, head: ResponseHead): void;
  attemptHead(attempt: Attempt, head: ResponseHead, endStream: boolean): void;
  attemptData(attempt: Attempt, buffer: Buffer, start: number, end: number): void;
  attemptEnd(attempt: Attempt, trailers: HeaderMap | null): void;
  attemptFailed(attempt: Attempt, failed: AttemptFailure): void;
  attemptTimedOut(attempt: Attempt, timeout: AttemptTimeout): void;
}

/** What ran out: the whole try, the wait for its next byte, or the cluster's max_stream_duration. */
export type AttemptTimeout = 'try' | 'idle' | 'duration';

export interface AttemptParts {
  readonly cluster: UpstreamCluster;
  readonly limits: ClusterLimits;
  readonly clock: Clock;
}

/** One try of a request on one host: what it counts against, its stream and its deadlines. @hot */
export class Attempt implements StreamCallbacks {
  readonly host: Host;
  /** Where the request goes; null before there is a connection and after the stream is over. */
  writer: RequestWriter | null = null;
  connection: UpstreamConnectionInfo | null = null;
  /** No answer yet. */
  awaiting = true;
  /** The next try went out beside this one, which took too long. */
  hedged = false;
  /** Its answer goes to the client. */
  used = false;
  /** Its own span. */
  trace: AttemptTrace | null = null;
  readonly #owner: AttemptOwner;
  readonly #parts: AttemptParts;
  #pending: PendingStream | null = null;
  #counted = false;
  #over = false;
  #activeMs = 0;
  #cancelTry: (() => void) | null = null;
  #cancelIdle: (() => void) | null = null;
  #cancelDuration: (() => void) | null = null;

  constructor(owner: AttemptOwner, host: Host, parts: AttemptParts) {
    this.#owner = owner;
    this.#parts = parts;
    this.host = host;
    const { stats } = parts.cluster;
    host.state.activeRequests++;
    host.state.requests++;
    stats.rqTotal.inc();
    stats.rqActive.inc();
  }

  /** Asks for a stream; `tunnel`: for plain bytes. The owner may hear of it before this returns. */
  begin(options: NewStreamOptions, tunnel: boolean): void {
    const { cluster } = this.#parts;
    const pending = tunnel ? openTcpTunnel(cluster, this.host, this) : cluster.newStream(this.host, options, this);
    if (this.connection === null && !this.#over) this.#pending = pending;
  }

  /** The request is on its way and complete: the try's time begins. 0 = none. */
  startTimers(perTryMs: number, perTryIdleMs: number): void {
    const { clock } = this.#parts;
    if (perTryMs > 0) this.#cancelTry = clock.after(perTryMs, () => this.#timedOut('try'));
    if (perTryIdleMs > 0) this.#watchIdle(perTryIdleMs);
  }

  /** Where the request is, for logs. */
  describe(info: StreamInfo): void {
    const { connection, host } = this;
    info.upstreamHost = host.key;
    info.upstreamHostName = host.endpoint.hostname;
    info.upstreamMetadata = host.metadata;
    if (connection === null) return;
    if (connection.remoteAddress !== '') info.upstreamHost = connection.remoteAddress;
    info.upstreamLocalAddress = connection.localAddress;
    info.upstreamTls = connection.tls;
    info.upstreamConnectionId = connection.id;
    info.upstreamProtocol = connection.protocol;
  }

  /** An answer goes to the client: its time is the request's. */
  stopTryTimer(): void {
    this.#cancelTry?.();
    this.#cancelTry = null;
  }

  /** Ends it, if it is not over yet, without being told about it. */
  abandon(): void {
    if (this.#over) return;
    this.#pending?.cancel();
    const writer = this.writer;
    this.release();
    if (writer === null) return;
    this.#parts.cluster.stats.rqTxReset.inc();
    writer.reset();
  }

  /** Gives back what it counted against. The stream is over. */
  release(): void {
    if (this.#over) return;
    this.#over = true;
    this.writer = null;
    this.#pending = null;
    this.#cancelTry?.();
    this.#cancelIdle?.();
    this.#cancelDuration?.();
    this.host.state.activeRequests--;
    if (this.#counted) this.#parts.limits.requests--;
    this.#parts.cluster.stats.rqActive.dec();
    this.trace?.finish(this.host.key, this.used ? null : 'it brought no answer that was used');
  }

  // StreamCallbacks

  onReady(writer: RequestWriter, connection: UpstreamConnectionInfo): void {
    const { cluster, limits, clock } = this.#parts;
    this.#pending = null;
    this.writer = writer;
    this.connection = connection;
    this.#counted = true;
    limits.requests++;
    const { maxStreamDurationMs } = cluster.config.http;
    if (maxStreamDurationMs > 0) this.#cancelDuration = clock.after(maxStreamDurationMs, () => this.#timedOut('duration'));
    this.#owner.attemptReady(this, writer);
  }

  onPoolFailure(failure: PoolFailure): void {
    this.#pending = null;
    if (!this.#over) this.#owner.attemptFailed(this, { kind: 'pool', failure });
  }

  onWritable(): void {
    if (!this.#over) this.#owner.attemptWritable(this);
  }

  onInterim(head: ResponseHead): void {
    this.#touch();
    if (!this.#over) this.#owner.attemptInterim(this, head);
  }

  onHead(head: ResponseHead, endStream: boolean): void {
    if (this.#over) return;
    this.#touch();
    this.awaiting = false;
    if (endStream) this.writer = null;
    this.#owner.attemptHead(this, head, endStream);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.#over) return;
    this.#touch();
    this.#owner.attemptData(this, buffer, start, end);
  }

  onEnd(trailers: HeaderMap | null): void {
    if (this.#over) return;
    this.writer = null;
    this.#owner.attemptEnd(this, trailers);
  }

  onReset(reset: UpstreamReset): void {
    if (this.#over) return;
    this.writer = null;
    this.#parts.cluster.stats.rqRxReset.inc();
    this.#owner.attemptFailed(this, { kind: 'reset', reset });
  }

  #touch(): void {
    if (this.#cancelIdle !== null) this.#activeMs = this.#parts.clock.monotonic();
  }

  /** Looks again when the time since the last byte would be over. */
  #watchIdle(idleMs: number): void {
    const { clock } = this.#parts;
    this.#activeMs = clock.monotonic();
    const look = (): void => {
      const left = this.#activeMs + idleMs - clock.monotonic();
      if (left <= 0) this.#timedOut('idle');
      else this.#cancelIdle = clock.after(left, look);
    };
    this.#cancelIdle = clock.after(idleMs, look);
  }

  #timedOut(timeout: AttemptTimeout): void {
    if (!this.#over) this.#owner.attemptTimedOut(this, timeout);
  }
}
