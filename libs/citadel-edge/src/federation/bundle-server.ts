import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@meltemi/base';
import { formatBundleDocument, type TrustBundle } from '@meltemi/identity';
import type { CertificateSource } from '@meltemi/identity-edge';
import type { CitadelLog } from '../certificate-handlers.ts';

export interface BundleServerOptions {
  readonly host: string;
  readonly port: number;
  /** The bundle in force. */
  readonly trust: () => TrustBundle;
  /** Seconds after which readers ask again. */
  readonly refreshHintSeconds: number;
  /** `https_spiffe`: citadel's own certificate. `https_web`: PEM of a certificate and its key, asked for again and again. */
  readonly certificate: CertificateSource | (() => Promise<{ readonly cert: string; readonly key: string }>);
  readonly clock: Clock;
  readonly log: CitadelLog;
}

export interface BundleServer {
  readonly port: number;
  stop(): Promise<void>;
}

const rereadMs = 60_000;
const timeoutMs = 5_000;
const maxConnections = 256;

/** Serves this trust domain's bundle document over HTTPS at / and /bundle.json: public, for trust domains that federate with this one. */
export async function serveBundle(options: BundleServerOptions): Promise<BundleServer> {
  const document = documentOf(options);
  const server = createServer({ minVersion: 'TLSv1.2', headersTimeout: timeoutMs, requestTimeout: timeoutMs, keepAliveTimeout: timeoutMs, connectionsCheckingInterval: 1_000, handshakeTimeout: timeoutMs, maxHeaderSize: 8192 }, (request, response) => {
    const found = /^\/(?:bundle\.json)?(?:\?|$)/.test(request.url ?? '');
    const allowed = request.method === 'GET' || request.method === 'HEAD';
    if (!found || !allowed) return void response.writeHead(found ? 405 : 404, { connection: 'close' }).end();
    const body = document();
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' });
    response.end(request.method === 'HEAD' ? '' : body);
  });
  server.maxConnections = maxConnections;
  server.on('tlsClientError', () => undefined);
  const release = await present(server, options);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => new Promise((resolve) => {
      release();
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}

/** The sequence is when this process first saw the roots and keys as they are. */
function documentOf({ trust, clock, refreshHintSeconds }: BundleServerOptions): () => string {
  let of: string | undefined;
  let text = '';
  let last = 0;
  return () => {
    const { roots, pem, jwtKeys } = trust();
    if (`${pem}${jwtKeys}` === of) return text;
    of = `${pem}${jwtKeys}`;
    last = Math.max(Math.floor(clock.now() / 1000), last + 1);
    return (text = formatBundleDocument({ roots, ...(jwtKeys !== undefined && { jwtKeys }) }, { sequence: last, refreshHintSeconds }));
  };
}

/** Puts the certificate in, now and whenever it changes. Rejects when there is none to begin with. */
async function present(server: Server, { certificate, clock, log }: BundleServerOptions): Promise<() => void> {
  if (typeof certificate !== 'function') return certificate.subscribe(({ certChainPem, privateKeyPem }) => server.setSecureContext({ cert: certChainPem, key: privateKeyPem }));
  let now = '';
  const read = async (): Promise<void> => {
    const { cert, key } = await certificate();
    if (cert + key === now) return;
    server.setSecureContext({ cert, key });
    now = cert + key;
  };
  await read();
  let cancel = (): void => undefined;
  const again = (): void => {
    cancel = clock.after(rereadMs, () => void read().catch((cause: unknown) => log.error({ reason: String(cause) }, 'the certificate of the bundle endpoint cannot be read again; the one before goes on')).finally(again));
  };
  again();
  return () => cancel();
}
