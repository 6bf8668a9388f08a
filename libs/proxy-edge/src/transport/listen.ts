import { chmodSync, lstatSync, renameSync, rmSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { formatFieldErrors, type Result } from '@meltemi/base';
import type { SocketTarget } from '@meltemi/snapshot';
import { AcceptedSocket } from './accepted-socket.ts';

export interface ListenOptions {
  readonly target: SocketTarget;
  /** Several threads listen on one port and the kernel spreads connections. */
  readonly reusePort: boolean;
  /** null = the system's. */
  readonly backlog: number | null;
  /** Sets what the listening socket needs, by its file descriptor; a failure closes it again. */
  readonly prepare?: ((fd: number) => Result<void>) | undefined;
  onConnection(accepted: AcceptedSocket): void;
  /** The process has no file descriptor for one who connected. */
  onNoDescriptor?(): void;
}

/** A bound port. */
export interface ListenSocket {
  /** What was bound; a port of 0 is replaced. */
  readonly target: SocketTarget;
  /** How many may wait from now on to be accepted; null = the system's. */
  setBacklog(backlog: number | null): void;
  /** Stops accepting; resolves when the port is free. Open connections stay, and who connected until now is still accepted. */
  close(): Promise<void>;
}

/** What node:net listens with. */
const defaultBacklog = 511;

/** Binds and accepts. Rejects with the reason when the address is taken or not ours. */
export function listen(options: ListenOptions): Promise<ListenSocket> {
  const { target } = options;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => options.onConnection(new AcceptedSocket(socket)));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      // Accept errors pass; the port stays open.
      server.on('error', (error: NodeJS.ErrnoException) => { if (error.code === 'EMFILE' || error.code === 'ENFILE') options.onNoDescriptor?.(); });
      const prepared = options.prepare?.((server as unknown as { _handle: { fd: number } })._handle.fd);
      if (prepared?.ok === false) {
        server.close();
        return reject(new Error(formatFieldErrors(prepared.error)));
      }
      const bound = server.address();
      const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
      return resolve({ target: target.kind === 'ip' ? { kind: 'ip', address: target.address, port } : target, setBacklog, close: () => closed(server, free) });
    });
    let free = () => {};
    // The kernel takes another length for a socket that listens already.
    const setBacklog = (length: number | null) => void (server as unknown as { _handle: { listen(backlog: number): number } | null })._handle?.listen(length ?? defaultBacklog);
    const backlog = options.backlog === null ? {} : { backlog: options.backlog };
    if (target.kind === 'ip') server.listen({ host: target.address, port: target.port, ...(options.reusePort && { reusePort: true }), ...backlog });
    else
      try {
        free = listenAtPath(server, target, backlog);
      } catch (cause) {
        server.close();
        reject(cause);
      }
  });
}

/**
 * Binds beside the path and moves the socket there, so that it has its mode from the first and replaces one that is served or was left behind: a server that
 * closes takes away the name it was bound by, which is its successor's by then. Any other kind of file stays: binding fails on it with the reason.
 * Returns what takes the file away, when it is still this one.
 */
function listenAtPath(server: net.Server, { path, mode }: Extract<SocketTarget, { readonly kind: 'pipe' }>, backlog: object): () => void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !there.isSocket()) {
    server.listen({ path, ...backlog });
    return () => {};
  }
  const bound = join(dirname(path), `.${process.pid}.${threadId}`);
  rmSync(bound, { force: true });
  server.listen({ path: bound, ...backlog });
  // Nobody is told before the next turn: on failure the error says why.
  if (!server.listening) return () => {};
  if (mode !== 0) chmodSync(bound, mode);
  renameSync(bound, path);
  const { ino } = lstatSync(path);
  return () => {
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path, { force: true });
  };
}

/** Turns of the loop that a port that closes goes on accepting at most: as many as may wait by the usual backlog, each turn takes one. */
const longestClosingTurns = 512;

/** The kernel resets whoever still waits to be accepted: that is nobody once a whole turn of the loop found none. */
async function closed(server: net.Server, free: () => void): Promise<void> {
  let came = true;
  server.on('connection', () => (came = true));
  // The turn under way may have looked already.
  for (let turn = 0; turn < 2 || (came && turn < longestClosingTurns); turn++) {
    came = false;
    await new Promise(setImmediate);
  }
  try {
    free();
  } catch {
    // The file stays behind, as a killed program's does: the next one replaces it.
  }
  server.close();
}
