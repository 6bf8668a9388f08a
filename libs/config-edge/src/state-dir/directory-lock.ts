import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '@meltemi/base';

/** Held until released; a lock of a process that is gone is taken over. */
export interface DirectoryLock {
  release(): Promise<void>;
}

/**
 * Makes this process the only writer of `directory` through a file `lock` in it, or says which process is. Node has no flock, so the file names its owner
 * by pid and by when that pid started (a pid alone may belong to somebody else by now, and is always 1 in a container).
 */
export async function lockDirectory(directory: string): Promise<Result<DirectoryLock, string>> {
  const path = join(directory, 'lock');
  const mine = `${process.pid} ${await processStart(process.pid)} ${randomBytes(6).toString('hex')}\n`;
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, mine, { mode: 0o600, flag: 'wx' });
  try {
    // link fails when the name is taken, so only one of several that start together gets it.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (await linked(draft, path)) return ok({ release: () => release(path, mine) });
      const held = await readFile(path, 'utf8').catch(() => undefined);
      if (held === undefined) continue;
      const owner = await liveOwner(held);
      if (owner !== undefined) return err(`${directory} is in use by process ${owner}${owner === process.pid ? ' (this one)' : ''}: stop it, or choose another state directory`);
      await removeStale(path, `${draft}.stale`, held);
    }
    return err(`${directory} is being opened by several processes at once: start one`);
  } finally {
    await rm(draft, { force: true });
  }
}

async function liveOwner(held: string): Promise<number | undefined> {
  const [pidText = '', start = ''] = held.trim().split(' ');
  const pid = Number(pidText);
  // A lock that names nobody was cut short by a power failure: nobody runs who wrote it.
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  return (await processStart(pid)) === start ? pid : undefined;
}

/** Moves the dead owner's lock away; a live one that slipped in between the read and the move is put back. */
async function removeStale(path: string, aside: string, expected: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, 'utf8')) !== expected) await linked(aside, path);
  await rm(aside, { force: true });
}

async function release(path: string, mine: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => '')) === mine) await rm(path, { force: true });
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return false;
    throw cause;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && cause.code === 'EPERM';
  }
}

/** When the process started, in ticks since boot, with the boot's id; "-" where there is no /proc. A zombie counts as gone. */
async function processStart(pid: number): Promise<string> {
  try {
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ').at(-1)?.split(' ') ?? [];
    if (fields[0] === 'Z') return 'gone';
    return `${fields[19] ?? '-'}@${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()}`;
  } catch {
    return '-';
  }
}
