import type { HeaderMap } from '@meltemi/http';
import { http2StreamErrors as errors, type Http2CodecError } from './errors.ts';
import { maxFrameBytes } from './frames.ts';
import type { Http2Connection } from './connection-base.ts';

/** Most streams never keep a byte: they share this and none writes to it. */
const noBuffers: Buffer[] = [];

/** What both kinds of receivers have. */
interface BodyReceiver {
  onData(buffer: Buffer, start: number, end: number): void;
  onEnd(trailers: HeaderMap | null): void;
  onWritable(): void;
}

/** One stream: windows and bodies in both directions. What differs between the sides is in the subclasses. @hot */
export abstract class Http2Stream {
  id = 0;
  readonly connection: Http2Connection;
  /** Bytes the peer lets us send. */
  sendWindow: number;
  /** Bytes we let the peer send. */
  receiveWindow: number;
  localEnded = false;
  remoteEnded = false;
  /** Not in the connection's table any more. */
  closed = false;
  /** Waits for window or room: in the connection's queue. */
  queued = false;
  /** Body bytes announced and not checked yet; -1 = any. */
  expectedBytes = -1;
  #receivedBytes = 0;
  #credit = 0;
  #pending = noBuffers;
  #pendingAt = 0;
  #endAsked = false;
  #trailers: HeaderMap | null = null;
  #wantsWritable = false;
  #paused = false;
  #held = noBuffers;
  #heldEnd = false;
  #heldTrailers: HeaderMap | null = null;

  constructor(connection: Http2Connection) {
    this.connection = connection;
    this.sendWindow = connection.settings.peerInitialWindow;
    this.receiveWindow = connection.settings.localInitialWindow;
  }

  protected abstract bodyReceiver(): BodyReceiver | null;
  /** END_STREAM was written. */
  protected abstract onLocalEnd(): void;
  /** The peer sent END_STREAM; the receiver is told by `bodyReceiver`. */
  protected abstract onRemoteEnd(): void;
  /** We end the stream for what the peer did; RST_STREAM is written already. */
  abstract onFailed(error: Http2CodecError): void;
  /** The peer reset the stream. */
  abstract onPeerReset(code: number): void;
  /** The connection is gone; `error` is why we ended it, null when the peer or the network did. */
  abstract onConnectionLost(error: Http2CodecError | null): void;

  // Sending

