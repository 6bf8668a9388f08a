import { Flag, FrameType, frameHeadBytes, maxFrameBytes } from './frames.ts';
import { http2ConnectionErrors as errors, type Http2CodecError } from './errors.ts';

/** What the reader tells; calls that return false stop it for good. */
export interface FrameSink {
  /** A whole frame other than DATA: its payload is `buffer[start, end)`. */
  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean;
  /** A DATA frame begins. `length` counts its padding. False: the connection is over. */
  onDataBegin(streamId: number, flags: number, length: number): boolean;
  onDataPart(buffer: Buffer, start: number, end: number): boolean;
  onDataEnd(): boolean;
  onFrameError(error: Http2CodecError): void;
}

/**
 * Cuts bytes into frames. DATA passes through in whatever parts it arrives, other frames are collected when they come in pieces. Reads from
 * a buffer on loan and keeps a copy of incomplete frames only: at most one frame. @hot
 */
export class FrameReader {
  readonly #sink: FrameSink;
  /** An incomplete frame other than DATA, head included. */
  #partial: Buffer | null = null;
  #partialSize = 0;
  /** Payload of the current DATA frame still to come, padding not counted; -1 outside of DATA. */
  #dataLeft = -1;
  #paddingLeft = 0;
  /** The next byte is the length of the padding. */
  #padLength = false;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Nothing more is told. */
  stop(): void {
    this.#stopped = true;
    this.#partial = null;
  }

  execute(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && !this.#stopped) {
      if (this.#dataLeft >= 0) at = this.#data(buffer, at, end);
      else if (this.#partial !== null) at = this.#complete(buffer, at, end);
      else if (end - at < frameHeadBytes) at = this.#keep(buffer, at, end);
      else at = this.#frame(buffer, at, end);
    }
  }

  #frame(buffer: Buffer, at: number, end: number): number {
    const length = ((buffer[at] ?? 0) << 16) | ((buffer[at + 1] ?? 0) << 8) | (buffer[at + 2] ?? 0);
    const type = buffer[at + 3] ?? 0;
    if (length > maxFrameBytes) return this.#fail(errors.frameSize, end);
    const payload = at + frameHeadBytes;
    if (type !== FrameType.data) {
      if (payload + length > end) return this.#keep(buffer, at, end);
      if (!this.#sink.onFrame(type, buffer[at + 4] ?? 0, streamIdAt(buffer, at + 5), buffer, payload, payload + length)) this.stop();
      return payload + length;
    }
    const flags = buffer[at + 4] ?? 0;
    this.#padLength = (flags & Flag.padded) !== 0;
    if (this.#padLength && length === 0) return this.#fail(errors.frameSize, end);
    this.#paddingLeft = 0;
    this.#dataLeft = length;
    if (!this.#sink.onDataBegin(streamIdAt(buffer, at + 5), flags, length)) this.stop();
    else if (length === 0) this.#dataEnd();
    return payload;
  }

  #data(buffer: Buffer, start: number, end: number): number {
    let at = start;
    if (this.#padLength) {
      this.#padLength = false;
      this.#paddingLeft = buffer[at++] ?? 0;
      this.#dataLeft -= 1 + this.#paddingLeft;
      if (this.#dataLeft < 0) return this.#fail(errors.padding, end);
    }
    const part = Math.min(this.#dataLeft, end - at);
    if (part > 0) {
      this.#dataLeft -= part;
      if (!this.#sink.onDataPart(buffer, at, at + part)) this.stop();
      at += part;
    }
    if (this.#dataLeft > 0 || this.#stopped) return at;
    const padding = Math.min(this.#paddingLeft, end - at);
    this.#paddingLeft -= padding;
    if (this.#paddingLeft === 0) this.#dataEnd();
    return at + padding;
  }

  #dataEnd(): void {
    this.#dataLeft = -1;
    if (!this.#sink.onDataEnd()) this.stop();
  }

  #keep(buffer: Buffer, at: number, end: number): number {
    const partial = (this.#partial = Buffer.allocUnsafe(end - at < frameHeadBytes ? frameHeadBytes : frameHeadBytes + lengthAt(buffer, at)));
    buffer.copy(partial, 0, at, end);
    this.#partialSize = end - at;
    return end;
  }

  /** Adds to the incomplete frame: first its head, which says how long it is. */
  #complete(buffer: Buffer, at: number, end: number): number {
    let partial = this.#partial;
    if (partial === null) return at;
    const taken = Math.min(partial.length - this.#partialSize, end - at);
    buffer.copy(partial, this.#partialSize, at, at + taken);
    this.#partialSize += taken;
    if (this.#partialSize < partial.length) return at + taken;
    const length = lengthAt(partial, 0);
    if (partial.length === frameHeadBytes && length > 0 && length <= maxFrameBytes && partial[3] !== FrameType.data) {
      const whole = Buffer.allocUnsafe(frameHeadBytes + length);
      partial.copy(whole);
      partial = whole;
      this.#partial = whole;
      return at + taken;
    }
    this.#partial = null;
    this.#frame(partial, 0, partial.length);
    return at + taken;
  }

  #fail(error: Http2CodecError, end: number): number {
    this.stop();
    this.#sink.onFrameError(error);
    return end;
  }
}

function lengthAt(buffer: Buffer, at: number): number {
  return ((buffer[at] ?? 0) << 16) | ((buffer[at + 1] ?? 0) << 8) | (buffer[at + 2] ?? 0);
}

function streamIdAt(buffer: Buffer, at: number): number {
  return (((buffer[at] ?? 0) & 0x7f) << 24) | ((buffer[at + 1] ?? 0) << 16) | ((buffer[at + 2] ?? 0) << 8) | (buffer[at + 3] ?? 0);
}
