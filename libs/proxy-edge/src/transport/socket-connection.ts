import type net from 'node:net';
import type { TlsInfo } from '@meltemi/http';
import { ignoreConnection, type ByteConnection, type ConnectionObserver, type ConnectionSink } from '@meltemi/proxy';
import { systemError } from './system-error.ts';
import { socketWriter, type SocketWriter, type SocketWriterOwner } from './socket-writer.ts';
import { streamBinding, streamHandle, type StreamHandle } from './stream-handle.ts';
import { enterTurn, flushLater, leaveTurn } from './turn.ts';

/** Node's own high-water mark: below it a socket gives no drain event. */
const smallestLimit = 64 * 1024;

/**
 * One read buffer for all plaintext connections of the thread: libuv fills it and calls back at once, and every sink uses or copies
 * what it needs before it returns.
 */
export const sharedReadBuffer = Buffer.allocUnsafeSlow(64 * 1024);

let lastId = 0;

/** ByteConnection over a net.Socket or tls.TLSSocket that nobody else reads or writes. @hot */
export class SocketConnection implements ByteConnection, SocketWriterOwner {
  readonly id = ++lastId;
  readonly socket: net.Socket;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly tls: TlsInfo | null;
  sink: ConnectionSink = ignoreConnection;
  observer: ConnectionObserver | null = null;
  closed = false;
  readonly #limit: number;
  readonly #writer: SocketWriter;
  /** Read past node's streams, and so paused. */
  #reading: StreamHandle | null = null;
  /** Node's own callback of that handle. */
  #otherwise: StreamHandle['onread'] | null = null;
  #queued = false;
  #ending = false;
  #wantsDrain = false;
  #wantsFlush = false;
  #cause: Error | null = null;
  #written = 0;
  #read = 0;

