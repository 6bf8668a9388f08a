import net from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ClientHello } from '@meltemi/proxy';
import { formatAddress, sharedReadBuffer, SocketConnection } from './socket-connection.ts';
import type { HandshakeResult, ServerTls } from './tls-server.ts';

interface WithHandle {
  _handle: unknown;
  _server?: unknown;
}

/** How a look at the first bytes ended. */
export type PeekOutcome = 'enough' | 'ended' | 'timeout' | 'closed';

/**
 * A connection just accepted and not yet owned: its first bytes can be looked at, then it becomes a plain or a TLS ByteConnection.
 * net.createServer cannot read into a static buffer, so the handle moves to a socket that does.
 */
export class AcceptedSocket {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly localIp: string;
  readonly localPort: number;
  /** Bytes seen and not yet given to the owner. */
  peeked: Buffer = Buffer.alloc(0);
  ended = false;
  readonly socket: net.Socket;
  #connection: SocketConnection | null = null;
  #look: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(accepted: net.Socket) {
    this.socket = this.#rewrap(accepted);
    this.remoteIp = plainIp(this.socket.remoteAddress);
    this.remotePort = this.socket.remotePort ?? 0;
    this.localIp = plainIp(this.socket.localAddress);
    this.localPort = this.socket.localPort ?? 0;
    this.remoteAddress = formatAddress(this.socket.remoteAddress, this.socket.remotePort);
    this.localAddress = formatAddress(this.socket.localAddress, this.socket.localPort);
  }

  /** The file descriptor, -1 when there is none any more. */
  get fd(): number {
    return (this.socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
  }

  /**
   * Reads until `enough` says so, the peer ends, or the deadline passes (`timeoutMs` 0 = none); then `done` runs once.
   * Reading stops meanwhile. `enough` sees all bytes so far and must have its own limit. A connection that broke meanwhile has nothing to
   * be served: `done` is told 'closed'. What was peeked before is looked at first. `patience`: 'turn' waits only for what is there already.
   */
  peek(patience: number | 'turn', enough: (bytes: Buffer) => boolean, done: (outcome: PeekOutcome) => void): void {
    const finish = (outcome: PeekOutcome) => {
      if (this.#look === null) return;
      this.#look = null;
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.socket.off('end', onEnd);
      this.socket.off('close', onClose);
      this.socket.pause();
      done(outcome);
    };
    const onEnd = () => {
      this.ended = true;
      finish('ended');
    };
    const onClose = () => finish('closed');
    this.#look = () => {
      if (enough(this.peeked)) finish('enough');
    };
    if (this.peeked.length > 0 && enough(this.peeked)) return finish('enough');
    if (this.ended) return finish('ended');
    this.socket.on('end', onEnd);
    this.socket.on('close', onClose);
    // The first immediate comes before the loop looks for bytes, the second after.
    if (patience === 'turn') setImmediate(() => setImmediate(() => finish('timeout')));
    else if (patience > 0) this.#timer = setTimeout(() => finish('timeout'), patience);
    this.socket.resume();
    return undefined;
  }

  /** Takes bytes away from what was peeked: they are no part of what the owner reads. */
  consume(length: number): void {
    this.peeked = this.peeked.subarray(length);
  }

  /** Hands the bytes over; set the sink, then call `start` with the connection. */
  plain(limit: number): SocketConnection {
    this.socket.off('error', ignore);
    this.#connection = new SocketConnection(this.socket, { limit, tls: null });
    return this.#connection;
  }

  /** Runs the TLS handshake; `opened` gets the connection to be started like a plain one. */
  secure(tls: ServerTls, facts: { hello: ClientHello | null; timeoutMs: number; limit: number }, result: { opened(connection: SocketConnection): void; failed(reason: string): void }): void {
    if (this.peeked.length > 0) this.socket.unshift(this.peeked);
    this.peeked = Buffer.alloc(0);
    const handshake: HandshakeResult = {
      onSecure: (socket: TLSSocket, info) => {
        const connection = new SocketConnection(socket, { limit: facts.limit, tls: info, remoteAddress: this.remoteAddress });
        this.#connection = connection;
        result.opened(connection);
      },
      onFailure: (reason) => result.failed(reason),
    };
    tls.accept(this.socket, facts, handshake);
  }

  /** Begins delivery to the sink: what was peeked first. */
  start(connection: SocketConnection): void {
    const first = this.peeked;
    this.peeked = Buffer.alloc(0);
    connection.readDirectly(connection.tls === null ? 'onread' : 'nothing');
    if (first.length > 0) connection.received(first, first.length);
    if (this.ended) connection.sink.onEnd();
    if (!connection.closed) connection.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #rewrap(accepted: net.Socket): net.Socket {
    const old = accepted as unknown as WithHandle;
    const handle = old._handle;
    old._handle = null;
    const callback = (length: number) => {
      if (this.#connection !== null) this.#connection.received(sharedReadBuffer, length);
      else this.#peeked(length);
      return true;
    };
    const socket = new net.Socket({ handle, allowHalfOpen: true, onread: { buffer: sharedReadBuffer, callback } } as net.SocketConstructorOpts);
    (socket as unknown as WithHandle)._server = old._server;
    socket.on('error', ignore);
    return socket;
  }

  #peeked(length: number): void {
    this.peeked = Buffer.concat([this.peeked, sharedReadBuffer.subarray(0, length)]);
    this.#look?.();
  }
}

const ignore = () => {};

function plainIp(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
