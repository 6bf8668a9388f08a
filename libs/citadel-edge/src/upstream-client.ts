import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { IstioCertificateServiceClient, type IstioCertificateResponse } from '@meltemi/api/gen/istio/security/v1alpha1/ca.ts';
import { err, fail, ok, type Result } from '@meltemi/base';
import type { UpstreamCa } from '@meltemi/citadel';
import { controlPlaneId, createTrustBundle, formatSpiffeId, verifyChain, type Certificate } from '@meltemi/identity';
import { meshChannelOptions, VerifiedTlsCredentials } from '@meltemi/identity-edge';
import { readBounded } from './read-bounded.ts';

export interface UpstreamAddress {
  readonly trustDomain: string;
  /** host:port of another citadel, or of an authority that speaks Istio's certificate service. */
  readonly address: string;
  /** File of the roots that the server and every certificate must lead to, PEM; read again for each connection, as the other files. */
  readonly rootFile: string;
  /** DNS name that the server's certificate must have; undefined: it must be citadel's. */
  readonly serverName?: string;
  /** File of a bearer token, read again for each request. */
  readonly tokenFile?: string;
  /** Files of a client certificate with its chain, and its key, PEM. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** For one request. Default 8 s: less than callers of citadel wait. */
  readonly timeoutMs?: number;
}

const maxMessageBytes = 262_144;
const maxTokenBytes = 16_384;

/** Has certificates signed over Istio's certificate service. One channel, verified before anything is sent. */
export class UpstreamClient implements UpstreamCa {
  readonly #options: UpstreamAddress;
  readonly #client: IstioCertificateServiceClient;

  constructor(options: UpstreamAddress) {
    this.#options = options;
    const credentials = new VerifiedTlsCredentials({ ready: async () => undefined, context: () => ({ secureContext: secureContext(options) }), verify: (chain) => verifyServer(chain, options) });
    this.#client = new IstioCertificateServiceClient(options.address, credentials, { ...meshChannelOptions, 'grpc.enable_retries': 0, 'grpc.max_receive_message_length': maxMessageBytes, 'grpc.initial_reconnect_backoff_ms': 250, 'grpc.max_reconnect_backoff_ms': 5000 });
  }

  async sign({ csr, lifetimeMs }: { readonly csr: string; readonly lifetimeMs: number }): Promise<Result<readonly string[], string>> {
    const { address, tokenFile, timeoutMs = 8000 } = this.#options;
    try {
      const metadata = new Metadata();
      if (tokenFile !== undefined) metadata.set('authorization', `Bearer ${await tokenIn(tokenFile)}`);
      const validityDuration = BigInt(Math.max(1, Math.floor(lifetimeMs / 1000)));
      const { certChain } = await new Promise<IstioCertificateResponse>((resolve, reject) => {
        this.#client.createCertificate({ csr, validityDuration, metadata: undefined }, metadata, { deadline: Date.now() + timeoutMs }, (error, response) => (error ? reject(error) : resolve(response)));
      });
      return ok(certChain);
    } catch (cause) {
      const { details, message } = cause as Partial<ServiceError>;
      return err(`${address}: ${details ?? message ?? String(cause)}`);
    }
  }

  stop(): void {
    this.#client.close();
  }
}

async function tokenIn(path: string): Promise<string> {
  const token = (await readBounded(path, maxTokenBytes))?.trim();
  if (token === undefined || !/^\S+$/.test(token)) throw new Error(`${path} holds no token`);
  return token;
}

function secureContext({ rootFile, certFile, keyFile }: UpstreamAddress): ReturnType<typeof createSecureContext> {
  return createSecureContext({ ca: readFileSync(rootFile), ...(certFile !== undefined && keyFile !== undefined && { cert: readFileSync(certFile), key: readFileSync(keyFile) }) });
}

/** OpenSSL has checked that the chain leads to the roots; here is checked whose it is. */
function verifyServer(chain: readonly Certificate[], { trustDomain, rootFile, serverName }: UpstreamAddress): Result<unknown> {
  if (serverName !== undefined) return chain[0]?.dnsNames.includes(serverName) === true ? ok(undefined) : fail('', `it is for ${chain[0]?.dnsNames.join(', ') || 'no DNS name'}, not for ${serverName}`);
  const trust = createTrustBundle(trustDomain, [readFileSync(rootFile, 'utf8')]);
  if (!trust.ok) return trust;
  const peer = verifyChain(chain, trust.value, { now: Date.now(), use: 'server' });
  const expected = formatSpiffeId(controlPlaneId(trustDomain, 'citadel'));
  if (!peer.ok) return peer;
  return formatSpiffeId(peer.value.id) === expected ? peer : fail('', `it belongs to ${formatSpiffeId(peer.value.id)}, not to ${expected}`);
}
