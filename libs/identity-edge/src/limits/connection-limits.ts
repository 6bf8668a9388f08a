import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Server } from '@grpc/grpc-js';
import { RateByKey, systemClock, type Clock, type Rate } from '@meltemi/base';
import { formatSpiffeId, spiffeIdOf } from '@meltemi/identity';
import { http2ServersOf, rememberPeers } from '../peer-certificate.ts';

export interface ConnectionLimits {
  /** Over all clients. */
  readonly maxConnections: number;
  /** From one address. Many honest clients may share one (NAT, one machine): leave room. */
  readonly maxPerAddress: number;
  /** Of one verified identity. */
  readonly maxPerIdentity: number;
  /** From one address that have not finished TLS: beyond it the oldest of them goes. */
  readonly maxPendingPerAddress: number;
  /** How often one address may connect. */
  readonly ratePerAddress: Rate;
  /** Who has not finished TLS by then is dropped. */
  readonly handshakeMs: number;
}

/** Why a connection was dropped. */
export type ConnectionRefusalReason = 'connections' | 'address' | 'identity' | 'pending' | 'rate' | 'handshake';

export interface ConnectionLimitsOptions extends ConnectionLimits {
  readonly onRefused?: ((reason: ConnectionRefusalReason, client: string) => void) | undefined;
  readonly clock?: Clock;
}

export const defaultConnectionLimits: ConnectionLimits = {
  maxConnections: 12_000, maxPerAddress: 6000, maxPerIdentity: 3000, maxPendingPerAddress: 256, ratePerAddress: { perSecond: 500, burst: 3000 }, handshakeMs: 10_000,
};

interface Connection {
  readonly socket: Socket;
  readonly address: string;
  identity: string | undefined;
  /** Ends the wait for TLS; undefined when it is over. */
  pending: (() => void) | undefined;
}

/**
 * Bounds what one client can take of a grpc-js server's connections, so that nobody keeps others out by connecting, and has each keep its peer's certificate
 * (`rememberPeers`). Call it when the server is bound. Unix sockets, which have one owner, are left alone.
 */
export function limitConnections(server: Server, options: ConnectionLimitsOptions): void {
  rememberPeers(server);
  const doorkeeper = new Doorkeeper(options);
  for (const door of http2ServersOf(server)) {
    door.prependListener('connection', (socket: Socket) => doorkeeper.connected(socket));
    door.on('session', (session: ServerHttp2Session) => doorkeeper.ready(session));
  }
}

class Doorkeeper {
  readonly #options: ConnectionLimitsOptions;
  readonly #clock: Clock;
  readonly #rates: RateByKey;
  /** By remote address and port: what the socket of a session has in common with the one below it. */
  readonly #connections = new Map<string, Connection>();
  readonly #byAddress = new Map<string, number>();
  readonly #byIdentity = new Map<string, number>();
  /** In order of arrival. */
  readonly #pending = new Map<string, Set<Connection>>();

  constructor(options: ConnectionLimitsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#rates = new RateByKey(options.ratePerAddress);
  }

  connected(socket: Socket): void {
    const address = socket.remoteAddress;
    if (address === undefined) return;
    const { maxConnections, maxPerAddress, maxPendingPerAddress, handshakeMs } = this.#options;
    const reason = this.#connections.size >= maxConnections ? 'connections' : (this.#byAddress.get(address) ?? 0) >= maxPerAddress ? 'address' : this.#rates.take(address, this.#clock.monotonic()) > 0 ? 'rate' : undefined;
    if (reason !== undefined) return this.#drop(socket, reason, address);
    const connection: Connection = { socket, address, identity: undefined, pending: undefined };
    const key = keyOf(socket);
    this.#connections.set(key, connection);
    count(this.#byAddress, address, 1);
    connection.pending = this.#clock.after(handshakeMs, () => this.#drop(socket, 'handshake', address));
    const waiting = this.#pending.get(address) ?? new Set();
    this.#pending.set(address, waiting.add(connection));
    socket.once('close', () => this.#closed(key, connection));
    const [oldest] = waiting;
    if (waiting.size > maxPendingPerAddress && oldest) this.#drop(oldest.socket, 'pending', address);
  }

  /** TLS is done (or there is none): a client that may say something. */
  ready(session: ServerHttp2Session): void {
    const socket = session.socket as TLSSocket | undefined;
    const connection = socket && this.#connections.get(keyOf(socket));
    if (!socket || !connection) return;
    this.#settle(connection);
    const id = spiffeIdOf(typeof socket.getPeerX509Certificate === 'function' ? socket.getPeerX509Certificate() : undefined);
    if (!id.ok) return;
    const identity = formatSpiffeId(id.value);
    if ((this.#byIdentity.get(identity) ?? 0) >= this.#options.maxPerIdentity) return this.#drop(connection.socket, 'identity', identity);
    connection.identity = identity;
    count(this.#byIdentity, identity, 1);
  }

  #settle(connection: Connection): void {
    connection.pending?.();
    connection.pending = undefined;
    const waiting = this.#pending.get(connection.address);
    waiting?.delete(connection);
    if (waiting?.size === 0) this.#pending.delete(connection.address);
  }

  #closed(key: string, connection: Connection): void {
    this.#settle(connection);
    if (this.#connections.get(key) === connection) this.#connections.delete(key);
    count(this.#byAddress, connection.address, -1);
    if (connection.identity !== undefined) count(this.#byIdentity, connection.identity, -1);
  }

  #drop(socket: Socket, reason: ConnectionRefusalReason, client: string): void {
    this.#options.onRefused?.(reason, client);
    socket.destroy();
  }
}

function keyOf(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const next = (counts.get(key) ?? 0) + change;
  if (next > 0) counts.set(key, next);
  else counts.delete(key);
}
