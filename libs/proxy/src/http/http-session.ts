import { ResponseFlag, ResponseHead, StreamInfo, type ConnectionInfo, type RequestHead } from '@meltemi/http';
import type { CodecError } from '../codec/http1/errors.ts';
import { Http1ServerConnection, type RequestHandler } from '../codec/http1/server-connection.ts';
import type { ByteConnection } from '../connection.ts';
import type { RequestReceiver } from '../stream.ts';
import { ActiveStream } from './active-stream.ts';
import type { HttpConnectionManager } from './connection-manager.ts';

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
