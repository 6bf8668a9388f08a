import type { HeaderMap } from '@meltemi/http';
import type { ByteConnection, ConnectionSink } from '../../connection.ts';
import { ConnectionSettings } from './connection-settings.ts';
import { DataReceiver, type DataOwner } from './data-receiver.ts';
import { Http2Error, http2ConnectionErrors as errors, http2StreamErrors as streamErrors, type Http2CodecError } from './errors.ts';
import { FloodGuard } from './flood-guard.ts';
import { FrameHandler, type FrameEvents } from './frame-handler.ts';
import { FrameReader } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { Setting, initialWindow, maxWindow } from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import { countHttp2Error, unreadHttp2Stats, type Http2Stats } from './http2-stats.ts';
import { Keepalive } from './keepalive.ts';
import type { Http2CodecOptions } from './options.ts';
import { RecentResets } from './recent-resets.ts';
import { SendQueue } from './send-queue.ts';
import type { Http2Stream } from './stream-base.ts';

const pingKeepalive = 1;
const pingDrain = 2;
/** What is read and dropped of a peer that sends on after the end; the rest of a flood stays in the kernel's buffers, which hold the sender back. */
const lateBytes = 64 * 1024;

/** What both sides of an HTTP/2 connection do: settings, windows, floods, the ways to end (RFC 9113 §§3–6). @hot */
export abstract class Http2Connection<S extends Http2Stream = Http2Stream> implements ConnectionSink, FrameEvents, DataOwner<S> {
  readonly connection: ByteConnection;
  readonly writer: FrameWriter;
  readonly streams = new Map<number, S>();
  readonly settings: ConnectionSettings;
  /** Bytes the peer lets us send on the connection. */
  sendWindow = initialWindow;
  /** Consumed bytes of a stream that are worth a WINDOW_UPDATE. */
  readonly streamCreditStep: number;
  /** No frame is read or written any more. */
  closing = false;
  /** Body bytes of all streams that wait for window or room. */
  pendingBytes = 0;
  protected readonly stats: Http2Stats;
  protected readonly options: Http2CodecOptions;
  protected readonly guard: FloodGuard;
  protected readonly block: HeaderBlock;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #encoder: HpackEncoder;
  readonly #handler: FrameHandler;
  readonly #resets = new RecentResets();
  readonly #queue: SendQueue<S>;
  readonly #data: DataReceiver<S>;
  protected readonly keepalive: Keepalive | null;
  #cancelLinger: (() => void) | null = null;
  #late = 0;
  #streamsTold = 0;
  #pendingTold = 0;
  readonly #pingPayload = Buffer.alloc(8);

