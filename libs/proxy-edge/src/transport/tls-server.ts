import type { X509Certificate } from 'node:crypto';
import type net from 'node:net';
import tls from 'node:tls';
import { ok, type Result } from '@meltemi/base';
import type { TlsInfo } from '@meltemi/http';
import type { DownstreamTls } from '@meltemi/snapshot';
import type { ClientHello } from '@meltemi/proxy';
import { tlsInfoOf } from './tls-info.ts';
import { checkPeer, notSupplied, spokenProtocols, tlsMaterial, type SecretLookup, type TlsMaterial } from './tls-material.ts';

/** One immutable server context. A rotated secret makes a new one; open connections keep theirs. */
export interface ServerTls {
  /**
   * Takes the plain socket over, first bytes put back already, and tells the outcome once. `hello` is what the inspector read.
   * `timeoutMs` 0 = no handshake deadline of its own.
   */
  accept(socket: net.Socket, facts: { hello: ClientHello | null; timeoutMs: number }, result: HandshakeResult): void;
}

export interface HandshakeResult {
  onSecure(socket: tls.TLSSocket, info: TlsInfo): void;
  onFailure(reason: string): void;
}

/** Every handshake has a deadline, also when the config names none. */
const longestHandshakeMs = 60_000;

/** Compiles a downstream TLS config; fails while a secret is missing. */
export function serverTls(config: DownstreamTls, secrets: SecretLookup): Result<ServerTls> {
  const material = tlsMaterial(config, secrets, { tickets: config.sessionTickets, timeoutMs: config.sessionTimeoutMs });
  if (!material.ok) return material;
  return ok({ accept: (socket, facts, result) => handshake({ config, material: material.value, socket, facts, result }) });
}

/** Stands where a secret has not arrived in time: refuses every connection, as Envoy does. `onRefused` is told of each. */
export function awaitingSecrets(missing: readonly string[], onRefused: () => void): ServerTls {
  return {
    accept(socket, _facts, result) {
      onRefused();
      socket.destroy();
      result.onFailure(notSupplied(missing));
    },
  };
}

interface Handshake {
  readonly config: DownstreamTls;
  readonly material: TlsMaterial;
  readonly socket: net.Socket;
  readonly facts: { hello: ClientHello | null; timeoutMs: number };
  readonly result: HandshakeResult;
}

function handshake({ config, material, socket, facts, result }: Handshake): void {
  const asks = config.requireClientCertificate || material.validation?.trustedCa !== undefined;
  const protocols = commonProtocols(config.alpn, facts.hello);
  const secure = new tls.TLSSocket(socket, {
    isServer: true,
    secureContext: material.context,
    requestCert: asks && material.validation !== null,
    rejectUnauthorized: config.requireClientCertificate,
    ...(protocols.length > 0 && { ALPNProtocols: protocols }),
  });
  let settled = false;
  const fail = (reason: string) => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    secure.destroy();
    socket.destroy();
    result.onFailure(reason);
  };
  const timer = setTimeout(() => fail('TLS handshake timeout'), facts.timeoutMs || longestHandshakeMs);
  secure.on('error', (error) => fail(error.message));
  secure.on('close', () => fail('closed during the TLS handshake'));
  // Half-open sockets do not close by themselves when the client ended: balancers probe ports that way.
  secure.once('end', () => fail('closed during the TLS handshake'));
  socket.on('error', (error) => fail(error.message));
  secure.once('secure', () => {
    const peer = secure.getPeerX509Certificate();
    const reason = refusal(secure, peer, config, material);
    if (reason !== null) return fail(reason);
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    result.onSecure(secure, tlsInfoOf(secure, peer, { sni: facts.hello?.serverName ?? '', validated: material.verifies, local: material.local }));
  });
}

/** What tls.Server asks of its sockets too. */
interface VerifiedHandle {
  verifyError(): (Error & { code?: string }) | null;
}

function refusal(socket: tls.TLSSocket, peer: X509Certificate | undefined, config: DownstreamTls, material: TlsMaterial): string | null {
  if (peer === undefined) return config.requireClientCertificate ? 'the client showed no certificate' : null;
  if (material.verifies) {
    const handle = (socket as unknown as { ssl: VerifiedHandle }).ssl;
    const error = handle.verifyError();
    if (error !== null && error !== undefined && !(material.validation?.allowExpired && error.code === 'CERT_HAS_EXPIRED')) return `the client certificate is not trusted: ${error.code ?? error.message}`;
    // A resumed session was verified when it began.
    if (!material.validation?.allowExpired && peer.validToDate.getTime() < Date.now()) return 'the client certificate is not trusted: CERT_HAS_EXPIRED';
  }
  return checkPeer(peer, material);
}

/** Node answers a client without a common protocol with a fatal alert, Envoy goes on without ALPN: then offer none. */
function commonProtocols(ours: readonly string[], hello: ClientHello | null): string[] {
  const spoken = spokenProtocols(ours);
  if (hello === null) return spoken;
  return spoken.some((protocol) => hello.alpn.includes(protocol)) ? spoken : [];
}