  /** `limit`: bytes waiting to be sent above which writes return false. */
  constructor(socket: net.Socket, options: { limit: number; tls: TlsInfo | null; remoteAddress?: string }) {
    this.socket = socket;
    this.#limit = Math.max(options.limit, smallestLimit);
    this.tls = options.tls;
    this.remoteAddress = options.remoteAddress ?? formatAddress(socket.remoteAddress, socket.remotePort);
    this.localAddress = formatAddress(socket.localAddress, socket.localPort);
    socket.on('end', () => this.#turn(() => this.sink.onEnd()));
    this.#writer = socketWriter(socket, this);
    socket.on('error', (error) => (this.#cause = error));
    socket.on('close', () => this.#closed());
  }

  get bytesRead(): number {
    return this.#read;
  }

  get bytesWritten(): number {
    return this.#written;
  }

  get pendingBytes(): number {
    return this.#writer.queued || this.#writer.pending;
  }

  /**
   * Takes the reading over from node's streams, which make two objects and a copy of every read, or, for a socket opened with `onread`, cost two calls.
   * Before that a socket opened with `onread` brings what it reads to `received` by itself.
   */
  readDirectly(openedWith: 'onread' | 'nothing'): void {
    const { socket } = this;
    const handle = streamHandle(socket);
    if (handle === null || streamBinding === null) {
      if (openedWith === 'nothing') socket.on('data', (chunk: Buffer) => this.received(chunk, chunk.length));
      return;
    }
    this.#otherwise = handle.onread;
    handle.reader = this;
    handle.onread = onRead;
    if (openedWith === 'nothing') handle.useUserBuffer(sharedReadBuffer);
    this.#reading = handle;
    for (let chunk = socket.read() as Buffer | null; chunk !== null && !this.closed; chunk = socket.read() as Buffer | null) this.received(chunk, chunk.length);
  }

  /** The handle's read callback: so many bytes, an error, or the end, which stays the stream's to tell. */
  onRead(handle: StreamHandle, length: number, fact: unknown): void {
    if (length > 0) this.received(sharedReadBuffer, length);
    else if (length < 0 && length !== endOfFile) this.socket.destroy(systemError(length, 'read'));
    else this.#otherwise?.call(handle, fact);
  }

  /** The transport's read callback. */
  received(buffer: Buffer, length: number): void {
    this.#read += length;
    enterTurn(length);
    try {
      if (this.observer !== null) this.observer.onRead(length);
      if (this.observer === null || !this.socket.destroyed) this.sink.onData(buffer, length);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    } finally {
      leaveTurn();
    }
  }

  writeText(text: string): boolean {
    return this.closed || this.#ending || this.#wrote(this.#writer.text(text));
  }

  writeHead(line: string, fields: readonly string[], rest: string): boolean {
    return this.closed || this.#ending || this.#wrote(this.#writer.head(line, fields, rest));
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    if (this.closed || this.#ending) return true;
    this.#writer.bytes(buffer, start, end);
    return this.#wrote(end - start);
  }

  requestFlush(): void {
    if (this.closed || this.#ending) return;
    this.#wantsFlush = true;
    if (this.#queued) return;
    this.#queued = true;
    flushLater(this);
  }

  flush(): void {
    if (this.#wantsFlush) {
      this.#wantsFlush = false;
      this.sink.onFlush?.();
    }
    this.#queued = false;
    if (!this.closed) this.#writer.flush();
  }

  end(): void {
    if (this.closed || this.#ending) return;
    this.flush();
    this.#ending = true;
    if (this.#writer.queued === 0) this.socket.end();
  }

  pause(): void {
    const handle = this.#reading;
    if (handle === null) this.socket.pause();
    else if (handle.reading && !this.socket.destroyed) {
      handle.reading = false;
      handle.readStop();
    }
  }

  resume(): void {
    if (this.closed) return;
    const handle = this.#reading;
    if (handle === null || this.socket.isPaused()) this.socket.resume();
    if (handle !== null && !handle.reading && !this.socket.destroyed) {
      handle.reading = true;
      handle.readStart();
    }
  }

  destroy(cause?: Error): void {
    if (this.closed) return;
    if (cause !== undefined) this.#cause ??= cause;
    this.#writer.drop();
    this.socket.destroy();
  }

  #wrote(bytes: number): boolean {
    this.#written += bytes;
    if (this.observer !== null) this.observer.onWrite(bytes);
    if (!this.#queued) {
      this.#queued = true;
      flushLater(this);
    }
    if (this.#writer.queued <= this.#limit) return true;
    this.#wantsDrain = true;
    return false;
  }

  onWriteError(error: Error): void {
    if (this.closed || this.sink.onWriteFailed === undefined) return this.destroy(error);
    // Reading finds what came before the end, and then the end.
    this.#ending = true;
    this.#writer.drop();
    return this.sink.onWriteFailed();
  }

  onSent(): void {
    if (this.#ending) this.socket.end();
    if (!this.#wantsDrain) return;
    this.#wantsDrain = false;
    this.#turn(() => this.sink.onDrain());
  }

  #closed(): void {
    if (this.closed) return;
    this.closed = true;
    this.#turn(() => {
      try {
        this.sink.onClose(this.#cause);
      } finally {
        this.observer?.onClose();
      }
    });
  }

  #turn(event: () => void): void {
    enterTurn();
    try {
      event();
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    } finally {
      leaveTurn();
    }
  }
}

/** libuv's UV_EOF. */
const endOfFile = -4095;

/** One for all handles: a function of its own for each connection would be memory, and a call that the compiler cannot foresee. Returns nothing: Node takes what it gets for a buffer. */
function onRead(this: StreamHandle, fact: unknown): void {
  this.reader?.onRead(this, streamBinding?.streamBaseState[streamBinding.kReadBytesOrError] ?? 0, fact);
}

/** "ip:port", "[ip6]:port"; "" for a Unix socket's nameless peer. IPv4 inside IPv6 is written as IPv4. */
export function formatAddress(address: string | undefined, port: number | undefined): string {
  if (address === undefined) return '';
  if (address.startsWith('::ffff:') && address.includes('.')) return `${address.slice(7)}:${port ?? 0}`;
  return address.includes(':') ? `[${address}]:${port ?? 0}` : `${address}:${port ?? 0}`;
}
