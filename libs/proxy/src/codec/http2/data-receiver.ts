import { http2ConnectionErrors as errors, http2StreamErrors as streamErrors, type Http2CodecError } from './errors.ts';
import { initialWindow } from './frames.ts';
import type { FrameWriter } from './frame-writer.ts';
import type { FloodGuard } from './flood-guard.ts';
import type { Http2Stream } from './stream-base.ts';

/** The connection whose DATA frames these are. */
export interface DataOwner<S extends Http2Stream> {
  readonly streams: ReadonlyMap<number, S>;
  readonly writer: FrameWriter;
  readonly closing: boolean;
  /** DATA may come on this stream now. */
  bodyAllowed(stream: S): boolean;
  /** DATA on a stream that is not in the table. False: the connection ends. */
  onStray(streamId: number): boolean;
  failStream(stream: Http2Stream, error: Http2CodecError): void;
  fail(error: Http2CodecError): false;
}

/** Reads DATA frames of all streams and keeps the connection's receive window (RFC 9113 §§5.2, 6.1). @hot */
export class DataReceiver<S extends Http2Stream> {
  readonly #owner: DataOwner<S>;
  readonly #guard: FloodGuard;
  readonly #creditStep: number;
  #window: number = initialWindow;
  #credit = 0;
  /** Of the frame that is being read. */
  #stream: S | null = null;
  #ends = false;
  #length = 0;
  #bytes = 0;

  /** `window`: what the connection's window is to be, in bytes. */
  constructor(owner: DataOwner<S>, guard: FloodGuard, window: number) {
    this.#owner = owner;
    this.#guard = guard;
    this.#creditStep = Math.max(initialWindow, window) >>> 1;
  }

  /** Makes room for more than the protocol begins with. */
  widen(more: number): void {
    this.#window += more;
    this.#owner.writer.windowUpdate(0, more);
  }

  /** Bytes of the connection's window that are free again. */
  credit(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit < this.#creditStep || this.#owner.closing) return;
    this.widen(this.#credit);
    this.#credit = 0;
  }

  begin(streamId: number, endStream: boolean, length: number): boolean {
    const owner = this.#owner;
    this.#window -= length;
    if (this.#window < 0) return owner.fail(errors.window);
    this.#ends = endStream;
    this.#length = length;
    this.#bytes = 0;
    const stream = owner.streams.get(streamId) ?? null;
    this.#stream = stream;
    if (stream === null) return owner.onStray(streamId);
    stream.receiveWindow -= length;
    if (stream.remoteEnded) owner.failStream(stream, streamErrors.streamClosed);
    else if (stream.receiveWindow < 0) owner.failStream(stream, streamErrors.streamWindow);
    else if (!owner.bodyAllowed(stream)) owner.failStream(stream, streamErrors.interimEnd);
    return !owner.closing;
  }

  part(buffer: Buffer, start: number, end: number): boolean {
    this.#bytes += end - start;
    const stream = this.#stream;
    if (stream === null || stream.closed) this.credit(end - start);
    else stream.receive(buffer, start, end);
    return !this.#owner.closing;
  }

  end(): boolean {
    const stream = this.#stream;
    this.#stream = null;
    const flood = this.#guard.payload(this.#bytes === 0 && !this.#ends);
    if (flood !== null) return this.#owner.fail(flood);
    const padding = this.#length - this.#bytes;
    if (stream === null || stream.closed) this.credit(padding);
    else {
      if (padding > 0) stream.consumed(padding);
      if (this.#ends) stream.receiveEnd(null);
    }
    return !this.#owner.closing;
  }
}
