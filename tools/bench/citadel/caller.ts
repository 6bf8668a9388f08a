import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Client, Metadata } from '@grpc/grpc-js';
import { IstioCertificateServiceService, type IstioCertificateResponse } from '@meltemi/api/gen/istio/security/v1alpha1/ca.ts';
import { buildCsr } from '@meltemi/identity';
import { channelCredentials, joinTokenText, meshChannelOptions, mintJoinToken, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';

export const keyKinds = ['P-256', 'RSA-2048'] as const;
export type KeyKind = (typeof keyKinds)[number];

const method = IstioCertificateServiceService.createCertificate;
const same = (bytes: Buffer): Buffer => bytes;
const callDeadlineMs = 20_000;
const quiet = { info: () => undefined, warn: () => undefined };

/** A workload that has a certificate and asks for more: its requests are made, signed and encoded before anything is measured. */
export class Caller {
  readonly #agent: IdentityAgent;
  readonly #address: string;
  readonly #requests: Readonly<Record<KeyKind, Buffer>>;
  #client: Client;

  private constructor(address: string, agent: IdentityAgent, requests: Readonly<Record<KeyKind, Buffer>>) {
    this.#address = address;
    this.#agent = agent;
    this.#requests = requests;
    this.#client = this.#connect();
  }

  /** Joins by a token minted at `socketPath`. */
  static async join(address: string, socketPath: string, index: number): Promise<Caller> {
    const identity = `spiffe://cluster.local/ns/bench/sa/caller-${index}`;
    const agent = startIdentityAgent({ citadelAddress: address, identity, joinToken: joinTokenText(await mintJoinToken(socketPath, identity)), log: quiet });
    await agent.ready();
    const encode = (key: KeyObject): Buffer => method.requestSerialize({ csr: buildCsr(key, { uris: [identity] }), validityDuration: 3600n, metadata: undefined });
    return new Caller(address, agent, {
      'P-256': encode(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
      'RSA-2048': encode(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    });
  }

  /** One certificate over the connection that is open; rejects with the gRPC status. The answer stays bytes. */
  issue(kind: KeyKind): Promise<Buffer> {
    return ask(this.#client, this.#requests[kind]);
  }

  /** One certificate over a connection of its own, as agents ask. */
  async issueApart(kind: KeyKind): Promise<Buffer> {
    const client = this.#connect();
    try {
      return await ask(client, this.#requests[kind]);
    } finally {
      client.close();
    }
  }

  stop(): void {
    this.#client.close();
    this.#agent.stop();
  }

  #connect(): Client {
    return new Client(this.#address, channelCredentials(this.#agent, 'citadel'), { ...meshChannelOptions, 'grpc.use_local_subchannel_pool': 1 });
  }
}

/** How many certificates an answer holds: a leaf, the issuing CA, the root. */
export function certificatesIn(answer: Buffer): number {
  const { certChain }: IstioCertificateResponse = method.responseDeserialize(answer);
  return certChain.length;
}

function ask(client: Client, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(method.path, same, same, request, new Metadata(), { deadline: Date.now() + callDeadlineMs }, (error, answer) => (error || !answer ? reject(error ?? new Error('no answer')) : resolve(answer)));
  });
}
