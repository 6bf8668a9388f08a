import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lockDirectory } from '@meltemi/config-edge/directory-lock';

/** The folder in a keystore's folder that says who works on it. */
export const claimName = 'running';

/**
 * Holds the keystore in `dir` for as long as this process works on it. Rejects when another process holds it. One that
 * was killed holds nothing.
 */
export async function claimDirectory(dir: string): Promise<() => Promise<void>> {
  const running = join(dir, claimName);
  await mkdir(running, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory(running);
  if (!lock.ok) throw new Error(`a citadel runs on the keystore in ${dir}${/process \d+/.exec(lock.error)?.[0].replace(/^/, ' as ') ?? ''}: stop it first`);
  return () => lock.value.release();
}
