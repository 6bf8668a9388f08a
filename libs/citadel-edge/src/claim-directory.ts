import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lockDirectory } from '@meltemi/config-edge/directory-lock';

/**
 * Holds the keystore in `dir` for as long as this process works on it. Rejects when another process holds it. One that was killed holds nothing. Who only reads
 * leaves no folder behind that was not there.
 */
export async function claimDirectory(dir: string, { readOnly = false }: { readonly readOnly?: boolean } = {}): Promise<() => Promise<void>> {
  const running = join(dir, 'running');
  const made = await mkdir(running, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory(running);
  if (!lock.ok) throw new Error(`a citadel runs on the keystore in ${dir}${lock.error.pid === undefined ? '' : ` as process ${lock.error.pid}`}: stop it first`);
  return async () => {
    await lock.value.release();
    // Where somebody claims it at the same moment it is not empty, and stays.
    if (readOnly && made !== undefined) await rmdir(running).catch(() => undefined);
  };
}
