import type net from 'node:net';
import { getSystemErrorName } from 'node:util';

/** What hears how writes went. */
export interface SocketWriterOwner {
  /** Everything given so far is with the system. Only after `queued` was more than 0. */
  onSent(): void;
  onWriteError(error: Error): void;
}

/** Gives bytes of one connection to the system. Nothing throws. @hot */
export interface SocketWriter {
  /** Bytes the system has not taken yet. */
  readonly queued: number;
  /** Latin1. */
  text(text: string): void;
  /** `buffer[start, end)`, copied or sent before this returns. */
  bytes(buffer: Buffer, start: number, end: number): void;
}

/** The parts of a stream handle and of its write requests that node:net itself goes by. */
interface WriteRequest {
  handle: StreamHandle | null;
  oncomplete: ((this: WriteRequest, status: number) => void) | null;
  size: number;
  copy: Buffer | null;
  writer: HandleWriter | null;
}

interface StreamHandle {
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, buffer: Buffer): number;
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: { readonly [index: number]: number };
  readonly kLastWriteWasAsync: number;
}

/** Null where this Node has no such door: then node's streams do the writing. */
const binding = findBinding();

function findBinding(): StreamBinding | null {
  try {
    const found = (process as unknown as { binding(name: string): Partial<StreamBinding> }).binding('stream_wrap');
    const whole = typeof found.WriteWrap === 'function' && found.streamBaseState !== undefined && typeof found.kLastWriteWasAsync === 'number';
    return whole ? (found as StreamBinding) : null;
  } catch {
    return null;
  }
}

/** The writer of a socket that nobody else writes to. Plain sockets are written past node's streams, which costs about a tenth less per request. */
export function socketWriter(socket: net.Socket, plain: boolean, owner: SocketWriterOwner): SocketWriter {
  const handle = (socket as unknown as { _handle?: Partial<StreamHandle> | null })._handle;
  const direct = plain && binding !== null && typeof handle?.writeLatin1String === 'function' && typeof handle.writeBuffer === 'function';
  return direct ? new HandleWriter(handle as StreamHandle, binding, owner) : new StreamWriter(socket, owner);
}

/** Copies of large parts on their way to the system, used again when they are sent: allocating 64 KiB for each costs more than sending them. */
const copies: Buffer[] = [];
const copyBytes = 64 * 1024;
const maxCopies = 32;

function takeCopy(buffer: Buffer, start: number, end: number): Buffer {
  if (end - start > copyBytes) return Buffer.from(buffer.subarray(start, end));
  const copy = copies.pop() ?? Buffer.allocUnsafeSlow(copyBytes);
  buffer.copy(copy, 0, start, end);
  return copy;
}

function giveBack(copy: Buffer): void {
  if (copy.length === copyBytes && copies.length < maxCopies) copies.push(copy);
}

/** Past node's streams: a write that the system takes at once, as nearly all are, costs no request object and no callback. */
class HandleWriter implements SocketWriter {
  queued = 0;
  readonly #handle: StreamHandle;
  readonly #binding: StreamBinding;
  readonly #owner: SocketWriterOwner;
  /** Serves again as long as writes end at once. */
  #spare: WriteRequest | null = null;

  constructor(handle: StreamHandle, streams: StreamBinding, owner: SocketWriterOwner) {
    this.#handle = handle;
    this.#binding = streams;
    this.#owner = owner;
  }

  text(text: string): void {
    const request = this.#request();
    this.#dispatched(request, this.#handle.writeLatin1String(request, text), text.length, null);
  }

  bytes(buffer: Buffer, start: number, end: number): void {
    const request = this.#request();
    const copy = takeCopy(buffer, start, end);
    this.#dispatched(request, this.#handle.writeBuffer(request, end - start === copy.length ? copy : copy.subarray(0, end - start)), end - start, copy);
  }

  #request(): WriteRequest {
    const spare = this.#spare;
    if (spare !== null) return spare;
    const request = new this.#binding.WriteWrap();
    request.handle = this.#handle;
    request.oncomplete = onComplete;
    request.writer = this;
    request.size = 0;
    request.copy = null;
    this.#spare = request;
    return request;
  }

  #dispatched(request: WriteRequest, error: number, size: number, copy: Buffer | null): void {
    if (error === 0 && this.#binding.streamBaseState[this.#binding.kLastWriteWasAsync] !== 0) {
      this.#spare = null;
      request.size = size;
      request.copy = copy;
      this.queued += size;
      return;
    }
    if (copy !== null) giveBack(copy);
    if (error !== 0) this.#owner.onWriteError(writeError(error));
  }

  completed(request: WriteRequest, status: number): void {
    this.queued -= request.size;
    if (request.copy !== null) giveBack(request.copy);
    request.copy = null;
    if (status < 0) this.#owner.onWriteError(writeError(status));
    else if (this.queued === 0) this.#owner.onSent();
  }
}

function onComplete(this: WriteRequest, status: number): void {
  this.writer?.completed(this, status);
}

function writeError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' });
}

/** Through node's streams: TLS. */
class StreamWriter implements SocketWriter {
  readonly #socket: net.Socket;

  constructor(socket: net.Socket, owner: SocketWriterOwner) {
    this.#socket = socket;
    socket.on('drain', () => owner.onSent());
  }

  get queued(): number {
    return this.#socket.writableLength;
  }

  text(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  bytes(buffer: Buffer, start: number, end: number): void {
    const copy = takeCopy(buffer, start, end);
    // Called once, sent or failed; until then the copy is the socket's.
    this.#socket.write(copy.subarray(0, end - start), () => giveBack(copy));
  }
}
