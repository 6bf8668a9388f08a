import type { ByteConnection } from '../../connection.ts';
import type { ResponseReceiver } from '../../stream.ts';
import { Http2ClientStream } from './client-stream.ts';
import { Http2Connection } from './connection-base.ts';
import { Http2Error, http2ConnectionErrors as errors, http2StreamErrors as streamErrors, type Http2CodecError } from './errors.ts';
import { Setting, maxWindow, preface } from './frames.ts';
import { streamsBeforeSettings, type Http2CodecOptions } from './options.ts';

/** The pool a connection belongs to. */
export interface Http2ClientOwner {
  /** `capacity` grew: a stream ended, or the server takes more. */
  onCapacity(connection: Http2ClientConnection): void;
  /** The server's settings: so many streams it takes at once, Infinity when it names no limit. */
  onStreamLimit?(streams: number): void;
  /** No stream is open. After onCapacity. */
  onIdle(connection: Http2ClientConnection): void;
  /** The server takes no new streams; those it has not processed are being reset as refused. `onGone` follows when the others are over. */
  onGoAway(connection: Http2ClientConnection, lastStreamId: number): void;
  /** The connection is gone. Once, last. `error` is why we ended it, if we did. */
  onGone(connection: Http2ClientConnection, error: Http2CodecError | null): void;
}

/** HTTP/2 towards a host over any ByteConnection. @hot */
export class Http2ClientConnection extends Http2Connection<Http2ClientStream> {
  /** Streams begun. */
  requests = 0;
  /** Finish what runs, take nothing new. */
  retired = false;
  readonly #owner: Http2ClientOwner;
  readonly #maxStreams: number;
  readonly #streamsAtFirst: number;
  /** What the server said. */
  #peerMaxStreams = Infinity;
  #nextId = 1;
  /** Streams given out that have no id yet. */
  readonly #unopened = new Set<Http2ClientStream>();
  #goneAway = false;
  #gone = false;
  #error: Http2CodecError | null = null;
  #lastReadMs = 0;
  /** Id of the newest stream when bytes last came. */
  #newestAtRead = 0;
  #reading = false;
  /** Streams ended during this read: the owner hears of the room after their receivers. */
  #unsettled = false;

  constructor(connection: ByteConnection, owner: Http2ClientOwner, options: Http2CodecOptions) {
    super(connection, options);
    this.#owner = owner;
    this.#maxStreams = options.http2.maxConcurrentStreams;
    this.#streamsAtFirst = Math.min(streamsBeforeSettings, options.streamsAtFirst ?? Infinity);
    this.#lastReadMs = options.now();
    this.writer.text(preface);
    this.begin([Setting.enablePush, 0]);
  }

