import type { ByteConnection } from '../../connection.ts';
import { Flag, FrameType, frameHeadBytes, maxFrameBytes } from './frames.ts';

const bufferBytes = 64 * 1024;
/** Bytes copied one by one up to here: cheaper than a call into C++. */
const shortCopy = 32;

/** Buffers of connections that have nothing to send just now. */
const spare: Buffer[] = [];
const maxSpare = 16;
const none = Buffer.alloc(0);

/**
 * Collects the frames of one turn in one buffer, which goes to the connection in one write at the end of the turn. The buffer is borrowed from
 * the thread's store for that time only: an idle connection holds none. @hot
 */
export class FrameWriter {
  readonly #connection: ByteConnection;
  /** The connection had room after the last write. */
  hasRoom = true;
  /** DATA frames ever. */
  dataFrames = 0;
  /**
   * Frames that have not left this machine yet, and those among them that only answer (PING, SETTINGS, RST_STREAM).
   * Deviation: DATA is not among them. Windows and the transport's limit bound it, and who reads a stream of small messages slowly is no attacker.
   */
  outstanding = 0;
  control = 0;
  #turnFrames = 0;
  #turnControl = 0;
  /** Bytes given to the connection ever. */
  #total = 0;
  /** Per flush that has not left yet: the total behind it, its frames, its answers. */
  readonly #marks: number[] = [];
  #buffer: Buffer = none;
  #at = 0;
  #asked = false;
  /** Place of the last frame's head when it is DATA, and its stream: END_STREAM can still be added. -1 otherwise. */
  #lastData = -1;
  #lastStream = 0;

  constructor(connection: ByteConnection) {
    this.#connection = connection;
  }

  /** Field block `block[0, size)` as HEADERS and, when it is long, CONTINUATION. */
  headers(streamId: number, endStream: boolean, block: Buffer, size: number): void {
    const first = Math.min(size, maxFrameBytes);
    this.#head(first, FrameType.headers, (endStream ? Flag.endStream : 0) | (first === size ? Flag.endHeaders : 0), streamId);
    this.#copy(block, 0, first);
    for (let at = first; at < size; at += maxFrameBytes) {
      const end = Math.min(size, at + maxFrameBytes);
      this.#head(end - at, FrameType.continuation, end === size ? Flag.endHeaders : 0, streamId);
      this.#copy(block, at, end);
    }
    this.#done();
  }

  /** One DATA frame, at most `maxFrameBytes` long. */
  data(streamId: number, endStream: boolean, buffer: Buffer, start: number, end: number): void {
    const head = this.#head(end - start, FrameType.data, endStream ? Flag.endStream : 0, streamId);
    this.#copy(buffer, start, end);
    this.#lastData = head;
    this.#lastStream = streamId;
    this.dataFrames++;
    this.#done();
  }

  /** Ends a stream: with the DATA frame that is still here, or with an empty one. */
  endStream(streamId: number): void {
    if (this.#lastData >= 0 && this.#lastStream === streamId) this.#buffer[this.#lastData + 4] = Flag.endStream;
    else this.data(streamId, true, none, 0, 0);
  }

  resetStream(streamId: number, code: number): void {
    this.#answer();
    this.#head(4, FrameType.rstStream, 0, streamId);
    this.#word(code);
    this.#done();
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#head(4, FrameType.windowUpdate, 0, streamId);
    this.#word(increment);
    this.#done();
  }

  /** Pairs of identifier and value; null acknowledges the peer's. */
  settings(pairs: readonly number[] | null): void {
    if (pairs === null) this.#answer();
    this.#head(pairs === null ? 0 : pairs.length * 3, FrameType.settings, pairs === null ? Flag.ack : 0, 0);
    for (let i = 0; pairs !== null && i < pairs.length; i += 2) {
      const id = pairs[i] ?? 0;
      this.#buffer[this.#at++] = id >>> 8;
      this.#buffer[this.#at++] = id;
      this.#word(pairs[i + 1] ?? 0);
    }
    this.#done();
  }

  /** `payload[start, start + 8)`. */
  ping(ack: boolean, payload: Buffer, start: number): void {
    if (ack) this.#answer();
    this.#head(8, FrameType.ping, ack ? Flag.ack : 0, 0);
    this.#copy(payload, start, start + 8);
    this.#done();
  }

  goaway(lastStreamId: number, code: number): void {
    this.#head(8, FrameType.goaway, 0, 0);
    this.#word(lastStreamId);
    this.#word(code);
    this.#done();
  }

  text(text: string): void {
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#buffer[this.#at++] = text.charCodeAt(i);
    this.#done();
  }

  /** Gives what is collected to the connection. */
  flush(): void {
    this.#asked = false;
    if (this.#at === 0) return;
    const buffer = this.#buffer;
    const size = this.#at;
    this.#at = 0;
    this.#lastData = -1;
    this.#buffer = none;
    this.#settle();
    this.#total += size;
    this.#marks.push(this.#total, this.#turnFrames, this.#turnControl);
    this.#turnFrames = 0;
    this.#turnControl = 0;
    if (!this.#connection.write(buffer, 0, size)) this.hasRoom = false;
    if (spare.length < maxSpare) spare.push(buffer);
  }

  /** Forgets the frames that have left meanwhile. */
  #settle(): void {
    const marks = this.#marks;
    if (marks.length === 0) return;
    const left = this.#total - this.#connection.pendingBytes;
    let gone = 0;
    while (gone < marks.length && (marks[gone] ?? 0) <= left) {
      this.outstanding -= marks[gone + 1] ?? 0;
      this.control -= marks[gone + 2] ?? 0;
      gone += 3;
    }
    if (gone === marks.length) marks.length = 0;
    else if (gone > 0) marks.splice(0, gone);
  }

  #done(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#connection.requestFlush();
  }

  #answer(): void {
    this.control++;
    this.#turnControl++;
  }

  /** Place of the head written. */
  #head(length: number, type: number, flags: number, streamId: number): number {
    this.#reserve(frameHeadBytes + length);
    if (type !== FrameType.data) {
      this.outstanding++;
      this.#turnFrames++;
    }
    this.#lastData = -1;
    const buffer = this.#buffer;
    const at = this.#at;
    buffer[at] = length >>> 16;
    buffer[at + 1] = length >>> 8;
    buffer[at + 2] = length;
    buffer[at + 3] = type;
    buffer[at + 4] = flags;
    buffer[at + 5] = streamId >>> 24;
    buffer[at + 6] = streamId >>> 16;
    buffer[at + 7] = streamId >>> 8;
    buffer[at + 8] = streamId;
    this.#at = at + frameHeadBytes;
    return at;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    if (this.#at > 0) this.flush();
    this.#buffer = spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
  }

  #word(value: number): void {
    const buffer = this.#buffer;
    buffer[this.#at++] = value >>> 24;
    buffer[this.#at++] = value >>> 16;
    buffer[this.#at++] = value >>> 8;
    buffer[this.#at++] = value;
  }

  #copy(from: Buffer, start: number, end: number): void {
    if (end - start <= shortCopy) for (let i = start; i < end; i++) this.#buffer[this.#at++] = from[i] ?? 0;
    else {
      from.copy(this.#buffer, this.#at, start, end);
      this.#at += end - start;
    }
  }
}
