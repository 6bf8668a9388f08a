import { X509Certificate } from 'node:crypto';
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Server } from '@grpc/grpc-js';
import type { Result } from '@meltemi/base';
import { parseCertificate, type Certificate } from '@meltemi/identity';

/** A gRPC server call, as far as its peer is concerned: every kind of grpc-js server call fits. */
export interface AuthenticatedCall {
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } };
}

/** Of the certificates that sessions remember: what was read of each. */
const read = new WeakMap<Buffer, { x509?: X509Certificate; certificate?: Result<Certificate> }>();

/**
 * Has every connection of a grpc-js server keep its peer's certificate: grpc-js asks for it with each call, once for each who wants to know, and Node makes it
 * anew each time. It cannot change: HTTP/2 forbids renegotiation (RFC 9113 §9.2.1). Call it when the server is bound.
 */
export function rememberPeers(server: Server): void {
  for (const door of http2ServersOf(server)) door.on('session', remember);
}

function remember(session: ServerHttp2Session): void {
  const socket = session.socket as TLSSocket;
  if (typeof socket.getPeerCertificate !== 'function') return;
  const ask = socket.getPeerCertificate.bind(socket) as (detailed?: boolean) => unknown;
  let known: unknown;
  socket.getPeerCertificate = ((detailed?: boolean) => (detailed === true ? ask(true) : (known ??= ask()))) as TLSSocket['getPeerCertificate'];
}

/** The certificate that TLS verified at the handshake, as OpenSSL reads it; undefined without one. */
export function peerX509(call: AuthenticatedCall): X509Certificate | undefined {
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  if (!raw) return undefined;
  const known = memo(raw);
  return (known.x509 ??= new X509Certificate(raw));
}

/** The same, read in full; undefined without one. */
export function peerCertificate(call: AuthenticatedCall): Result<Certificate> | undefined {
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  if (!raw) return undefined;
  const known = memo(raw);
  return (known.certificate ??= parseCertificate(raw));
}

function memo(raw: Buffer): { x509?: X509Certificate; certificate?: Result<Certificate> } {
  const known = read.get(raw) ?? {};
  read.set(raw, known);
  return known;
}

/** grpc-js shows its listening servers to nobody. Throws where another version keeps them elsewhere. */
export function http2ServersOf(server: Server): Http2Server[] {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  if (!(servers instanceof Map) || servers.size === 0) throw new Error('grpc-js keeps its http2 servers elsewhere: connections would have no limits');
  return [...servers.keys()] as Http2Server[];
}
