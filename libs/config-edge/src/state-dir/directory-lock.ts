import { createHash, randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '@meltemi/base';

/** Held until released; a lock of a process that is gone is taken over. */
export interface DirectoryLock {
  release(): Promise<void>;
}

/** Why it could not be had. */
export interface DirectoryInUse {
  /** For people. */
  readonly message: string;
  /** Of the process that has it; undefined when several just try to get it. */
  readonly pid?: number;
}

/** taken: the lock is ours now. busy: that process has it, or is just taking it. moved: it changed meanwhile, look again. */
type Attempt = { readonly type: 'taken' | 'moved' } | { readonly type: 'busy'; readonly pid: number };

const maxAttempts = 20;

/**
 * Makes this process the only writer of `directory` through a file `lock` in it, or says which process is. Node has no flock, so the file names its owner
 * by pid and by when that pid started (a pid alone may belong to somebody else by now, and is always 1 in a container).
 */
export async function lockDirectory(directory: string): Promise<Result<DirectoryLock, DirectoryInUse>> {
  const path = join(directory, 'lock');
  const mine = `${process.pid} ${await processStart(process.pid)} ${randomBytes(6).toString('hex')}\n`;
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, mine, { mode: 0o600, flag: 'wx' });
  try {
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const outcome = await tryLock(path, draft);
      if (outcome.type === 'taken') return ok({ release: () => release(path, mine) });
      if (outcome.type === 'busy') {
        const who = `process ${outcome.pid}${outcome.pid === process.pid ? ' (this one)' : ''}`;
        return err({ message: `${directory} is in use by ${who}: stop it, or choose another state directory`, pid: outcome.pid });
      }
    }
    return err({ message: `${directory} is being opened by several processes at once: start one` });
  } finally {
    await rm(draft, { force: true });
  }
}

async function tryLock(path: string, draft: string): Promise<Attempt> {
  // link fails when the name is taken, so only one of several that start together gets it.
  if (await linked(draft, path)) return { type: 'taken' };
  const held = await readIfThere(path);
  if (held === undefined) return { type: 'moved' };
  const pid = await liveOwner(held);
  return pid === undefined ? takeOver(path, draft, held) : { type: 'busy', pid };
}

/**
 * Replaces the lock `stale` of a dead process. Who may do so is decided by creating the claim on exactly that lock; a claimant that died in the middle is
 * itself claimed in the same way. The claim counts only while the lock is still the stale one: afterwards claims are removed, and one made too late finds that.
 */
async function takeOver(path: string, draft: string, stale: string): Promise<Attempt> {
  const claims: string[] = [];
  for (let current = stale; claims.length < maxAttempts; ) {
    const claim = `${path}.claim-${createHash('sha256').update(current).digest('hex').slice(0, 16)}`;
    claims.push(claim);
    if (await linked(draft, claim)) {
      const taken = (await readIfThere(path)) === stale;
      if (taken) await rename(draft, path);
      for (const each of taken ? claims : [claim]) await rm(each, { force: true });
      return { type: taken ? 'taken' : 'moved' };
    }
    const claimant = await readIfThere(claim);
    if (claimant === undefined) return { type: 'moved' };
    const pid = await liveOwner(claimant);
    if (pid !== undefined) return { type: 'busy', pid };
    current = claimant;
  }
  return { type: 'moved' };
}

async function liveOwner(held: string): Promise<number | undefined> {
  const [pidText = '', start = ''] = held.trim().split(' ');
  const pid = Number(pidText);
  // A lock that names nobody was cut short by a power failure: nobody runs who wrote it.
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  return (await processStart(pid)) === start ? pid : undefined;
}

async function release(path: string, mine: string): Promise<void> {
  if ((await readIfThere(path)) === mine) await rm(path, { force: true });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
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
