import { Server, ServerCredentials, type ServerInterceptor } from '@grpc/grpc-js';
import { ConfigServiceService, StatusServiceService, type ConfigServiceServer, type StatusServiceServer } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { callLimits, defaultConnectionLimits, limitConnections, serverCredentials, type ConnectionLimits, type IdentityAgent } from '@meltemi/identity-edge';
import type { SpiffeId } from '@meltemi/identity';
import { bindPrivately, formatAddress, type Address } from '@meltemi/observe-edge';

/** Of a request; 1,000 objects of usual size are a tenth of it. */
const maxMessageBytes = 16 * 1024 * 1024;

/** A gRPC server with the config and status services; not yet bound. Each door has its own: what it proves of callers is its own. */
export function configServer(config: ConfigServiceServer, status: StatusServiceServer, interceptors: readonly ServerInterceptor[] = []): Server {
  const server = new Server({ 'grpc.max_receive_message_length': maxMessageBytes, 'grpc.max_send_message_length': 16 * maxMessageBytes, 'grpc.max_concurrent_streams': 256, interceptors: [...interceptors] });
  server.addService(ConfigServiceService, config);
  server.addService(StatusServiceService, status);
  return server;
}

/** Binds a Unix socket that only its owner can open. One that a killed pilot left is replaced, one that answers is not. */
export function bindSocket(server: Server, path: string): Promise<void> {
  const listen = async (bound: string): Promise<void> => void (await bind(server, `unix:${bound}`, ServerCredentials.createInsecure()));
  return bindPrivately(path, listen, { flag: 'config-socket', owner: 'pilot' });
}

/** A person and a few pipelines call; a dozen watch. */
const [maxOpenPerCaller, ratePerCaller] = [64, { perSecond: 50, burst: 250 }];
const connections: ConnectionLimits = { ...defaultConnectionLimits, maxConnections: 1000, maxPerAddress: 500, maxPerIdentity: 200 };

type OnLimited = (reason: string, client: string) => void;

/** What one caller may ask of the config API over mTLS. */
export function apiCallLimits(onRefused: OnLimited): ServerInterceptor {
  return callLimits({ maxOpenPerClient: maxOpenPerCaller, ratePerClient: ratePerCaller, onRefused });
}

export interface SecureDoor {
  readonly address: Address;
  readonly agent: IdentityAgent;
  readonly onLimited: OnLimited;
  /** Who may call at all. Default: every identity of the mesh; access rules say what it gets. */
  readonly allow?: (caller: SpiffeId) => boolean;
  readonly limits?: ConnectionLimits;
}

/** Binds over mTLS. */
export async function bindSecure(server: Server, { address, agent, onLimited, allow, limits = connections }: SecureDoor): Promise<number> {
  const port = await bind(server, formatAddress(address), serverCredentials(agent, allow ? { allow } : {}));
  limitConnections(server, { ...limits, onRefused: onLimited });
  return port;
}

/** Resolves with the port. */
function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => server.bindAsync(address, credentials, (cause, port) => (cause ? reject(cause) : resolve(port))));
}
