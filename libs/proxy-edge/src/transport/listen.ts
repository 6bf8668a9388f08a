import { chmodSync, lstatSync, rmSync } from 'node:fs';
import net from 'node:net';
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
  /** Stops accepting; resolves when the port is free. Open connections stay, and who connected until now is still accepted. */
  close(): Promise<void>;
}

/** Binds and accepts. Rejects with the reason when the address is taken or not ours. */
export function listen(options: ListenOptions): Promise<ListenSocket> {
  const { target } = options;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => options.onConnection(new AcceptedSocket(socket)));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      if (target.kind === 'pipe' && target.mode !== 0) chmodSync(target.path, target.mode);
      // Accept errors pass; the port stays open.
      server.on('error', (error: NodeJS.ErrnoException) => { if (error.code === 'EMFILE' || error.code === 'ENFILE') options.onNoDescriptor?.(); });
      const prepared = options.prepare?.((server as unknown as { _handle: { fd: number } })._handle.fd);
      if (prepared?.ok === false) {
        server.close();
        return reject(new Error(formatFieldErrors(prepared.error)));
      }
      const bound = server.address();
      const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
      return resolve({ target: target.kind === 'ip' ? { kind: 'ip', address: target.address, port } : target, close: () => closed(server) });
    });
    const backlog = options.backlog === null ? {} : { backlog: options.backlog };
    if (target.kind === 'ip') server.listen({ host: target.address, port: target.port, ...(options.reusePort && { reusePort: true }), ...backlog });
    else {
      removeSocket(target.path);
      server.listen({ path: target.path, ...backlog });
    }
  });
}

/** The kernel resets whoever still waits to be accepted: right after the loop looked for connections, that is nobody. */
function closed(server: net.Server): Promise<void> {
  return new Promise((resolve) => setImmediate(() => {
    server.close();
    resolve();
  }));
}

/** What a killed process left. Any other kind of file stays: binding fails on it with the reason. */
function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path, { force: true });
}
