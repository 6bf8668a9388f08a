import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TlsInfo } from '@meltemi/http';
import { ignoreConnection, latin1, type ByteConnection, type ConnectionObserver, type ConnectionSink } from '@meltemi/proxy';
import { socketWriter, type SocketWriter, type SocketWriterOwner } from './socket-writer.ts';
import { enterTurn, flushLater, leaveTurn } from './turn.ts';

/** Bytes that writes up to this size join into one latin1 string: Node sends such strings without an allocation of its own. */
const joinLimit = 16 * 1024;

/** Node's own high-water mark: below it a socket gives no drain event. */
const smallestLimit = 64 * 1024;

/**
 * One read buffer for all plaintext connections of the thread: libuv fills it and calls back at once, and every sink uses or copies
 * what it needs before it returns.
 */
export const sharedReadBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Written as latin1 a character beyond it would lose its upper bits, and U+010A become a line break. Looked for when the text is flat for writing
 * anyway; in one-byte strings there is nothing to look for.
 */
const beyondLatin1 = /[^\0-\xff]/;

function oneByte(text: string): string {
  return text.replace(/[^\0-\xff]+/gu, (characters) => Buffer.from(characters, 'utf8').toString('latin1'));
}

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
  #pending = '';
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
    this.#writer = socketWriter(socket, options.tls === null, this);
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
    return this.#writer.queued + this.#pending.length;
  }

  /** The transport's read callback. */
  received(buffer: Buffer, length: number): void {
    this.#read += length;
    enterTurn();
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
    if (this.closed || this.#ending) return true;
    this.#written += text.length;
    if (this.observer !== null) this.observer.onWrite(text.length);
    this.#pending = this.#pending === '' ? text : this.#pending + text;
    return this.#queue();
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    if (this.closed || this.#ending) return true;
    this.#written += end - start;
    if (this.observer !== null) this.observer.onWrite(end - start);
    if (end - start <= joinLimit && this.#pending.length < joinLimit) {
      const text = latin1(buffer, start, end);
      this.#pending = this.#pending === '' ? text : this.#pending + text;
      return this.#queue();
    }
    this.flush();
    this.#writer.bytes(buffer, start, end);
    return this.#hasRoom();
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
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    if (!this.closed) this.#writer.text(beyondLatin1.test(text) ? oneByte(text) : text);
  }

  end(): void {
    if (this.closed || this.#ending) return;
    this.flush();
    this.#ending = true;
    this.socket.end();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    if (!this.closed) this.socket.resume();
  }

  destroy(cause?: Error): void {
    if (this.closed) return;
    if (cause !== undefined) this.#cause ??= cause;
    this.#pending = '';
    this.socket.destroy();
  }

  #queue(): boolean {
    if (this.#pending.length >= joinLimit * 4) this.flush();
    else if (!this.#queued) {
      this.#queued = true;
      flushLater(this);
    }
    return this.#hasRoom();
  }

  #hasRoom(): boolean {
    const full = this.#writer.queued + this.#pending.length > this.#limit;
    if (full) this.#wantsDrain = true;
    return !full;
  }

  onWriteError(error: Error): void {
    this.destroy(error);
  }

  onSent(): void {
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

/** "ip:port", "[ip6]:port"; "" for a Unix socket's nameless peer. IPv4 inside IPv6 is written as IPv4. */
export function formatAddress(address: string | undefined, port: number | undefined): string {
  if (address === undefined) return '';
  if (address.startsWith('::ffff:') && address.includes('.')) return `${address.slice(7)}:${port ?? 0}`;
  return address.includes(':') ? `[${address}]:${port ?? 0}` : `${address}:${port ?? 0}`;
}

/** Reads a TLS socket through its data events: each chunk is the socket's own. */
export function readThroughEvents(connection: SocketConnection, socket: TLSSocket | net.Socket): void {
  socket.on('data', (chunk: Buffer) => connection.received(chunk, chunk.length));
}