  constructor(connection: ByteConnection, options: Http2CodecOptions) {
    this.connection = connection;
    this.options = options;
    this.stats = options.stats ?? unreadHttp2Stats;
    this.writer = new FrameWriter(connection);
    this.#queue = new SendQueue(this.writer);
    this.guard = new FloodGuard(options.http2, this.writer);
    this.block = new HeaderBlock(options.limits);
    this.#handler = new FrameHandler(this, this.guard, options.limits.maxHeadBytes);
    this.#reader = new FrameReader(this.#handler);
    this.#decoder = new HpackDecoder(options.http2.hpackTableSize);
    this.#encoder = new HpackEncoder(options.http2.hpackTableSize);
    this.streamCreditStep = Math.max(1, options.http2.initialStreamWindow >>> 1);
    this.#data = new DataReceiver(this, this.guard, options.http2.initialConnectionWindow);
    this.keepalive = options.http2.keepaliveTimeoutMs > 0 ? new Keepalive(options, { ping: () => this.#ping(pingKeepalive), lost: () => this.#pingLost() }) : null;
    this.settings = new ConnectionSettings({ streams: this.streams, maxConcurrent: (value) => this.maxConcurrent(value), unacknowledged: () => this.fail(errors.settingsTimeout) }, options, this.#encoder);
    connection.sink = this;
  }

  /** A request or response head, or trailers. */
  protected abstract onHeaders(streamId: number, endStream: boolean): boolean;
  /** True for ids on which no frame but what opens a stream may come. */
  protected abstract isIdle(streamId: number): boolean;
  /** The peer sent GOAWAY. */
  protected abstract onPeerLeaving(lastStreamId: number): void;
  protected abstract onSettings(): void;
  protected abstract onPeerDrained(): void;
  /** A stream left the table. */
  protected abstract onStreamOver(stream: S): void;
  protected abstract onFailure(error: Http2CodecError): void;
  protected abstract lastPeerStream(): number;
  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  protected abstract maxConcurrent(value: number): void;

  /** SETTINGS and the connection's window; the client's preface goes before. */
  protected begin(pairs: number[]): void {
    const { http2, limits } = this.options;
    pairs.push(Setting.initialWindowSize, http2.initialStreamWindow, Setting.maxHeaderListSize, limits.maxHeadBytes);
    if (http2.hpackTableSize !== 4096) pairs.push(Setting.headerTableSize, http2.hpackTableSize);
    this.writer.settings(pairs);
    const more = http2.initialConnectionWindow - initialWindow;
    if (more > 0) this.#data.widen(more);
  }

  // ConnectionSink

  onData(buffer: Buffer, length: number): void {
    this.read(buffer, 0, length);
  }

  protected read(buffer: Buffer, start: number, end: number): void {
    if (!this.closing) this.#reader.execute(buffer, start, end);
    else if ((this.#late += end - start) > lateBytes) this.connection.pause();
  }

  /** A field block is arriving but not complete. */
  protected get blockOpen(): boolean {
    return this.#handler.blockOpen;
  }

  /** The peer has said what it takes. */
  protected get settingsSeen(): boolean {
    return this.#handler.settingsSeen;
  }

  abstract onEnd(): void;

  onFlush(): void {
    this.writer.flush();
  }

  onDrain(): void {
    this.writer.hasRoom = true;
    this.#queue.pump();
  }

  onClose(cause: Error | null): void {
    this.#stop();
    this.#cancelLinger?.();
    this.#loseStreams(null);
    this.onGone(cause);
  }

  protected abstract onGone(cause: Error | null): void;

  // Sending

  /** Writes a field block that has been begun on `encoder`. */
  writeFields(streamId: number, endStream: boolean, fields: HeaderMap): void {
    this.#encoder.begin();
    this.finishFields(streamId, endStream, fields);
  }

  /** The encoder of a block that pseudo fields begin; `finishFields` ends it. */
  beginFields(): HpackEncoder {
    this.#encoder.begin();
    return this.#encoder;
  }

  finishFields(streamId: number, endStream: boolean, fields: HeaderMap): void {
    const encoder = this.#encoder;
    const flat = fields.flat;
    for (let i = 0; i < flat.length; i += 2) encoder.field(flat[i] ?? '', flat[i + 1] ?? '');
    this.writer.headers(streamId, endStream, encoder.buffer, encoder.at);
  }

  /** Waits for window or room. */
  enqueue(stream: Http2Stream): void {
    this.#queue.add(stream as S);
  }

  // Receiving

  /** Bytes of the connection's window that are free again. */
  credit(bytes: number): void {
    this.#data.credit(bytes);
  }

  onDataBegin(streamId: number, endStream: boolean, length: number): boolean {
    return this.#data.begin(streamId, endStream, length);
  }

  onDataPart(buffer: Buffer, start: number, end: number): boolean {
    return this.#data.part(buffer, start, end);
  }

  onDataEnd(): boolean {
    return this.#data.end();
  }

  /** DATA on a stream that is not in the table. */
  onStray(streamId: number): boolean {
    if (this.isIdle(streamId)) return this.fail(errors.idleStream);
    if (!this.#resets.has(streamId)) this.resetStream(streamId, Http2Error.streamClosed);
    return this.#checkOutbound();
  }

  /** DATA may come on this stream now. */
  abstract bodyAllowed(stream: S): boolean;

  onBlock(streamId: number, endStream: boolean, buffer: Buffer, start: number, end: number): boolean {
    this.block.begin();
    if (!this.#decoder.decode(buffer, start, end, this.block)) return this.fail(errors.compression);
    return this.onHeaders(streamId, endStream) && this.#checkOutbound();
  }

  onReset(streamId: number, code: number): boolean {
    this.stats.rxReset.inc();
    const stream = this.streams.get(streamId);
    if (stream === undefined) return this.isIdle(streamId) ? this.fail(errors.idleStream) : true;
    stream.drop();
    this.remove(stream);
    stream.onPeerReset(code);
    return !this.closing;
  }

  onWindow(streamId: number, more: number): boolean {
    if (streamId === 0) {
      if (more === 0) return this.fail(errors.windowZero);
      this.sendWindow += more;
      if (this.sendWindow > maxWindow) return this.fail(errors.windowOverflow);
      this.#queue.pump();
      return !this.closing;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) return this.isIdle(streamId) ? this.fail(errors.idleStream) : true;
    stream.sendWindow += more;
    if (more === 0) this.failStream(stream, streamErrors.windowZero);
    else if (stream.sendWindow > maxWindow) this.failStream(stream, streamErrors.windowOverflow);
    else if (stream.queued && this.writer.hasRoom) this.#queue.pumpStream(stream);
    return !this.closing;
  }

  onSettingsEnd(): boolean {
    this.writer.settings(null);
    this.onSettings();
    this.#queue.pump();
    return this.#checkOutbound();
  }

  onSetting(id: number, value: number): Http2CodecError | null {
    return this.settings.take(id, value);
  }

  onSettingsAck(): boolean {
    this.settings.acknowledged();
    return true;
  }

  onPing(ack: boolean, buffer: Buffer, start: number): boolean {
    if (!ack) {
      this.writer.ping(true, buffer, start);
      return this.#checkOutbound();
    }
    if (buffer[start] === pingKeepalive) this.keepalive?.answered();
    else if (buffer[start] === pingDrain) this.onPeerDrained();
    return !this.closing;
  }

  #checkOutbound(): boolean {
    return this.closing ? false : this.#unless(this.guard.outbound());
  }

  #unless(flood: Http2CodecError | null): boolean {
    return flood === null ? true : this.fail(flood);
  }

  onGoaway(lastStreamId: number): boolean {
    this.onPeerLeaving(lastStreamId);
    return !this.closing;
  }

  // Ends

  #ping(kind: number): void {
    if (this.closing) return;
    this.#pingPayload[0] = kind;
    this.writer.ping(false, this.#pingPayload, 0);
  }

  /** Asks for an answer that comes after everything the peer sent before it knew of our GOAWAY. */
  protected pingDrain(): void {
    this.#ping(pingDrain);
  }

  #pingLost(): void {
    this.fail(errors.pingTimeout);
    this.connection.destroy();
  }

  /** Takes a stream out of the table. */
  remove(stream: Http2Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    this.streams.delete(stream.id);
    if (stream.queued) this.#queue.remove(stream as S);
    this.onStreamOver(stream as S);
  }

  /** RST_STREAM; frames of that stream that are on their way are ignored. */
  resetStream(streamId: number, code: number): void {
    if (this.closing) return;
    this.stats.txReset.inc();
    this.writer.resetStream(streamId, code);
    this.#resets.add(streamId);
  }

  /** True for a stream we reset not long ago. */
  protected wasReset(streamId: number): boolean {
    return this.#resets.has(streamId);
  }

  /** As in Envoy a malformed message ends the connection, unless options say that its stream is enough. */
  protected endsConnection(error: Http2CodecError): boolean {
    return error.malformed && !this.options.http2.streamErrorOnMalformed;
  }

  /** Ends a stream, or the connection, for what the peer did on it. */
  failStream(stream: Http2Stream, error: Http2CodecError): void {
    if (stream.closed) return;
    if (this.endsConnection(error)) return void this.fail(error);
    countHttp2Error(this.stats, error);
    this.resetStream(stream.id, error.code);
    stream.drop();
    this.remove(stream);
    stream.onFailed(error);
    return undefined;
  }

  protected goaway(lastStreamId: number, code: number): void {
    this.stats.goawaySent.inc();
    this.writer.goaway(lastStreamId, code);
  }

  /** Brings the gauges up to date: called now and then, so that streams pay nothing for them. */
  count(): void {
    this.stats.streamsActive.add(this.streams.size - this.#streamsTold);
    this.stats.pendingSendBytes.add(this.pendingBytes - this.#pendingTold);
    this.#streamsTold = this.streams.size;
    this.#pendingTold = this.pendingBytes;
  }

  /** Ends the connection for what the peer did on it. Always false, for the reader. */
  fail(error: Http2CodecError): false {
    if (this.closing) return false;
    countHttp2Error(this.stats, error);
    this.goaway(this.lastPeerStream(), error.code);
    this.close(error);
    this.onFailure(error);
    return false;
  }

  /** Sends what is collected and half-closes; then reads and drops for a while, so that a reset does not swallow our last bytes. */
  protected close(error: Http2CodecError | null): void {
    if (this.closing) return;
    this.writer.flush();
    this.#stop();
    this.#loseStreams(error);
    this.connection.end();
    this.#cancelLinger = this.options.after(this.options.lingerMs, () => this.connection.destroy());
  }

  #stop(): void {
    this.closing = true;
    this.#reader.stop();
    this.keepalive?.stop();
    this.settings.stop();
    this.#queue.clear();
    this.#handler.drop();
  }

  #loseStreams(error: Http2CodecError | null): void {
    const lost = [...this.streams.values()];
    this.streams.clear();
    for (const stream of lost) {
      stream.closed = true;
      stream.queued = false;
      stream.drop();
      this.onStreamOver(stream);
      stream.onConnectionLost(error);
    }
    if (this.#streamsTold !== 0 || this.#pendingTold !== 0) this.count();
  }
}
