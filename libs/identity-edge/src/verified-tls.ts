import type { Socket } from 'node:net';
import { connect, type ConnectionOptions, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { ChannelCredentials, credentials, type CallCredentials, type experimental } from '@grpc/grpc-js';
import { formatFieldErrors, type Result } from '@meltemi/base';
import { parseChain, type Certificate } from '@meltemi/identity';

/** How one gRPC channel dials TLS. Asked again for every connection, so that a renewed certificate is used from then on. */
export interface TlsDialer {
  /** Resolves when `context` has something to offer. */
  ready(): Promise<void>;
  /** ca, cert, key and server name of the next connection. Without `ca` OpenSSL checks no chain: then `verify` is all there is. */
  context(): Pick<ConnectionOptions, 'secureContext' | 'rejectUnauthorized' | 'servername'>;
  /** Judges the chain the server presented, leaf first. Nothing is sent to the server before this says ok. */
  verify(chain: readonly Certificate[]): Result<unknown>;
}

const handshakeDeadlineMs = 10_000;
/** Leaf, two intermediates, root, and some air. */
const maxPresented = 6;

/**
 * gRPC channel credentials that check the server by its certificate chain and never by its host name: SPIFFE identities are not DNS names,
 * and node refuses an IP address as TLS server name.
 */
export class VerifiedTlsCredentials extends ChannelCredentials {
  readonly #dialer: TlsDialer;

  constructor(dialer: TlsDialer) {
    super();
    this.#dialer = dialer;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(_target: unknown, _options: unknown, callCredentials?: CallCredentials): experimental.SecureConnector {
    const dialer = this.#dialer;
    return {
      connect: async (socket) => ({ socket: await handshake(socket, dialer), secure: true }),
      waitForReady: () => dialer.ready(),
      getCallCredentials: () => callCredentials ?? credentials.createEmpty(),
      destroy: () => undefined,
    };
  }
}

function handshake(socket: Socket, dialer: TlsDialer): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const tls = connect({ socket, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined, ...dialer.context() });
    const timer = setTimeout(() => tls.destroy(new Error(`no TLS handshake within ${handshakeDeadlineMs} ms`)), handshakeDeadlineMs);
    const fail = (cause: Error): void => {
      clearTimeout(timer);
      tls.destroy();
      reject(cause);
    };
    const closed = (): void => fail(new Error('the server closed the connection during the TLS handshake'));
    tls.once('error', fail);
    tls.once('close', closed);
    tls.once('secureConnect', () => {
      const chain = parseChain(presentedChain(tls));
      const verified = chain.ok ? dialer.verify(chain.value) : chain;
      if (!verified.ok) return fail(new Error(`the server's certificate is refused: ${formatFieldErrors(verified.error)}`));
      clearTimeout(timer);
      tls.off('close', closed);
      tls.off('error', fail);
      resolve(tls);
    });
  });
}

/** The certificates a TLS peer sent, DER, leaf first. */
function presentedChain(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (at?.raw && chain.length < maxPresented && !chain.some((der) => der.equals(at?.raw ?? der))) {
    chain.push(at.raw);
    at = at.issuerCertificate;
  }
  return chain;
}
