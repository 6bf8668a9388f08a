import { http2ConnectionErrors as errors, type Http2CodecError } from './errors.ts';
import type { FloodGuard } from './flood-guard.ts';
import type { FrameSink } from './frame-reader.ts';
import { Flag, FrameType, maxFrameBytes, maxWindow } from './frames.ts';

/** What frames mean to a connection, their form checked. Calls that return false say that the connection is over. */
export interface FrameEvents {
  /** A whole field block: `buffer[start, end)`. */
  onBlock(streamId: number, endStream: boolean, buffer: Buffer, start: number, end: number): boolean;
  onReset(streamId: number, code: number): boolean;
  onWindow(streamId: number, more: number): boolean;
  onSetting(id: number, value: number): Http2CodecError | null;
  /** The frame of those settings is over. */
  onSettingsEnd(): boolean;
  onSettingsAck(): boolean;
  /** Its payload is the eight bytes from `start` on. */
  onPing(ack: boolean, buffer: Buffer, start: number): boolean;
  onGoaway(lastStreamId: number, code: number): boolean;
  onDataBegin(streamId: number, endStream: boolean, length: number): boolean;
  onDataPart(buffer: Buffer, start: number, end: number): boolean;
  onDataEnd(): boolean;
  fail(error: Http2CodecError): false;
}

/** Checks the form of frames (RFC 9113 §6) and joins field blocks. @hot */
export class FrameHandler implements FrameSink {
  /** The peer has said what it takes: its first frame. */
  settingsSeen = false;
  readonly #events: FrameEvents;
  readonly #guard: FloodGuard;
  readonly #maxBlockBytes: number;
  /** The stream whose field block is not complete; 0 = none. */
  #continuing = 0;
  #continuingEnd = false;
  #fragments: Buffer[] = [];
  #fragmentBytes = 0;

  /** A block may be twice as large on the wire as the list it means: what is too long for the list ends a stream, what is longer still the connection. */
  constructor(events: FrameEvents, guard: FloodGuard, maxHeadBytes: number) {
    this.#events = events;
    this.#guard = guard;
    this.#maxBlockBytes = 2 * maxHeadBytes + maxFrameBytes;
  }

  /** A field block is arriving but not complete. */
  get blockOpen(): boolean {
    return this.#continuing !== 0;
  }

  drop(): void {
    this.#fragments = [];
  }

  onDataBegin(streamId: number, flags: number, length: number): boolean {
    if (!this.settingsSeen) return this.#events.fail(errors.firstFrame);
    if (this.#continuing !== 0) return this.#events.fail(errors.continuation);
    return streamId === 0 ? this.#events.fail(errors.streamId) : this.#events.onDataBegin(streamId, (flags & Flag.endStream) !== 0, length);
  }

  onDataPart(buffer: Buffer, start: number, end: number): boolean {
    return this.#events.onDataPart(buffer, start, end);
  }

  onDataEnd(): boolean {
    return this.#events.onDataEnd();
  }

  onFrameError(error: Http2CodecError): void {
    this.#events.fail(error);
  }

  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    const events = this.#events;
    const ack = (flags & Flag.ack) !== 0;
    if (this.#continuing !== 0 && (type !== FrameType.continuation || streamId !== this.#continuing)) return events.fail(errors.continuation);
    if (!this.settingsSeen && (type !== FrameType.settings || ack)) return events.fail(errors.firstFrame);
    const wrong = misplaced(type, streamId, end - start);
    if (wrong !== null) return events.fail(wrong);
    switch (type) {
      case FrameType.headers:
        return this.#headers(flags, streamId, buffer, start, end);
      case FrameType.continuation:
        return this.#continuation(flags, streamId, buffer, start, end);
      case FrameType.windowUpdate:
        return this.#unless(this.#guard.windowUpdate()) && events.onWindow(streamId, buffer.readUInt32BE(start) & maxWindow);
      case FrameType.rstStream:
        return events.onReset(streamId, buffer.readUInt32BE(start));
      case FrameType.settings:
        if (!ack) return this.#settings(buffer, start, end);
        return end === start ? events.onSettingsAck() : events.fail(errors.frameSize);
      case FrameType.ping:
        return events.onPing(ack, buffer, start);
      case FrameType.goaway:
        return events.onGoaway(buffer.readUInt32BE(start) & maxWindow, buffer.readUInt32BE(start + 4));
      case FrameType.priority:
        return this.#unless(this.#guard.priority());
      case FrameType.pushPromise:
        return events.fail(errors.push);
      default:
        return true;
    }
  }

  #headers(flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    let at = start;
    let stop = end;
    if ((flags & Flag.padded) !== 0) {
      if (at === stop) return this.#events.fail(errors.frameSize);
      stop -= buffer[at++] ?? 0;
    }
    if ((flags & Flag.priority) !== 0) at += 5;
    if (at > stop) return this.#events.fail(errors.padding);
    const endStream = (flags & Flag.endStream) !== 0;
    if (!this.#unless(this.#guard.payload(at === stop && !endStream))) return false;
    if ((flags & Flag.endHeaders) !== 0) return this.#events.onBlock(streamId, endStream, buffer, at, stop);
    this.#continuing = streamId;
    this.#continuingEnd = endStream;
    this.#fragments = [Buffer.from(buffer.subarray(at, stop))];
    this.#fragmentBytes = stop - at;
    return true;
  }

  #continuation(flags: number, streamId: number, buffer: Buffer, start: number, end: number): boolean {
    if (this.#continuing === 0) return this.#events.fail(errors.continuation);
    if (!this.#unless(this.#guard.payload(start === end))) return false;
    this.#fragmentBytes += end - start;
    this.#fragments.push(Buffer.from(buffer.subarray(start, end)));
    if (this.#fragmentBytes > this.#maxBlockBytes || this.#fragments.length > 8 + this.#maxBlockBytes / maxFrameBytes) return this.#events.fail(errors.continuationFlood);
    if ((flags & Flag.endHeaders) === 0) return true;
    const whole = Buffer.concat(this.#fragments, this.#fragmentBytes);
    this.#fragments = [];
    this.#continuing = 0;
    return this.#events.onBlock(streamId, this.#continuingEnd, whole, 0, whole.length);
  }

  #settings(buffer: Buffer, start: number, end: number): boolean {
    this.settingsSeen = true;
    for (let at = start; at < end; at += 6) {
      const error = this.#events.onSetting(buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2));
      if (error !== null) return this.#events.fail(error);
    }
    return this.#events.onSettingsEnd();
  }

  #unless(flood: Http2CodecError | null): boolean {
    return flood === null ? true : this.#events.fail(flood);
  }
}

/** What is wrong with the stream or the length of a frame, or null. */
function misplaced(type: number, streamId: number, length: number): Http2CodecError | null {
  switch (type) {
    case FrameType.headers:
    case FrameType.continuation:
      return streamId === 0 ? errors.streamId : null;
    case FrameType.priority:
    case FrameType.rstStream:
      if (streamId === 0) return errors.streamId;
      return length === (type === FrameType.priority ? 5 : 4) ? null : errors.frameSize;
    case FrameType.settings:
      if (streamId !== 0) return errors.streamId;
      return length % 6 === 0 ? null : errors.frameSize;
    case FrameType.ping:
      if (streamId !== 0) return errors.streamId;
      return length === 8 ? null : errors.frameSize;
    case FrameType.goaway:
      if (streamId !== 0) return errors.streamId;
      return length >= 8 ? null : errors.frameSize;
    case FrameType.windowUpdate:
      return length === 4 ? null : errors.frameSize;
    default:
      return null;
  }
}
