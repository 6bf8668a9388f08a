import type { RequestHead } from '@meltemi/http';
import type { ByteConnection } from '../../connection.ts';
import type { RequestReceiver } from '../../stream.ts';
import { Http2Connection } from './connection-base.ts';
import { Http2Error, http2ConnectionErrors as errors, http2StreamErrors as streamErrors, type Http2CodecError } from './errors.ts';
import { prematureResetMs } from './flood-guard.ts';
import { Setting, maxWindow, preface } from './frames.ts';
import { countHttp2Error } from './http2-stats.ts';
import type { Http2CodecOptions } from './options.ts';
import { Http2ServerStream } from './server-stream.ts';

/** Who serves the requests of a connection. */
export interface Http2RequestHandler {
  /** A request begins. Answer on the stream, now or later. */
  onRequest(connection: Http2ServerConnection, stream: Http2ServerStream, head: RequestHead, endStream: boolean): RequestReceiver | null;
  /** Bytes that are no request; the codec has ended the stream or the connection (`connection.closing`) already. */
  onCodecError(connection: Http2ServerConnection, error: Http2CodecError): void;
  /** Once, last. */
  onConnectionClose(connection: Http2ServerConnection, cause: Error | null): void;
}

/**
 * HTTP/2 towards a client over any ByteConnection. An extended CONNECT arrives as the HTTP/1 upgrade it stands for (GET with `upgrade`), and a 101
 * goes out as 200, so that nothing above needs to know. @hot
 */
export class Http2ServerConnection extends Http2Connection<Http2ServerStream> {
  /** Requests begun. */
  requests = 0;
  readonly #handler: Http2RequestHandler;
  readonly #maxStreams: number;
  readonly #allowConnect: boolean;
  #prefaceAt = 0;
  #lastStream = 0;
  /** 0: none, 1: asked to leave, 2: told the last stream. */
  #draining = 0;
  #cancelDrain: (() => void) | null = null;
  /** Complete responses that waited at the last look: what was left of them, and since when it is that much. */
  #stalled: Map<Http2ServerStream, { readonly left: number; readonly sinceMs: number }> | null = null;

