import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@meltemi/base';
import { isCode, replaceFile } from '@meltemi/identity-edge';
import { movedName } from '../disk-keystore.ts';
import { openPlace, parseKeystorePlace, type KeystoreFlagValues, type PlacedKeystore } from '../keystore-place.ts';
import { readKeyFile, readPassphraseFile, type SealingSecret } from '../sealing/sealing-secret.ts';
import type { KeystoreSide } from './copy-keystore.ts';

/** Where a keystore is, as flags say it. */
export interface KeystoreLocation {
  /** dir:PATH, etcd[s]://… or kubernetes[:…], as citadel's --keystore. */
  readonly url: string;
  /** What it is, or is to be, sealed with; neither: plain, on disk alone. */
  readonly keyFile?: string | undefined;
  readonly passphraseFile?: string | undefined;
  readonly flags: KeystoreFlagValues;
}

/** A keystore that nobody else uses until `close`. */
export interface ClaimedKeystore extends KeystoreSide {
  /** For people. */
  readonly name: string;
  /** Leaves a mark that makes every citadel refuse what is here. On disk alone. */
  retire?(whereTo: string): Promise<void>;
  close(): Promise<void>;
}

/** Longer than the lease of a citadel that was killed. */
const defaultLeadWithinMs = 13_000;

/**
 * Opens it alone; a `source` to be read, and nothing of it is changed. Rejects with what to do: while a citadel runs on it, when it is sealed otherwise, when
 * it is a source and there is none.
 */
export async function claimKeystore(location: KeystoreLocation, { source, leadWithinMs = defaultLeadWithinMs }: { readonly source: boolean; readonly leadWithinMs?: number }): Promise<ClaimedKeystore> {
  const secret = await secretOf(location);
  const parsed = parseKeystorePlace(location.url, location.flags);
  if (!parsed.ok) throw new Error(parsed.error);
  const place = parsed.value;
  if (source && place.kind === 'folder' && !(await isDirectory(place.dir))) throw new Error(`${place.dir} is no folder: there is no keystore to copy`);
  const opened = await openPlace(place, { sealing: secret && { secret }, readOnly: source, clock: systemClock });
  const claimed = { keystore: opened.keystore, reports: opened.reports, name: place.name, close: () => opened.stop() };
  if (place.kind === 'folder') return { ...claimed, retire: (whereTo) => replaceFile(join(place.dir, movedName), `to ${whereTo}, at ${new Date().toISOString()}\n`) };
  await leadAlone(opened, place.name, leadWithinMs);
  return claimed;
}

/** In etcd every citadel stands for election, and one of them leads: who gets the lead is alone. Secrets are claimed already. */
async function leadAlone(opened: PlacedKeystore, name: string, withinMs: number): Promise<void> {
  try {
    await opened.leadership.acquire(AbortSignal.timeout(withinMs));
  } catch (cause) {
    await opened.stop();
    throw new Error(`${name}: a citadel runs on it, or etcd cannot be reached: stop every citadel there first`, { cause });
  }
}

async function secretOf({ url, keyFile, passphraseFile }: KeystoreLocation): Promise<SealingSecret | undefined> {
  if (keyFile !== undefined && passphraseFile !== undefined) throw new Error(`${url}: give a key file or a passphrase file, not both`);
  if (keyFile !== undefined) return readKeyFile(keyFile);
  return passphraseFile === undefined ? undefined : readPassphraseFile(passphraseFile);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return false;
    throw cause;
  }
}