  data(buffer: Buffer, start: number, end: number): boolean {
    if (this.localEnded || this.closed || this.#endAsked || end === start) return true;
    const sent = this.#pending.length > 0 ? 0 : this.#send(buffer, start, end);
    if (start + sent < end) this.#keep(buffer.subarray(start + sent, end));
    else if (this.connection.writer.hasRoom) return true;
    this.#wantsWritable = true;
    this.connection.enqueue(this);
    return false;
  }

  end(trailers: HeaderMap | null): void {
    if (this.localEnded || this.closed || this.#endAsked) return;
    this.#endAsked = true;
    this.#trailers = trailers;
    if (this.#pending.length === 0) this.#sendEnd();
  }

  /** Bytes that wait although everything was said; 0 while more may come. */
  get unflushed(): number {
    return this.#endAsked ? this.#pending.reduce((sum, part) => sum + part.length, -this.#pendingAt) : 0;
  }

  #keep(part: Buffer): void {
    this.#pending = kept(this.#pending, part);
    this.connection.pendingBytes += part.length;
  }

  /** Sends what waits as far as windows and room allow; false when something is left. */
  pump(): boolean {
    while (this.#pending.length > 0) {
      const first = this.#pending[0] as Buffer;
      const sent = this.#send(first, this.#pendingAt, first.length);
      this.#pendingAt += sent;
      this.connection.pendingBytes -= sent;
      if (this.#pendingAt < first.length) return false;
      this.#pending.shift();
      this.#pendingAt = 0;
    }
    if (this.#endAsked) this.#sendEnd();
    return this.connection.writer.hasRoom;
  }

  /** After everything went out: asks for more. */
  writable(): void {
    if (!this.#wantsWritable || this.closed) return;
    this.#wantsWritable = false;
    if (!this.#endAsked) this.bodyReceiver()?.onWritable();
  }

  /** Bytes sent: as many as both windows and the transport take. */
  #send(buffer: Buffer, start: number, end: number): number {
    const { connection } = this;
    const { writer } = connection;
    let at = start;
    while (at < end && writer.hasRoom) {
      const size = Math.min(end - at, this.sendWindow, connection.sendWindow, maxFrameBytes);
      if (size <= 0) break;
      this.sendWindow -= size;
      connection.sendWindow -= size;
      writer.data(this.id, false, buffer, at, at + size);
      at += size;
    }
    return at - start;
  }

  #sendEnd(): void {
    this.localEnded = true;
    if (this.#trailers === null || this.#trailers.size === 0) this.connection.writer.endStream(this.id);
    else this.connection.writeFields(this.id, true, this.#trailers);
    this.onLocalEnd();
  }

  // Receiving

  /** Body bytes; the windows are checked already. */
  receive(buffer: Buffer, start: number, end: number): void {
    this.#receivedBytes += end - start;
    if (this.expectedBytes >= 0 && this.#receivedBytes > this.expectedBytes) {
      this.connection.credit(end - start);
      return this.connection.failStream(this, errors.badContentLength);
    }
    if (this.#paused) {
      this.#held = kept(this.#held, buffer.subarray(start, end));
      return undefined;
    }
    this.bodyReceiver()?.onData(buffer, start, end);
    this.consumed(end - start);
    return undefined;
  }

  receiveEnd(trailers: HeaderMap | null): void {
    this.remoteEnded = true;
    if (this.expectedBytes >= 0 && this.#receivedBytes !== this.expectedBytes) return this.connection.failStream(this, errors.badContentLength);
    if (this.#paused && this.#held.length > 0) {
      this.#heldEnd = true;
      this.#heldTrailers = trailers;
      return this.onRemoteEnd();
    }
    const receiver = this.bodyReceiver();
    this.onRemoteEnd();
    receiver?.onEnd(trailers);
    return undefined;
  }

  /** Bytes that need no more room here: the peer may send as many again. */
  consumed(bytes: number): void {
    this.connection.credit(bytes);
    if (this.remoteEnded || this.closed) return;
    this.#credit += bytes;
    if (this.#credit < this.connection.streamCreditStep) return;
    this.receiveWindow += this.#credit;
    this.connection.writer.windowUpdate(this.id, this.#credit);
    this.#credit = 0;
  }

  protected pause(): void {
    this.#paused = true;
  }

  protected resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    while (this.#held.length > 0 && !this.#paused) {
      const part = this.#held.shift() as Buffer;
      this.bodyReceiver()?.onData(part, 0, part.length);
      this.consumed(part.length);
    }
    if (!this.#heldEnd || this.#paused) return;
    this.#heldEnd = false;
    const trailers = this.#heldTrailers;
    this.#heldTrailers = null;
    this.heldEndDelivered()?.onEnd(trailers);
  }

  /** The receiver of an end that was held back; nothing follows it. */
  protected abstract heldEndDelivered(): BodyReceiver | null;

  /** There is an end still to be told. */
  protected get endHeld(): boolean {
    return this.#heldEnd;
  }

  /** Lets go of everything kept; what was received counts as consumed for the connection. */
  drop(): void {
    for (let i = 0; i < this.#pending.length; i++) this.connection.pendingBytes -= this.#pending[i]?.length ?? 0;
    this.connection.pendingBytes += this.#pendingAt;
    this.#pendingAt = 0;
    this.#pending = noBuffers;
    this.#trailers = null;
    this.#wantsWritable = false;
    const held = this.#held;
    this.#held = noBuffers;
    this.#heldEnd = false;
    for (let i = 0; i < held.length; i++) this.connection.credit(held[i]?.length ?? 0);
  }
}

/** Adds a copy of `part` to what is kept. */
function kept(buffers: Buffer[], part: Buffer): Buffer[] {
  const copy = Buffer.from(part);
  if (buffers === noBuffers) return [copy];
  buffers.push(copy);
  return buffers;
}