  constructor(connection: ByteConnection, handler: Http2RequestHandler, options: Http2CodecOptions) {
    super(connection, options);
    this.#handler = handler;
    this.#maxStreams = options.http2.maxConcurrentStreams;
    this.#allowConnect = options.http2.allowConnect;
    const pairs: number[] = [Setting.maxConcurrentStreams, this.#maxStreams];
    if (this.#allowConnect) pairs.push(Setting.enableConnectProtocol, 1);
    this.begin(pairs);
  }

  /** A request is being read or answered. */
  get active(): boolean {
    return this.streams.size > 0;
  }

  /** The preface or the head of a request is arriving but not complete. */
  get readingHead(): boolean {
    return this.#prefaceAt < preface.length || this.blockOpen;
  }

  get draining(): boolean {
    return this.#draining > 0;
  }

  /**
   * Asks the client to leave (RFC 9113 §6.8): a GOAWAY that refuses nothing, a round trip later one that names the last stream, then, after
   * the last response, the close. No request under way is lost.
   */
  drain(): void {
    if (this.#draining > 0 || this.closing) return;
    this.#draining = 1;
    this.goaway(maxWindow, Http2Error.none);
    this.pingDrain();
    this.#cancelDrain = this.options.after(this.options.drainNoticeMs ?? 1000, () => this.onPeerDrained());
  }

  /**
   * Ends responses that are complete here and that the client has taken nothing of for `limitMs`: nobody waits for them any more. Called now and
   * then with the worker's coarse time.
   */
  dropStalled(nowMs: number, limitMs: number): void {
    const before = this.#stalled;
    this.#stalled = null;
    if (this.pendingBytes === 0) return;
    for (const stream of this.streams.values()) {
      const left = stream.unflushed;
      if (left === 0) continue;
      const known = before?.get(stream);
      const stall = known?.left === left ? known : { left, sinceMs: nowMs };
      if (nowMs - stall.sinceMs <= limitMs) (this.#stalled ??= new Map()).set(stream, stall);
      else {
        this.stats.txFlushTimeout.inc();
        stream.reset();
      }
    }
  }

  /** The same as `drain`: unlike HTTP/1, telling an idle client takes nothing from it. */
  closeAfterNext(): void {
    this.drain();
  }

  /** Tells the client at once which stream was the last: it may ask elsewhere for those after it (RFC 9113 §6.8). */
  leave(): void {
    if (this.#draining === 0) this.#draining = 1;
    this.onPeerDrained();
  }

  // ConnectionSink

  override onData(buffer: Buffer, length: number): void {
    let at = 0;
    if (!this.closing) while (this.#prefaceAt < preface.length && at < length) if (buffer[at++] !== preface.charCodeAt(this.#prefaceAt++)) return void this.fail(errors.preface);
    if (at < length) this.read(buffer, at, length);
    return undefined;
  }

  onEnd(): void {
    // As in Envoy, a client that stops sending has gone away.
    this.connection.destroy();
  }

  protected onGone(cause: Error | null): void {
    this.#cancelDrain?.();
    this.#handler.onConnectionClose(this, cause);
  }

  // Http2Connection

  protected onHeaders(streamId: number, endStream: boolean): boolean {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) return this.#trailers(stream, endStream);
    if ((streamId & 1) === 0) return this.fail(errors.streamId);
    if (streamId <= this.#lastStream) return this.wasReset(streamId) || this.fail(errors.closedStream);
    // What comes after the second GOAWAY will not be served; the client knows and asks elsewhere.
    if (this.#draining === 2) return true;
    this.#lastStream = streamId;
    this.guard.opened++;
    this.requests++;
    if (this.streams.size >= this.#maxStreams) return this.#refuse(streamId, streamErrors.refused);
    const head = this.block.request();
    const error = head === null ? this.block.error : this.#connectError(head);
    if (head === null || error !== null) return this.#refuse(streamId, error ?? streamErrors.badPseudo);
    return this.#open(streamId, head, endStream);
  }

  #open(streamId: number, head: RequestHead, endStream: boolean): boolean {
    const { block } = this;
    const upgrade = block.protocol;
    if (upgrade !== null) {
      head.method = 'GET';
      head.headers.add('upgrade', upgrade);
      head.upgrade = upgrade.toLowerCase();
      // A tunnel has no length: a host that speaks HTTP/1 would take what comes for a body, or for the next request.
      if (block.contentLength >= 0) head.headers.remove('content-length');
      block.contentLength = -1;
    } else if (head.method === 'CONNECT') head.upgrade = 'connect';
    const stream = new Http2ServerStream(this, streamId, { head, openedMs: this.options.now(), expectContinue: block.expectContinue, isUpgrade: upgrade !== null });
    stream.expectedBytes = block.contentLength;
    stream.remoteEnded = endStream;
    this.streams.set(streamId, stream);
    if (endStream && block.contentLength > 0) {
      this.failStream(stream, streamErrors.badContentLength);
      return !this.closing;
    }
    const receiver = this.#handler.onRequest(this, stream, head, endStream);
    if (!stream.closed) stream.receiver = receiver;
    return !this.closing;
  }

  #connectError(head: RequestHead): Http2CodecError | null {
    if (head.method !== 'CONNECT') return null;
    if (this.#allowConnect) return null;
    return this.block.protocol === null ? streamErrors.connectRefused : streamErrors.badPseudo;
  }

  #trailers(stream: Http2ServerStream, endStream: boolean): boolean {
    this.stats.trailers.inc();
    if (stream.remoteEnded) this.failStream(stream, streamErrors.streamClosed);
    else {
      const trailers = endStream ? this.block.trailers() : null;
      if (trailers === null) this.failStream(stream, this.block.error ?? streamErrors.badTrailers);
      else stream.receiveEnd(trailers);
    }
    return !this.closing;
  }

  /** Ends a stream that never became a request. */
  #refuse(streamId: number, error: Http2CodecError): boolean {
    if (this.endsConnection(error)) return this.fail(error);
    countHttp2Error(this.stats, error);
    this.resetStream(streamId, error.code);
    const flood = this.guard.requestOver(error !== streamErrors.refused);
    this.#handler.onCodecError(this, error);
    return flood === null || this.fail(flood);
  }

  /** A stream was ended for what the client did on it. */
  streamFailed(stream: Http2ServerStream, error: Http2CodecError): void {
    if (stream.receiver === null) this.#handler.onCodecError(this, error);
    else stream.lose(error);
  }

  bodyAllowed(): boolean {
    return true;
  }

  protected isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId > this.#lastStream;
  }

  protected lastPeerStream(): number {
    return this.#lastStream;
  }

  protected onStreamOver(stream: Http2ServerStream): void {
    if (this.closing) return;
    const premature = !stream.responseStarted && this.options.now() - stream.openedMs < prematureResetMs;
    const flood = this.guard.requestOver(premature);
    if (flood !== null) this.fail(flood);
    else if (this.#draining === 2 && this.streams.size === 0) this.close(null);
  }

  protected onPeerDrained(): void {
    if (this.#draining !== 1 || this.closing) return;
    this.#draining = 2;
    this.#cancelDrain?.();
    this.#cancelDrain = null;
    this.goaway(this.#lastStream, Http2Error.none);
    if (this.streams.size === 0) this.close(null);
  }

  protected onPeerLeaving(): void {
    // The client opens no more streams; it closes when it has its answers.
  }

  protected onSettings(): void {}

  protected maxConcurrent(): void {
    // About streams that we would open: none, push is not used.
  }

  protected onFailure(error: Http2CodecError): void {
    this.#cancelDrain?.();
    this.#handler.onCodecError(this, error);
  }
}
