import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { JoinTokensService } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { joinTokenHandlers, type HandlerParts } from './certificate-handlers.ts';

/** sun_path holds 108 bytes on Linux and 104 elsewhere; the socket is first bound 14 characters deeper. */
const maxPathBytes = 88;

/** A gRPC server on a Unix socket of mode 0600. */
export interface TokenSocket {
  readonly server: Server;
  remove(): Promise<void>;
}

/** Serves JoinTokens at `path`. Rejects when another citadel answers there; a socket left by a dead one is replaced. */
export async function serveTokenSocket(path: string, parts: HandlerParts): Promise<TokenSocket> {
  if (Buffer.byteLength(path) > maxPathBytes) throw new Error(`--socket: ${path} has ${Buffer.byteLength(path)} bytes; a Unix socket's path may have ${maxPathBytes}. Choose a shorter one`);
  if (await isAlive(path)) throw new Error(`--socket: another citadel already serves ${path}; stop it, or choose another --socket and --state-dir`);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const server = new Server({ 'grpc.max_receive_message_length': 65_536, 'grpc.max_concurrent_streams': 100 });
  server.addService(JoinTokensService, joinTokenHandlers(parts));
  // Bound in a private directory, closed to others, then moved: nobody can connect before the mode is right.
  const nursery = await mkdtemp(join(dirname(path), '.citadel-'));
  try {
    const bound = join(nursery, 's');
    await new Promise<void>((resolve, reject) => server.bindAsync(`unix:${bound}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())));
    await chmod(bound, 0o600);
    await rename(bound, path);
  } catch (cause) {
    server.forceShutdown();
    throw cause;
  } finally {
    await rm(nursery, { recursive: true, force: true });
  }
  return { server, remove: () => rm(path, { force: true }) };
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(1000, () => end(true));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
