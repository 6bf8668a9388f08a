import { credentials, Metadata, status, type CallOptions, type ChannelCredentials, type ClientOptions, type ClientReadableStream, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js';
import { existsSync } from 'node:fs';
import { ConfigServiceClient, StatusServiceClient } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { CliError } from './cli-error.ts';
import type { MeshContext } from './context.ts';

const callDeadlineMs = 15_000;

/** Pilot's two services for the CLI, with deadlines and errors a person can act on. */
export interface PilotClient {
  readonly config: ConfigServiceClient;
  readonly status: StatusServiceClient;
  close(): void;
}

/** Connects over the context's socket, or else over mTLS to its address. */
export async function connectPilot(context: MeshContext): Promise<PilotClient> {
  if (context.configSocket === undefined && context.configAddress !== undefined) return connectRemote(context, context.configAddress);
  const socket = context.configSocket;
  if (!socket) throw new CliError('The context names no configSocket: start the mesh again with npm start, or write the path of pilot\'s --config-socket there.');
  if (!existsSync(socket)) throw new CliError(`The mesh is not running: its config socket ${socket} is gone. Start it with npm start.`);
  return clients(`unix:${socket}`, credentials.createInsecure());
}

/** The certificate is kept in the context's stateDir and renewed there; only the first needs a join token. */
async function connectRemote({ citadelAddress, identity, stateDir, joinTokenFile: tokenFile }: MeshContext, address: string): Promise<PilotClient> {
  if (!citadelAddress || !identity || !stateDir) throw new CliError('The context names a configAddress but not who you are: add citadelAddress (host:port), identity (spiffe://…, one that pilot\'s --config-rbac or --config-allow names), stateDir, and joinTokenFile for the first time.');
  // Only here: a local command should not pay for loading it.
  const { channelCredentials, joinTokenFile, meshChannelOptions, startIdentityAgent } = await import('@meltemi/identity-edge');
  const silent = { info: () => undefined, warn: () => undefined };
  const agent = startIdentityAgent({ citadelAddress, identity, stateDir, log: silent, ...(tokenFile === undefined ? {} : { joinToken: joinTokenFile(tokenFile) }) });
  try {
    await agent.ready(callDeadlineMs);
  } catch (cause) {
    agent.stop();
    throw new CliError(`No certificate for ${identity} from citadel at ${citadelAddress}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  return clients(address, channelCredentials(agent, 'pilot'), { channel: meshChannelOptions, stop: () => agent.stop() });
}

function clients(address: string, channelCredentials: ChannelCredentials, remote: { channel?: ClientOptions; stop?: () => void } = {}): PilotClient {
  const options = { 'grpc.max_receive_message_length': 256 * 1024 * 1024, ...remote.channel };
  const config = new ConfigServiceClient(address, channelCredentials, options);
  const statusClient = new StatusServiceClient(address, channelCredentials, options);
  return {
    config,
    status: statusClient,
    close() {
      config.close();
      statusClient.close();
      remote.stop?.();
    },
  };
}

type Unary<Request, Response> = (request: Request, metadata: Metadata, options: Partial<CallOptions>, callback: (error: ServiceError | null, response: Response) => void) => ClientUnaryCall;

/** One unary call: `call(client.config.apply.bind(client.config), request)`. */
export function call<Request, Response>(method: Unary<Request, Response>, request: Request): Promise<Response> {
  return new Promise((resolve, reject) => {
    method(request, new Metadata(), { deadline: Date.now() + callDeadlineMs }, (error, response) => (error ? reject(explain(error)) : resolve(response)));
  });
}

/** Hands each message of a stream on; resolves at its end. */
export function readStream<T>(stream: ClientReadableStream<T>, take: (message: T) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.on('data', take);
    stream.on('end', resolve);
    stream.on('error', (error: ServiceError) => reject(explain(error)));
  });
}

function explain(error: ServiceError): CliError {
  switch (error.code) {
    case status.UNAVAILABLE: return new CliError(`Pilot does not answer (${error.details}). Is the mesh running? Its log is in .meltemi/logs/pilot.log after npm start.`);
    case status.DEADLINE_EXCEEDED: return new CliError('Pilot took too long to answer. Look at its log, then try again.');
    default: return new CliError(error.details === '' ? error.message : error.details);
  }
}
