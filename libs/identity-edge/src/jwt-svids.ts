import { createSecureContext } from 'node:tls';
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { JwtSvidsClient, type IssueJwtSvidResponse } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { err, ok, systemClock, type Clock, type Result } from '@meltemi/base';
import type { WorkloadCertificate } from '@meltemi/identity';
import { isCitadel, meshChannelOptions } from './issuance.ts';
import { VerifiedTlsCredentials } from './verified-tls.ts';

/** A token that others can verify with the trust bundle. */
export interface JwtSvid {
  readonly token: string;
  readonly spiffeId: string;
}

export interface JwtSvidFailure {
  /** False: citadel did not answer; try again. */
  readonly refused: boolean;
  readonly message: string;
}

export interface JwtSvidsOptions {
  /** host:port of citadel. */
  readonly citadelAddress: string;
  /** The certificate that proves whose tokens they are. */
  readonly current: () => WorkloadCertificate | undefined;
  readonly clock?: Clock;
}

const callDeadlineMs = 10_000;
const maxMessageBytes = 65_536;
/** Sets of audiences whose token is kept until half of its life is over. */
const maxKept = 128;

interface KeptSvid {
  readonly svid: JwtSvid;
  readonly freshUntil: number;
}

/** JWT-SVIDs of this program's identity, from citadel. The same audiences get the same token until half of its life is over. */
export class JwtSvids {
  readonly #options: JwtSvidsOptions;
  readonly #clock: Clock;
  /** The newest last. */
  readonly #kept = new Map<string, KeptSvid>();
  readonly #asked = new Map<string, Promise<Result<JwtSvid, JwtSvidFailure>>>();

  constructor(options: JwtSvidsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Rejects never. */
  get(audiences: readonly string[]): Promise<Result<JwtSvid, JwtSvidFailure>> {
    const key = JSON.stringify([...new Set(audiences)].toSorted());
    const kept = this.#kept.get(key);
    if (kept && kept.freshUntil > this.#clock.now()) return Promise.resolve(ok(kept.svid));
    const asked = this.#asked.get(key) ?? this.#ask(key, audiences).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asked);
    return asked;
  }

  async #ask(key: string, audiences: readonly string[]): Promise<Result<JwtSvid, JwtSvidFailure>> {
    const certificate = this.#options.current();
    if (!certificate) return err({ refused: false, message: 'there is no certificate yet' });
    try {
      const now = this.#clock.now();
      const { token, spiffeId, expires } = await this.#call(certificate, audiences);
      if (spiffeId !== certificate.spiffeId) return err({ refused: true, message: `citadel signed for ${spiffeId}, not for ${certificate.spiffeId}` });
      this.#kept.delete(key);
      this.#kept.set(key, { svid: { token, spiffeId }, freshUntil: now + (Number(expires) * 1000 - now) / 2 });
      for (const oldest of this.#kept.keys()) if (this.#kept.size > maxKept) this.#kept.delete(oldest);
      return ok({ token, spiffeId });
    } catch (cause) {
      const { code, details } = cause as Partial<ServiceError>;
      const refused = code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED || code === status.INVALID_ARGUMENT || code === status.UNIMPLEMENTED;
      return err({ refused, message: `citadel at ${this.#options.citadelAddress}: ${details ?? (cause instanceof Error ? cause.message : String(cause))}` });
    }
  }

  async #call({ certChainPem, privateKeyPem, trust }: WorkloadCertificate, audiences: readonly string[]): Promise<IssueJwtSvidResponse> {
    const secureContext = createSecureContext({ ca: trust.pem, cert: certChainPem, key: privateKeyPem });
    const credentials = new VerifiedTlsCredentials({ ready: async () => undefined, context: () => ({ secureContext }), verify: (chain) => isCitadel(chain, trust, this.#clock.now()) });
    const client = new JwtSvidsClient(this.#options.citadelAddress, credentials, { ...meshChannelOptions, 'grpc.enable_retries': 0, 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': maxMessageBytes });
    try {
      return await new Promise((resolve, reject) => client.issue({ audience: [...audiences], ttlSeconds: 0n }, new Metadata(), { deadline: Date.now() + callDeadlineMs }, (error, response) => (error ? reject(error) : resolve(response))));
    } finally {
      client.close();
    }
  }
}
