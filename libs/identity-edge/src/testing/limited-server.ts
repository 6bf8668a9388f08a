import { connect as connectPlain, type Socket } from 'node:net';
import { Client, Server, status, type ServerUnaryCall, type ServiceError, type sendUnaryData } from '@grpc/grpc-js';
import type { WorkloadCertificate } from '@meltemi/identity';
import { callLimits, type CallLimitsOptions } from '../limits/call-limits.ts';
import { defaultConnectionLimits, limitConnections, type ConnectionLimits } from '../limits/connection-limits.ts';
import { channelCredentials } from '../channel-credentials.ts';
import { meshChannelOptions } from '../issuance.ts';
import { serverCredentials } from '../server-credentials.ts';
import { FixedIdentity, MeshFixture } from './identity-fixture.ts';

const bytes = { requestSerialize: (value: Buffer) => value, requestDeserialize: (value: Buffer) => value, responseSerialize: (value: Buffer) => value, responseDeserialize: (value: Buffer) => value };
/** Sends bytes back. */
export const echoMethod = { path: '/test.Echo/Echo', requestStream: false, responseStream: false, ...bytes } as const;

const generous: CallLimitsOptions = { maxOpenPerClient: 1000, ratePerClient: { perSecond: 10_000, burst: 10_000 } };

/** A server of an echo over mTLS with limits: for tests. "slow" is answered when `finish` is called. */
export class LimitedServer {
  readonly mesh = new MeshFixture();
  readonly refused: string[] = [];
  port = 0;
  readonly #server: Server;
  readonly #slow: (() => void)[] = [];
  readonly #closers: (() => void)[] = [];

  constructor(calls: Partial<CallLimitsOptions> = {}) {
    this.#server = new Server({ interceptors: [callLimits({ ...generous, ...calls, onRefused: (reason, client) => void this.refused.push(`${reason} ${client}`) })] });
    this.#server.addService({ echo: echoMethod }, {
      echo: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        if (call.request.toString() === 'slow') this.#slow.push(() => done(null, call.request));
        else done(null, call.request);
      },
    });
  }

  async start(connections: Partial<ConnectionLimits> = {}): Promise<this> {
    const own = new FixedIdentity(this.mesh.issue('spiffe://cluster.local/ns/istio-system/sa/meltemi-pilot'));
    this.port = await new Promise((resolve, reject) => this.#server.bindAsync('127.0.0.1:0', serverCredentials(own), (error, port) => (error ? reject(error) : resolve(port))));
    limitConnections(this.#server, { ...defaultConnectionLimits, ...connections, onRefused: (reason, client) => void this.refused.push(`${reason} ${client}`) });
    return this;
  }

  get waiting(): number {
    return this.#slow.length;
  }

  finish(): void {
    for (const end of this.#slow.splice(0)) end();
  }

  /** A client of this service account, with a connection of its own. */
  client(account: string): Client {
    const client = echoClient(this.port, this.mesh.issue(`spiffe://cluster.local/ns/default/sa/${account}`));
    this.#closers.push(() => client.close());
    return client;
  }

  /** Connects and says nothing. */
  silent(localAddress = '127.0.0.1'): Socket {
    const socket = connectPlain({ port: this.port, host: '127.0.0.1', localAddress });
    socket.on('error', () => undefined);
    this.#closers.push(() => socket.destroy());
    return socket;
  }

  stop(): void {
    for (const close of this.#closers) close();
    this.#server.forceShutdown();
  }
}

/** A client of pilot's, here, with a connection of its own. */
export function echoClient(port: number, certificate: WorkloadCertificate): Client {
  return new Client(`127.0.0.1:${port}`, channelCredentials(new FixedIdentity(certificate), 'pilot'), { ...meshChannelOptions, 'grpc.use_local_subchannel_pool': 1 });
}

/** Calls echo: the status, and what the server said. */
export function callEcho(client: Client, text = 'hello', deadlineMs = 10_000): Promise<{ readonly code: number; readonly details: string; readonly pushback: string }> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(echoMethod.path, echoMethod.requestSerialize, echoMethod.responseDeserialize, Buffer.from(text), { deadline: Date.now() + deadlineMs }, (error: ServiceError | null) => {
      resolve({ code: error?.code ?? status.OK, details: error?.details ?? '', pushback: String(error?.metadata.get('grpc-retry-pushback-ms')[0] ?? '') });
    });
  });
}