  /** Streams that may be begun now. */
  get capacity(): number {
    if (this.retired || this.#goneAway || this.closing || this.#nextId >= maxWindow) return 0;
    return Math.max(0, Math.min(this.#maxStreams, this.settingsSeen ? this.#peerMaxStreams : this.#streamsAtFirst) - this.active);
  }

  /** Streams open or given out. */
  get active(): number {
    return this.streams.size + this.#unopened.size;
  }

  get busy(): boolean {
    return this.active > 0;
  }

  /** A stream for a request; only with `capacity`. Its `head` sends it. */
  newStream(receiver: ResponseReceiver, method: string, upgrade = false): Http2ClientStream {
    this.requests++;
    const stream = new Http2ClientStream(this, receiver, method, upgrade);
    this.#unopened.add(stream);
    const idleLimit = this.options.http2.connectionIdleIntervalMs;
    if (idleLimit > 0 && this.options.now() - this.#lastReadMs > idleLimit) this.keepalive?.probe();
    return stream;
  }

  /** Gives a stream its id; closes it when that is not possible any more. Called by the stream. */
  open(stream: Http2ClientStream): void {
    this.#unopened.delete(stream);
    if (this.closing || this.#goneAway || (stream.isUpgrade && this.settingsSeen && !this.settings.peerAllowsConnect)) {
      stream.closed = true;
      const refused = this.closing || this.#goneAway;
      stream.lose({ kind: refused ? 'remote' : 'local', detail: refused ? 'http2.remote_refuse' : 'http2.extended_connect_not_supported', stale: false, refused });
      this.#settle();
      return;
    }
    stream.id = this.#nextId;
    this.#nextId += 2;
    stream.sendWindow = this.settings.peerInitialWindow;
    stream.receiveWindow = this.settings.localInitialWindow;
    this.guard.opened++;
    this.streams.set(stream.id, stream);
  }

  /** The server has spoken since an earlier stream was opened, and not since this one: it most likely closed while idle. */
  isStale(stream: Http2ClientStream): boolean {
    return this.#newestAtRead > 0 && this.#newestAtRead < stream.id;
  }

  /** Stops using the connection: now when idle, after the current requests otherwise. */
  retire(): void {
    this.retired = true;
    this.#settle();
  }

  // ConnectionSink

  override onData(buffer: Buffer, length: number): void {
    this.#lastReadMs = this.options.now();
    this.#newestAtRead = this.#nextId - 2;
    this.#reading = true;
    super.onData(buffer, length);
    this.#reading = false;
    if (!this.#unsettled) return;
    this.#unsettled = false;
    this.#settle();
  }

  onEnd(): void {
    this.connection.destroy();
  }

  protected onGone(): void {
    if (this.#gone) return;
    this.#gone = true;
    for (const stream of this.#unopened) {
      stream.closed = true;
      stream.onConnectionLost(null);
    }
    this.#unopened.clear();
    this.#owner.onGone(this, this.#error);
  }

  // Http2Connection

  protected onHeaders(streamId: number, endStream: boolean): boolean {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) return this.fail(errors.idleStream);
      return this.wasReset(streamId) || this.fail(errors.closedStream);
    }
    if (stream.remoteEnded) this.failStream(stream, streamErrors.streamClosed);
    else if (stream.responseStarted) this.#trailers(stream, endStream);
    else {
      const head = this.block.response();
      if (head === null) this.failStream(stream, this.block.error ?? streamErrors.badStatus);
      else stream.receiveHead(head, endStream, this.block.contentLength);
    }
    return !this.closing;
  }

  #trailers(stream: Http2ClientStream, endStream: boolean): void {
    this.stats.trailers.inc();
    const trailers = endStream ? this.block.trailers() : null;
    if (trailers === null) this.failStream(stream, this.block.error ?? streamErrors.badTrailers);
    else stream.receiveEnd(trailers);
  }

  bodyAllowed(stream: Http2ClientStream): boolean {
    return stream.responseStarted;
  }

  protected isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId >= this.#nextId;
  }

  protected lastPeerStream(): number {
    return 0;
  }

  protected onStreamOver(stream: Http2ClientStream): void {
    this.#unopened.delete(stream);
    if (this.#reading) this.#unsettled = true;
    else this.#settle();
  }

  /** After a stream ended or the connection was retired. */
  #settle(): void {
    if (this.closing) return undefined;
    const idle = this.active === 0;
    if (this.retired || this.#goneAway) return idle ? this.#leave() : undefined;
    if (this.capacity > 0) this.#owner.onCapacity(this);
    if (idle && this.active === 0) this.#owner.onIdle(this);
    return undefined;
  }

  #leave(): void {
    this.goaway(0, Http2Error.none);
    this.close(null);
  }

  protected onPeerLeaving(lastStreamId: number): void {
    this.#goneAway = true;
    this.#owner.onGoAway(this, lastStreamId);
    // A Map may lose entries while it is walked.
    for (const stream of this.streams.values()) {
      if (stream.id <= lastStreamId) continue;
      stream.drop();
      this.remove(stream);
      stream.lose({ kind: 'remote', detail: 'http2.remote_refuse', stale: false, refused: true });
    }
    this.#unsettled = true;
  }

  protected onSettings(): void {
    this.#owner.onStreamLimit?.(this.#peerMaxStreams);
    this.#unsettled = true;
  }

  protected maxConcurrent(value: number): void {
    this.#peerMaxStreams = value;
  }

  protected onPeerDrained(): void {}

  protected onFailure(error: Http2CodecError): void {
    this.#error = error;
  }
}
