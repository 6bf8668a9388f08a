import type net from 'node:net';
import { TLSSocket } from 'node:tls';
import { giveBack, outBufferBytes, takeOutBuffer, type OutBuffer } from './out-buffer.ts';
import { systemError } from './system-error.ts';
import { streamBinding, streamHandle, type StreamBinding, type StreamHandle, type WriteRequest } from './stream-handle.ts';

/** What hears how writes went. */
export interface SocketWriterOwner {
  /** Everything given so far is with the system. Only after `queued` was more than 0. */
  onSent(): void;
  onWriteError(error: Error): void;
}

/** What became of bytes given to the system: these, or a negative error number. */
const Sent = { now: 0, later: 1 } as const;

/**
 * Collects the bytes of one connection and gives them to the system, one write at a time: what comes while the system takes no more waits in
 * whole buffers, so that a thousand small texts for a peer that stalls cost no thousand buffers. Nothing throws. @hot
 */
export abstract class SocketWriter {
  readonly #owner: SocketWriterOwner;
  /** Being filled, never empty: TLS takes an empty write for one under way, and ends the process at the next. */
  #open: OutBuffer | null = null;
  /** Bytes that the system has and has not taken yet; 0 = none. */
  #sending = 0;
  /** The buffer they are in, where it is still needed. */
  #held: OutBuffer | null = null;
  /** Full, after the one that is being sent. */
  #waiting: OutBuffer[] | null = null;
  #waitingBytes = 0;

  readonly #keepsBytes: boolean;

  /** `keepsBytes`: what `transmit` was given must stay as it is until `completed`. */
  protected constructor(owner: SocketWriterOwner, keepsBytes: boolean) {
    this.#owner = owner;
    this.#keepsBytes = keepsBytes;
  }

  /** Bytes that wait for the system: 0 as long as it takes what `flush` gives it. */
  get queued(): number {
    return this.#sending === 0 ? 0 : this.pending + this.#sending;
  }

  /** Bytes not given to the system yet. */
  get pending(): number {
    return this.#waitingBytes + (this.#open?.used ?? 0);
  }

