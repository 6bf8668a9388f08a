import { chmod, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
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

/** The socket cannot be served; the text says why and what to do. */
export class SocketUnusable extends Error {}

/**
 * Rejects with SocketUnusable when another citadel answers at `path`: the one sign that its keystore has an owner already, so ask before
 * opening that.
 */
export async function claimSocket(path: string): Promise<void> {
  const bytes = Buffer.byteLength(path);
  if (bytes > maxPathBytes) throw new SocketUnusable(`--socket: ${path} has ${bytes} bytes; a Unix socket's path may have ${maxPathBytes}. Choose a shorter one`);
  const kind = await lstat(path).catch(() => undefined);
  if (kind && !kind.isSocket()) throw new SocketUnusable(`--socket: ${path} exists and is no socket; choose another path, or move that file away`);
  if (await isAlive(path)) throw new SocketUnusable(`--socket: another citadel already serves ${path}; stop it, or choose another --socket and --state-dir`);
}

/** Serves JoinTokens at `path`, after claimSocket; a socket left by a dead citadel is replaced. */
export async function serveTokenSocket(path: string, parts: HandlerParts): Promise<TokenSocket> {
  await claimSocket(path);
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
