import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TlsInfo } from '@meltemi/http';
import { ignoreConnection, latin1, type ByteConnection, type ConnectionObserver, type ConnectionSink } from '@meltemi/proxy';
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

const beyondLatin1 = /[^\0-\xff]/;

let lastId = 0;

/** Copies of large parts on their way to the system, used again when they are sent: allocating 64 KiB for each costs more than sending them. */
const copies: Buffer[] = [];
const copyBytes = 64 * 1024;
const maxCopies = 32;

function sendCopy(socket: net.Socket, buffer: Buffer, start: number, end: number): void {
  if (end - start > copyBytes) {
    socket.write(Buffer.from(buffer.subarray(start, end)));
    return;
  }
  const copy = copies.pop() ?? Buffer.allocUnsafeSlow(copyBytes);
  buffer.copy(copy, 0, start, end);
  // Called once, sent or failed; until then the copy is the socket's.
  socket.write(copy.subarray(0, end - start), () => {
    if (copies.length < maxCopies) copies.push(copy);
  });
}

/** ByteConnection over a net.Socket or tls.TLSSocket that nobody else reads or writes. @hot */
export class SocketConnection implements ByteConnection {
  readonly id = ++lastId;
  readonly socket: net.Socket;
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly tls: TlsInfo | null;
  sink: ConnectionSink = ignoreConnection;
  observer: ConnectionObserver | null = null;
  closed = false;
  readonly #limit: number;
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
    socket.on('drain', () => this.#drained());
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
    return this.socket.writableLength + this.#pending.length;
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

  writeText(asked: string): boolean {
    if (this.closed || this.#ending) return true;
    // Written as latin1 a character beyond it would lose its upper bits, and U+010A become a line break. One-byte strings cost nothing here.
    const text = beyondLatin1.test(asked) ? asked.replace(/[^\0-\xff]+/gu, (characters) => Buffer.from(characters, 'utf8').toString('latin1')) : asked;
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
    sendCopy(this.socket, buffer, start, end);
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
    if (!this.closed) this.socket.write(text, 'latin1');
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
    const full = this.socket.writableLength + this.#pending.length > this.#limit;
    if (full) this.#wantsDrain = true;
    return !full;
  }

  #drained(): void {
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