  /** Latin1; a character beyond it leaves as UTF-8. Returns the number of bytes. */
  text(text: string): number {
    const { length } = text;
    if (length === 0) return 0;
    if (length <= outBufferBytes && this.#room(length).text(text, length)) return length;
    const bytes = Buffer.from(oneByte(text), 'latin1');
    this.bytes(bytes, 0, bytes.length);
    return bytes.length;
  }

  /** A line, "name: value" and CRLF of each pair of fields, and what follows them, as `text`. */
  head(line: string, fields: readonly string[], rest: string): number {
    let bytes = this.text(line);
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] ?? '';
      const value = fields[i + 1] ?? '';
      const nameLength = name.length;
      const valueLength = value.length;
      const length = nameLength + valueLength + 4;
      bytes += length <= outBufferBytes && this.#room(length).field(name, nameLength, value, valueLength) ? length : this.text(`${name}: ${value}\r\n`);
    }
    return bytes + this.text(rest);
  }

  /** `buffer[start, end)`, copied before this returns. */
  bytes(buffer: Buffer, start: number, end: number): void {
    if (end === start) return;
    let at = start;
    while (end - at > outBufferBytes) {
      this.#room(outBufferBytes).add(buffer, at, at + outBufferBytes);
      at += outBufferBytes;
    }
    this.#room(end - at).add(buffer, at, end);
  }

  /** Gives what was collected to the system. */
  flush(): void {
    const open = this.#open;
    if (open === null || this.#sending !== 0) return;
    this.#open = null;
    this.#send(open);
  }

  /** Drops what was not given to the system yet. */
  drop(): void {
    this.#open = null;
    this.#waiting = null;
    this.#waitingBytes = 0;
  }

  /** Whose buffer is with the system: it has taken it, or failed to. */
  completed(status: number): void {
    const held = this.#held;
    this.#sending = 0;
    this.#held = null;
    if (held !== null) giveBack(held);
    if (status < 0) return this.#owner.onWriteError(systemError(status, 'write'));
    for (let next = this.#next(); next !== null; next = this.#next()) if (!this.#send(next)) return undefined;
    return this.#owner.onSent();
  }

  /** Gives one buffer to the system; `completed` follows where this says later. */
  protected abstract transmit(bytes: Buffer): number;

  /** A buffer with room for so many bytes. */
  #room(bytes: number): OutBuffer {
    const open = this.#open;
    if (open !== null) {
      if (open.room >= bytes) return open;
      if (this.#sending === 0) this.#send(open);
      else {
        (this.#waiting ??= []).push(open);
        this.#waitingBytes += open.used;
      }
    }
    return (this.#open = takeOutBuffer());
  }

  #next(): OutBuffer | null {
    const next = this.#waiting?.shift();
    if (next !== undefined) {
      this.#waitingBytes -= next.used;
      return next;
    }
    const open = this.#open;
    this.#open = null;
    return open;
  }

  /** Returns whether the system took it at once. */
  #send(buffer: OutBuffer): boolean {
    const result = this.transmit(buffer.view());
    if (result === Sent.later) {
      this.#sending = buffer.used;
      if (this.#keepsBytes) this.#held = buffer;
      else giveBack(buffer);
      return false;
    }
    giveBack(buffer);
    if (result === Sent.now) return true;
    this.drop();
    this.#owner.onWriteError(systemError(result, 'write'));
    return false;
  }
}

/** Written as latin1 a character beyond it would lose its upper bits, and U+010A become a line break. */
function oneByte(text: string): string {
  return text.replace(/[^\0-\xff]+/gu, (characters) => Buffer.from(characters, 'utf8').toString('latin1'));
}

/** The writer of a socket that nobody else writes to: past node's streams where there is a way, which costs about a tenth less per request. */
export function socketWriter(socket: net.Socket, owner: SocketWriterOwner): SocketWriter {
  const handle = streamHandle(socket);
  return streamBinding !== null && handle !== null ? new HandleWriter(handle, { binding: streamBinding, owner, keepsBytes: !(socket instanceof TLSSocket) }) : new StreamWriter(socket, owner);
}

/** A write that the system takes at once, as nearly all on plain sockets are, costs no request object and no callback. TLS is always told later. */
class HandleWriter extends SocketWriter {
  readonly #handle: StreamHandle;
  readonly #binding: StreamBinding;
  /**
   * The next write's, and the one that the last write under way had: two serve in turn, because Node lets go of one only after its
   * `oncomplete`, in which the next write may begin.
   */
  #spare: WriteRequest | null = null;
  #last: WriteRequest | null = null;

  /** TLS has encrypted or copied its bytes when a write returns. */
  constructor(handle: StreamHandle, { binding, owner, keepsBytes }: { readonly binding: StreamBinding; readonly owner: SocketWriterOwner; readonly keepsBytes: boolean }) {
    super(owner, keepsBytes);
    this.#handle = handle;
    this.#binding = binding;
  }

  protected override transmit(bytes: Buffer): number {
    const binding = this.#binding;
    const request = (this.#spare ??= this.#request());
    const error = this.#handle.writeBuffer(request, bytes);
    if (error !== 0) return error;
    if (binding.streamBaseState[binding.kLastWriteWasAsync] === 0) return Sent.now;
    this.#spare = this.#last;
    this.#last = request;
    return Sent.later;
  }

  #request(): WriteRequest {
    const request = new this.#binding.WriteWrap();
    request.handle = this.#handle;
    request.oncomplete = onComplete;
    request.owner = this;
    return request;
  }
}

function onComplete(this: WriteRequest, status: number): void {
  this.owner?.completed(status);
}

/** Through node's streams. */
export class StreamWriter extends SocketWriter {
  readonly #socket: net.Socket;

  constructor(socket: net.Socket, owner: SocketWriterOwner) {
    super(owner, true);
    this.#socket = socket;
  }

  protected override transmit(bytes: Buffer): number {
    // Called once, sent or failed; a failure is told by the socket's own events.
    this.#socket.write(bytes, (error) => {
      if (error === null || error === undefined) this.completed(0);
    });
    return Sent.later;
  }
}
