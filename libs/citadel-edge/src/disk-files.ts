import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { SaveOutcome } from '@meltemi/citadel';
import { lockDirectory, type DirectoryLock } from '@meltemi/config-edge/directory-lock';
import { replaceFile } from '@meltemi/identity-edge';
import { readBounded } from './read-bounded.ts';

const lockDeadlineMs = 10_000;

/** Runs `task` while no other process, and nobody else in this one, runs one over the same directory. */
export async function whileLocked<T>(dir: string, task: () => Promise<T>): Promise<T> {
  const lock = await lockSoon(dir);
  try {
    return await task();
  } finally {
    await lock.release();
  }
}

/** Replaces the file when it has the revision `expected`; to be called while locked. */
export async function replaceExpected({ path, maxBytes }: { readonly path: string; readonly maxBytes: number }, text: string, expected: string | undefined): Promise<SaveOutcome> {
  const present = await readBounded(path, maxBytes);
  if ((present === undefined ? undefined : revisionOf(present)) !== expected) return 'conflict';
  await replaceFile(path, text);
  return 'saved';
}

/** Of a file's text: what saveAuthority compares. */
export function revisionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Others need milliseconds; who opens a sealed keystore, a second. */
async function lockSoon(dir: string): Promise<DirectoryLock> {
  const endMs = Date.now() + lockDeadlineMs;
  for (;;) {
    const lock = await lockDirectory(dir);
    if (lock.ok) return lock.value;
    if (Date.now() >= endMs) throw new Error(lock.error.message);
    await delay(5 + Math.random() * 10);
  }
}
