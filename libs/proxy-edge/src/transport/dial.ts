import net from 'node:net';
import tls from 'node:tls';
import type { SocketTarget } from '@meltemi/snapshot';
import { SocketConnection, sharedReadBuffer } from './socket-connection.ts';
import type { ClientTls } from './tls-client.ts';
import { tlsInfoOf } from './tls-info.ts';

export interface DialOptions {
  readonly target: SocketTarget;
  readonly connectTimeoutMs: number;
  /** Bytes waiting to be sent above which writes return false. */
  readonly bufferLimit: number;
  readonly tls: ClientTls | null;
  /** Replaces the context's own server name; "" keeps it. */
  readonly sni?: string;
  /** A name that the peer's certificate must have besides; "" = none. */
  readonly peerName?: string;
  /** Replaces the context's ALPN list. */
  readonly alpn?: readonly string[];
  /** What to ask by ALPN when the context has no list. */
  readonly alpnFallback?: readonly string[];
  readonly localAddress?: string;
  readonly keepAliveMs?: number | null;
  /** Sent as soon as the connection is open, before TLS. */
  readonly first?: Buffer;
}

/** Told once how a dial ended. */
export interface DialResult {
  onOpen(connection: SocketConnection): void;
  /** `timedOut`: the connect deadline passed. `transportFailure`: TLS failed; the text is for %UPSTREAM_TRANSPORT_FAILURE_REASON%. */
  onFailure(reason: { readonly timedOut: boolean; readonly transportFailure: string | null; readonly cause: Error }): void;
}

/** Opens a connection, plain or TLS. The returned function gives up; nothing is told afterwards. */
export function dial(options: DialOptions, result: DialResult): () => void {
  if (options.tls !== null && options.tls.notReady !== null) return refuseLater(options.tls.notReady, result);
  let settled = false;
  let connection: SocketConnection | null = null;
  const onread = { buffer: sharedReadBuffer, callback: (length: number) => (connection?.received(sharedReadBuffer, length), true) };
  const socket = open(options, onread);
  const timer = setTimeout(() => fail(new Error(`no connection within ${options.connectTimeoutMs} ms`), true), options.connectTimeoutMs);
  const onError = (error: Error) => fail(error, false);
  const fail = (cause: Error, timedOut: boolean) => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    socket.on('error', () => {});
    socket.destroy();
    result.onFailure({ timedOut, transportFailure: options.tls !== null && !timedOut ? transportFailure(cause) : null, cause });
  };
  socket.on('error', onError);
  socket.on('close', () => fail(new Error('closed while connecting'), false));
  socket.once(options.tls === null ? 'connect' : 'secureConnect', () => {
    if (settled) return;
    const peer = socket instanceof tls.TLSSocket ? socket.getPeerX509Certificate() : undefined;
    const refused = socket instanceof tls.TLSSocket ? (options.tls?.refusal(peer, options.peerName ?? '') ?? null) : null;
    if (refused !== null) return fail(new Error(refused), false);
    if (options.tls === null && options.first !== undefined) socket.write(options.first);
    settled = true;
    clearTimeout(timer);
    socket.off('error', onError);
    connection = new SocketConnection(socket, {
      limit: options.bufferLimit,
      tls: socket instanceof tls.TLSSocket ? tlsInfoOf(socket, peer, { sni: options.sni || options.tls?.sni || '', validated: options.tls?.verifies ?? false, local: options.tls?.local ?? null }) : null,
    });
    result.onOpen(connection);
    if (connection.closed) return undefined;
    // With something in front of TLS the socket is not of our making and has no `onread`.
    connection.readDirectly(options.tls !== null && options.first !== undefined ? 'nothing' : 'onread');
    if (!socket.isPaused()) connection.resume();
    return undefined;
  });
  return () => {
    settled = true;
    clearTimeout(timer);
    socket.on('error', () => {});
    socket.destroy();
  };
}

/** Nobody is told before the caller has what `dial` returns. */
function refuseLater(reason: string, result: DialResult): () => void {
  const cause = new Error(reason);
  const told = setImmediate(() => result.onFailure({ timedOut: false, transportFailure: transportFailure(cause), cause }));
  return () => clearImmediate(told);
}

function open(options: DialOptions, onread: net.OnReadOpts): net.Socket {
  const { target } = options;
  const keepAlive = options.keepAliveMs !== undefined && options.keepAliveMs !== null;
  const where = target.kind === 'pipe' ? { path: target.path } : { host: target.address, port: target.port, ...(options.localAddress !== undefined && { localAddress: options.localAddress }) };
  const plain = { ...where, allowHalfOpen: true, noDelay: true, ...(keepAlive && { keepAlive, keepAliveInitialDelay: options.keepAliveMs ?? 0 }) };
  const common = { ...plain, onread };
  if (options.tls === null) return net.connect(common as net.NetConnectOpts);
  // TLS reads the socket beneath it by itself.
  const beneath = options.first === undefined ? null : net.connect(plain as net.NetConnectOpts);
  beneath?.once('connect', () => beneath.write(options.first ?? ''));
  const secure = tls.connect({ ...(beneath === null ? common : { socket: beneath }), ...options.tls.connectOptions(options.sni ?? '', options.alpn ?? (options.tls.alpn.length > 0 ? null : (options.alpnFallback ?? null))) } as tls.ConnectionOptions);
  beneath?.on('error', (error) => secure.destroy(error));
  return secure;
}

function transportFailure(cause: Error): string {
  return `TLS_error:${cause.message.replaceAll(/\s+/g, '_')}`;
}
