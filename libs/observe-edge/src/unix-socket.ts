import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { StartError } from './start-error.ts';

/** Listens on a Unix socket that only its owner can open. One that a dead program left is replaced; one that answers, or a file, is not. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (await answers(path)) throw new StartError(`--admin-listen unix:${path}: another program is serving there: stop it, or name another path`);
  mkdirSync(dirname(path), { recursive: true });
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there && !there.isSocket()) throw new StartError(`--admin-listen unix:${path}: is a file that is no socket: it stays; name another path`, { exitCode: 2 });
  rmSync(path, { force: true });
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } finally {
    process.umask(before);
  }
  chmodSync(path, 0o600);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    // Who takes no connection within a second is alive, only busy.
    socket.setTimeout(1000, () => resolve(true));
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    for (const end of ['connect', 'timeout']) socket.once(end, () => socket.destroy());
  });
}
