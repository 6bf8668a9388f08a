import { ResponseFlag, ResponseHead, StreamInfo, statusText, type ConnectionInfo, type RequestHead } from '@meltemi/http';
import type { CodecError } from '../codec/http1/errors.ts';
import { Http1ServerConnection, type RequestHandler } from '../codec/http1/server-connection.ts';
import { Http2ServerConnection, type Http2RequestHandler } from '../codec/http2/server-connection.ts';
import type { Http2ServerStream } from '../codec/http2/server-stream.ts';
import type { ByteConnection } from '../connection.ts';
import type { RequestReceiver, ResponseWriter } from '../stream.ts';
import { ActiveStream } from './active-stream.ts';
import type { HttpConnectionManager } from './connection-manager.ts';
import { buildLocalReply, type BuiltReply } from './local-reply.ts';
import { setServerAndDate } from './prepare-response.ts';
import { PrefaceSniffer, type ServerCodec } from './server-codec.ts';

/** A head that no timeout of the config is for. Deviation: Envoy waits for the rest of it for ever, which costs a client a connection and us as well. */
const longestHeadMs = 60_000;

/** One downstream connection under a connection manager: its codec, and the streams that run on it. */
export class HttpSession implements RequestHandler {
  /** Of the requests that begin now; those under way keep the one they began with. */
  manager: HttpConnectionManager;
  readonly info: ConnectionInfo;
  readonly connection: ByteConnection;
  readonly openedMs: number;
  /** Null until the first bytes say which version of HTTP it is. */
  codec: ServerCodec | null = null;
  /** HTTP/1 runs one stream at a time, HTTP/2 has the others in `#more`. */
  #stream: ActiveStream | null = null;
  #more: Set<ActiveStream> | null = null;
  #sniffer: PrefaceSniffer | null = null;
  #lastActiveMs: number;
  #readBefore = 0;
  #writtenBefore = 0;
  #leaving = false;
  /** The request whose head was arriving at the last look, by its number on the connection; -1 when none was. */
  #arriving = -1;

  constructor(manager: HttpConnectionManager, connection: ByteConnection, info: ConnectionInfo) {
    this.manager = manager;
    this.info = info;
    this.connection = connection;
    this.openedMs = manager.deps.clock.monotonic();
    this.#lastActiveMs = this.openedMs;
    const version = versionOf(manager.config.codecType, connection.tls?.alpn ?? '');
    if (version === 'unknown') this.#sniffer = new PrefaceSniffer(connection, (http2) => this.#begin(http2), () => this.onConnectionClose());
    else this.#begin(version === 'http2');
  }

