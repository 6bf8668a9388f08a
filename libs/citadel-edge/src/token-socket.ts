import { rm } from 'node:fs/promises';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { JoinTokensService, RevocationsService, RootRotationService } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { bindPrivately, claimSocket as claim } from '@meltemi/observe-edge';
import { joinTokenHandlers, type HandlerParts } from './certificate-handlers.ts';
import { revocationHandlers } from './revocation-handlers.ts';
import { rotationHandlers, type RotationParts } from './rotation-handlers.ts';

/** A gRPC server on a Unix socket of mode 0600. */
export interface TokenSocket {
  readonly server: Server;
  remove(): Promise<void>;
}

const about = { flag: 'socket', owner: 'citadel' } as const;

/**
 * Rejects with StartError when another citadel answers at `path`: the one sign that its keystore has an owner already, so ask before
 * opening that.
 */
export function claimSocket(path: string): Promise<void> {
  return claim(path, about);
}

/** Serves JoinTokens and RootRotation at `path`, after claimSocket; a socket left by a dead citadel is replaced. */
export async function serveTokenSocket(path: string, parts: HandlerParts & RotationParts): Promise<TokenSocket> {
  const server = new Server({ 'grpc.max_receive_message_length': 65_536, 'grpc.max_concurrent_streams': 100 });
  server.addService(JoinTokensService, joinTokenHandlers(parts));
  server.addService(RootRotationService, rotationHandlers(parts));
  server.addService(RevocationsService, revocationHandlers(parts));
  const bind = (bound: string) => new Promise<void>((resolve, reject) => server.bindAsync(`unix:${bound}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())));
  try {
    await bindPrivately(path, bind, about);
  } catch (cause) {
    server.forceShutdown();
    throw cause;
  }
  return { server, remove: () => rm(path, { force: true }) };
}
