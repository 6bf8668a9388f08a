import { createSecureContext } from 'node:tls';
import { status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { TrustBundleClient, type WatchTrustRequest, type WatchTrustResponse } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import type { Clock, Random } from '@meltemi/base';
import { bundleVersion, fingerprintOf, parseCertificates, verifyChain, type TrustBundle, type WorkloadCertificate } from '@meltemi/identity';
import { isCitadel, meshChannelOptions, trustOf } from './issuance.ts';
import { retryDelayMs } from './renewal.ts';
import { VerifiedTlsCredentials } from './verified-tls.ts';

export interface TrustFollowerOptions {
  readonly citadelAddress: string;
  readonly trustDomain: string;
  /** What the program calls itself, without spaces, and its run. */
  readonly name: string;
  readonly run: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Puts new roots in force. Resolves with what is then in force, and why it is not what was sent ("" when it is). */
  readonly take: (trust: TrustBundle) => Promise<InForce>;
  /** Another root signs now: a new certificate is needed, within this time. */
  readonly renewWithin: (ms: number) => void;
  readonly onProblem: (reason: string) => void;
}

/** What a program uses at the moment. */
export interface InForce {
  readonly certificate: WorkloadCertificate;
  /** SHA-256 of the roots that every part of the program believes. */
  readonly trusted: readonly string[];
  /** Why the certificate, or its roots, are not in force everywhere; "" when nothing is wrong. */
  readonly problem: string;
}

type Stream = ClientDuplexStream<WatchTrustRequest, WatchTrustResponse>;

/** Authenticated anew now and then, and moved to another citadel when there are several. */
const streamLifetimeMs = 3_600_000;
/** A citadel of before does not know the stream; it may be replaced by a newer. */
const unknownRetryMs = 60_000;
const maxMessageBytes = 4 * 1024 * 1024;
const goodbyeMs = 500;
const problemRetryMs = 5000;

/** Follows citadel's trust bundle over one stream, with the newest certificate, and says what is in force. A lost stream costs nothing but news. */
export class TrustFollower {
  readonly #options: TrustFollowerOptions;
  #inForce: InForce | undefined;
  #client: TrustBundleClient | undefined;
  #stream: Stream | undefined;
  #pending: WatchTrustResponse | undefined;
  #taking = false;
  #failures = 0;
  #cancelRetry: () => void = () => undefined;
  #stopped = false;

  constructor(options: TrustFollowerOptions) {
    this.#options = options;
  }

  /** With a new certificate: a stream that proves it takes the place of the one before. */
  follow(inForce: InForce): void {
    this.#inForce = inForce;
    this.#failures = 0;
    this.#connect();
  }

  /** Says that nobody has to wait for this program any more, and ends. Resolves when it is said, or half a second later. `last`: what it had, if it has not followed yet. */
  stop(last: InForce | undefined): Promise<void> {
    this.#cancelRetry();
    this.#inForce ??= last;
    if (!this.#stopped && !this.#stream) this.#connect();
    this.#stopped = true;
    const [stream, client] = [this.#stream, this.#client];
    this.#stream = undefined;
    this.#client = undefined;
    if (!stream || !client) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        client.close();
        resolve();
      };
      const timer = setTimeout(end, goodbyeMs);
      timer.unref();
      stream.once('status', end);
      stream.write(this.#said(true));
      stream.end();
    });
  }

  #connect(): void {
    this.#close();
    const inForce = this.#inForce;
    if (this.#stopped || !inForce) return;
    const { citadelAddress, clock } = this.#options;
    const { certificate } = inForce;
    const secureContext = createSecureContext({ ca: certificate.trust.pem, cert: certificate.certChainPem, key: certificate.privateKeyPem });
    const credentials = new VerifiedTlsCredentials({ ready: async () => undefined, context: () => ({ secureContext }), verify: (chain) => isCitadel(chain, certificate.trust, clock.now()) });
    const client = new TrustBundleClient(citadelAddress, credentials, { ...meshChannelOptions, 'grpc.enable_retries': 0, 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': maxMessageBytes });
    const stream = client.watch({ deadline: Date.now() + streamLifetimeMs * (0.9 + this.#options.random.next() * 0.1) });
    this.#client = client;
    this.#stream = stream;
    stream.on('data', (message: WatchTrustResponse) => {
      if (this.#stream === stream) this.#hear(message);
    });
    stream.on('error', (cause) => this.#lost(stream, cause));
    stream.on('end', () => this.#lost(stream, undefined));
    stream.write(this.#said(false));
  }

  #close(): void {
    this.#cancelRetry();
    const [stream, client] = [this.#stream, this.#client];
    this.#stream = undefined;
    this.#client = undefined;
    stream?.on('error', () => undefined);
    stream?.cancel();
    client?.close();
  }

  #lost(stream: Stream, cause: Error | undefined): void {
    if (this.#stream !== stream) return;
    this.#close();
    const { code, details } = (cause ?? {}) as Partial<ServiceError>;
    this.#failures += 1;
    const refused = code === status.UNAUTHENTICATED || code === status.RESOURCE_EXHAUSTED || code === status.INVALID_ARGUMENT;
    if (refused) this.#options.onProblem(details ?? 'refused');
    const { clock, random } = this.#options;
    const delayMs = code === status.UNIMPLEMENTED ? unknownRetryMs : retryDelayMs({ count: this.#failures, refused, remainingMs: 0 }, random);
    this.#cancelRetry = clock.after(delayMs, () => this.#connect());
  }

  /** One after the other; of several that wait the newest counts. */
  #hear(message: WatchTrustResponse): void {
    this.#failures = 0;
    this.#pending = message;
    if (this.#taking) return;
    this.#taking = true;
    void this.#work().finally(() => (this.#taking = false));
  }

  async #work(): Promise<void> {
    for (let message = this.#pending; message && this.#inForce && !this.#stopped; message = this.#pending) {
      this.#pending = undefined;
      this.#inForce = await this.#put(message, this.#inForce);
      if (this.#stopped) return;
      this.#stream?.write(this.#said(false));
      if (this.#inForce.problem !== '') this.#again(message);
      if (message.signingRoot !== rootOf(this.#inForce.certificate, this.#options.clock.now())) this.#options.renewWithin(Math.max(0, Number(message.renewWithinMs)));
    }
  }

  /** What is not in force yet may be a moment later. */
  #again(message: WatchTrustResponse): void {
    const stream = this.#stream;
    this.#cancelRetry = this.#options.clock.after(problemRetryMs, () => {
      if (this.#stream === stream && !this.#pending) this.#hear(message);
    });
  }

  async #put({ bundle }: WatchTrustResponse, inForce: InForce): Promise<InForce> {
    const trust = trustOf(this.#options.trustDomain, { rootsPem: bundle?.rootsPem ?? [], federated: bundle?.federated ?? [], revocationListsPem: bundle?.revocationListsPem ?? '', jwtKeys: bundle?.jwtKeys ?? '' });
    if (!trust.ok) return { ...inForce, problem: `the roots that citadel sent are refused: ${trust.error[0]?.path} ${trust.error[0]?.message}` };
    if (bundleVersion(trust.value) === bundleVersion(inForce.certificate.trust) && inForce.problem === '') return inForce;
    return this.#options.take(trust.value);
  }

  #said(leaving: boolean): WatchTrustRequest {
    const { name, run } = this.#options;
    const { trusted = [], problem = '' } = this.#inForce ?? {};
    return { name, run, trustedRoots: [...trusted], problem: problem.slice(0, 512), leaving };
  }
}

/** SHA-256 of the root that a certificate leads to; "" when it leads to none that is believed. */
function rootOf({ certChainPem, trust }: WorkloadCertificate, now: number): string {
  const chain = parseCertificates(certChainPem);
  const peer = chain.ok ? verifyChain(chain.value, trust, { now, use: 'any' }) : chain;
  const root = peer.ok ? peer.value.path.at(-1) : undefined;
  return root ? fingerprintOf(root) : '';
}
