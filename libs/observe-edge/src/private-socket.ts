import { chmod, chown, lstat, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { StartError } from './start-error.ts';

/** sun_path holds 108 bytes on Linux and 104 elsewhere; the socket is first bound 14 characters deeper. */
const maxPathBytes = 88;

export interface PrivateSocketOptions {
  /** Where the path comes from, for messages: a flag's name without dashes. */
  readonly flag: string;
  /** What serves it, for messages: "citadel". */
  readonly owner: string;
}

/**
 * Rejects with StartError when the path cannot be a socket's, when something else stands there, or when another process answers at it:
 * the one sign that it has an owner already.
 */
export async function claimSocket(path: string, { flag, owner }: PrivateSocketOptions): Promise<void> {
  const bytes = Buffer.byteLength(path);
  if (bytes > maxPathBytes) throw new StartError(`--${flag}: ${path} has ${bytes} bytes; a Unix socket's path may have ${maxPathBytes}. Choose a shorter one`, { exitCode: 2 });
  const kind = await lstat(path).catch(() => undefined);
  if (kind && !kind.isSocket()) throw new StartError(`--${flag}: ${path} exists and is no socket; choose another path, or move that file away`, { exitCode: 2 });
  if (await isAlive(path)) throw new StartError(`--${flag}: another ${owner} already serves ${path}; stop it, or choose another --${flag}`);
}

/**
 * Binds at `path`, after claimSocket: in a private directory first, then moved, so that nobody can connect before the mode is right. A socket left by
 * a dead process is replaced. With a group, its members may connect too. Directories that are missing are made, closed to others; one that others may write to is refused.
 */
export async function bindPrivately(path: string, bind: (path: string) => Promise<void>, options: PrivateSocketOptions & { readonly gid?: number | undefined }): Promise<void> {
  await claimSocket(path, options);
  const { gid, flag } = options;
  const directory = dirname(path);
  const made = await mkdir(directory, { recursive: true, mode: gid === undefined ? 0o700 : 0o750 });
  if (made !== undefined && gid !== undefined) await own(directory, gid, flag);
  const { mode } = await stat(directory);
  // In a sticky directory, like /tmp, nobody replaces what is another's.
  if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) throw new StartError(`--${flag}: others may write to ${directory}, and so put a socket of their own there; choose a directory that only its owner writes to`);
  const nursery = await mkdtemp(join(directory, '.socket-'));
  try {
    const bound = join(nursery, 's');
    await bind(bound);
    if (gid !== undefined) await own(bound, gid, flag);
    await chmod(bound, gid === undefined ? 0o600 : 0o660);
    await rename(bound, path);
  } finally {
    await rm(nursery, { recursive: true, force: true });
  }
}

async function own(path: string, gid: number, flag: string): Promise<void> {
  await chown(path, -1, gid).catch((cause: unknown) => {
    throw new StartError(`--${flag}-group: ${path} cannot be given to group ${gid}; this process must be a member of it`, { cause });
  });
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