  /** Streams under way. */
  get active(): number {
    return (this.#stream === null ? 0 : 1) + (this.#more?.size ?? 0);
  }

  /** Asks the client to leave: with the next response, or, when `now`, at once when idle. */
  drain(now: boolean): void {
    this.#countDrain();
    // A client that said nothing yet is closed in order, as HTTP/1 does it.
    if (now && this.codec === null) this.#begin(false);
    if (now) this.codec?.drain();
    else this.codec?.closeAfterNext();
  }

  /** No request begins here any more: nothing in force would take this connection. */
  leave(): void {
    this.#countDrain();
    if (this.codec === null) this.#begin(false);
    this.codec?.leave();
  }

  /** Requests from now on are served as `next` says. What only a new connection can have, the codec's settings, makes this one leave. */
  moveTo(next: HttpConnectionManager): void {
    const before = this.manager;
    this.tickBytes();
    before.sessions.delete(this);
    before.stats.cxActive.dec();
    if (this.#stream?.servedBy(before) === true) before.leftBehind++;
    if (this.#more !== null) for (const stream of this.#more) if (stream.servedBy(before)) before.leftBehind++;
    this.manager = next;
    next.sessions.add(this);
    next.stats.cxActive.inc();
    if (this.codec !== null && before.codecSettings !== next.codecSettings) this.drain(false);
  }

  /** Called now and then with the worker's coarse time: enforces the idle and header timeouts. */
  tick(nowMs: number): void {
    const { config, deps, stats } = this.manager;
    this.#look(nowMs);
    if (this.codec instanceof Http2ServerConnection) this.#lookAtStreams(this.codec, nowMs);
    if (config.maxConnectionDurationMs > 0 && nowMs - this.openedMs > config.maxConnectionDurationMs) return this.drain(true);
    if (this.active > 0) {
      this.#stream?.tick(nowMs);
      if (this.#more !== null) for (const stream of this.#more) stream.tick(nowMs);
      return undefined;
    }
    const idle = nowMs - this.#lastActiveMs;
    if (this.#readingHead) {
      if (idle > (config.requestHeadersTimeoutMs || config.requestTimeoutMs || longestHeadMs)) {
        stats.rqHeaderTimeout.inc();
        this.connection.destroy();
      }
    } else if (config.idleTimeoutMs > 0 && idle > (deps.overload?.timeout('connection-idle', config.idleTimeoutMs) ?? config.idleTimeoutMs)) {
      stats.cxIdleTimeout.inc();
      if (this.codec === null) this.#begin(false);
      this.codec?.drain();
    }
    return undefined;
  }

  /** A stream is over. */
  ended(stream: ActiveStream): void {
    // A pipelined request may have begun already.
    if (this.#stream === stream) this.#stream = null;
    else this.#more?.delete(stream);
  }

  #countDrain(): void {
    if (!this.#leaving) this.manager.stats.cxDrainClose.inc();
    this.#leaving = true;
  }

  #lookAtStreams(codec: Http2ServerConnection, nowMs: number): void {
    const limit = this.manager.config.streamIdleTimeoutMs;
    codec.count();
    if (limit > 0) codec.dropStalled(nowMs, limit);
  }

  get #readingHead(): boolean {
    return this.codec === null ? (this.#sniffer?.undecided ?? false) : this.codec.readingHead;
  }

  /** Counts bytes; a head has its whole time from when it began, however long the connection was idle before, and no more for coming in drops. */
  #look(nowMs: number): void {
    if (!this.tickBytes()) return;
    const arriving = this.#readingHead ? (this.codec?.requests ?? 0) : -1;
    if (arriving < 0 || arriving !== this.#arriving) this.#lastActiveMs = nowMs;
    this.#arriving = arriving;
  }

  #begin(http2: boolean): void {
    const { stats } = this.manager;
    this.#sniffer = null;
    (http2 ? stats.cxHttp2Total : stats.cxHttp1Total).inc();
    if (http2) this.#more = new Set();
    this.codec = http2 ? this.#http2() : this.#http1();
    if (this.#leaving) this.codec.closeAfterNext();
  }

  #http1(): ServerCodec {
    const { config, deps } = this.manager;
    return new Http1ServerConnection(this.connection, this, {
      limits: { maxHeadBytes: config.maxRequestHeadersBytes, maxFields: config.maxHeadersCount },
      scheme: this.connection.tls === null ? 'http' : 'https',
      ...config.http1,
      lingerMs: config.delayedCloseTimeoutMs || 1000,
      after: (delayMs, task) => deps.clock.after(delayMs, task),
    });
  }

  #http2(): ServerCodec {
    const { config, deps } = this.manager;
    const handler: Http2RequestHandler = {
      onRequest: (codec, stream, head, endStream) => this.onStream(codec, stream, head, endStream),
      onCodecError: (codec, error) => this.onCodecError(codec, error),
      onConnectionClose: () => this.onConnectionClose(),
    };
    return new Http2ServerConnection(this.connection, handler, {
      http2: config.http2,
      limits: { maxHeadBytes: config.maxRequestHeadersBytes, maxFields: config.maxHeadersCount },
      lingerMs: config.delayedCloseTimeoutMs || 1000,
      random: deps.random,
      stats: this.manager.http2Stats,
      now: () => deps.clock.monotonic(),
      after: (delayMs, task) => deps.clock.after(delayMs, task),
    });
  }

  onRequest(codec: Http1ServerConnection, head: RequestHead, endStream: boolean): RequestReceiver {
    this.#limitRequests(codec);
    if (codec.parser.expectContinue && !this.manager.config.proxy100Continue) {
      head.headers.remove('expect');
      codec.interim(continueHead);
    }
    const stream = new ActiveStream(this, codec, head, endStream);
    this.#stream = stream;
    stream.start();
    return stream;
  }

  /** A stream of HTTP/2 begins. */
  onStream(codec: ServerCodec, writer: Http2ServerStream, head: RequestHead, endStream: boolean): RequestReceiver {
    this.#limitRequests(codec);
    if (writer.expectContinue && !this.manager.config.proxy100Continue) {
      head.headers.remove('expect');
      writer.interim(continueHead);
    }
    const stream = new ActiveStream(this, writer, head, endStream);
    this.#more?.add(stream);
    stream.start();
    return stream;
  }

  /** A stream that stands in for one that has just ended without an answer. */
  begin(writer: ResponseWriter, head: RequestHead, endStream: boolean): ActiveStream {
    const { stats } = this.manager;
    stats.rqTotal.inc();
    stats.rqActive.inc();
    const stream = new ActiveStream(this, writer, head, endStream);
    if (this.#more === null) this.#stream = stream;
    else this.#more.add(stream);
    return stream;
  }

  #limitRequests(codec: ServerCodec): void {
    const { manager } = this;
    manager.stats.rqTotal.inc();
    manager.stats.rqActive.inc();
    const limit = manager.config.maxRequestsPerConnection;
    if (limit > 0 && codec.requests >= limit) codec.drain();
  }

  onCodecError(_codec: ServerCodec, error: CodecError): void {
    const { manager } = this;
    manager.stats.cxProtocolError.inc();
    if (manager.deps.onComplete === null || this.active > 0) return;
    const info = new StreamInfo(this.info, manager.deps.clock.now(), manager.deps.clock.monotonic());
    info.responseCode = error.status;
    info.responseCodeDetails = error.details;
    info.responseFlags = ResponseFlag.DPE;
    info.endMonoMs = info.startMonoMs;
    manager.deps.onComplete(manager.config, info);
  }

  /** The answer to bytes that are no HTTP/1. */
  refusal(error: CodecError): BuiltReply {
    const { config, deps } = this.manager;
    const info = new StreamInfo(this.info, deps.clock.now(), deps.clock.monotonic());
    info.responseFlags = ResponseFlag.DPE;
    info.responseCodeDetails = error.details;
    const built = buildLocalReply(config, info, { status: error.status, body: statusText(error.status), details: error.details }, deps.random.next());
    built.head.headers.set('content-length', String(built.body.length));
    setServerAndDate(config, deps.httpDate(), built.head.headers);
    return built;
  }

  onConnectionClose(): void {
    const { stats } = this.manager;
    this.tickBytes();
    if (!this.manager.sessions.delete(this)) return;
    stats.cxActive.dec();
    stats.cxDestroy.inc();
  }

  /** Says whether any byte went either way since the last time. */
  tickBytes(): boolean {
    const { bytesRead, bytesWritten } = this.connection;
    if (bytesRead === this.#readBefore && bytesWritten === this.#writtenBefore) return false;
    const { stats } = this.manager;
    stats.cxRxBytes.inc(bytesRead - this.#readBefore);
    stats.cxTxBytes.inc(bytesWritten - this.#writtenBefore);
    this.#readBefore = bytesRead;
    this.#writtenBefore = bytesWritten;
    return true;
  }
}

/** As in Envoy: what the codec type says, else ALPN, else the first bytes. */
function versionOf(codecType: 'auto' | 'http1' | 'http2', alpn: string): 'http1' | 'http2' | 'unknown' {
  if (codecType !== 'auto') return codecType;
  if (alpn === 'h2') return 'http2';
  return alpn === 'http/1.1' ? 'http1' : 'unknown';
}

const continueHead = new ResponseHead(100);
