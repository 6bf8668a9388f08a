import { rmdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock } from '@meltemi/base';
import { etcdOptionsOf, parseEtcdUrl, type EtcdFlagValues } from '@meltemi/config-edge/etcd';
import { isCode, replaceFile } from '@meltemi/identity-edge';
import { DiskKeystore, movedName } from '../disk-keystore.ts';
import { DiskReportStore } from '../disk-reports.ts';
import { defaultCitadelRoot, openEtcdKeystore } from '../etcd/open-etcd-keystore.ts';
import { readKeyFile, readPassphraseFile, type SealingSecret } from '../sealing/sealing-secret.ts';
import { claimDirectory, claimName } from '../claim-directory.ts';
import type { KeystoreSide } from './copy-keystore.ts';

/** Where a keystore is, as flags say it. */
export interface KeystoreLocation {
  /** dir:PATH, or etcd[s]://…, as citadel's --keystore. */
  readonly url: string;
  /** What it is, or is to be, sealed with; neither: plain, on disk alone. */
  readonly keyFile?: string | undefined;
  readonly passphraseFile?: string | undefined;
  readonly etcd: EtcdFlagValues;
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
  return location.url.startsWith('dir:') ? claimDisk(resolve(location.url.slice('dir:'.length)), secret, source) : claimEtcd(location, secret, { source, leadWithinMs });
}

async function claimDisk(dir: string, secret: SealingSecret | undefined, source: boolean): Promise<ClaimedKeystore> {
  if (source && !(await isDirectory(dir))) throw new Error(`${dir} is no folder: there is no keystore to copy`);
  const release = await (source ? claimSource(dir) : claimDirectory(dir));
  return {
    keystore: new DiskKeystore(dir, secret && { secret }, { readOnly: source }), reports: new DiskReportStore(dir), name: `dir:${dir}`,
    retire: (whereTo) => replaceFile(join(dir, movedName), `to ${whereTo}, at ${new Date().toISOString()}\n`), close: release,
  };
}

/** Leaves nothing behind where nothing was. */
async function claimSource(dir: string): Promise<() => Promise<void>> {
  const claimed = await isDirectory(join(dir, claimName));
  const release = await claimDirectory(dir);
  return async () => {
    await release();
    // Where somebody claims it at the same moment it is not empty, and stays.
    if (!claimed) await rmdir(join(dir, claimName)).catch(() => undefined);
  };
}

async function claimEtcd({ url: text, etcd }: KeystoreLocation, secret: SealingSecret | undefined, { source, leadWithinMs }: { readonly source: boolean; readonly leadWithinMs: number }): Promise<ClaimedKeystore> {
  const url = parseEtcdUrl(text, defaultCitadelRoot);
  if (!url.ok) throw new Error(`${url.error}; or dir:PATH for a folder`);
  if (!secret) throw new Error(`${text}: a key file or passphrase file is needed: etcd must not hold keys that its readers can use`);
  const options = etcdOptionsOf(url.value, etcd);
  if (!options.ok) throw new Error(options.error);
  const opened = openEtcdKeystore({ etcd: options.value, sealing: { secret }, readOnly: source, clock: systemClock });
  const name = `${text} (${url.value.root})`;
  try {
    // Every citadel stands for election, and one of them leads: who gets the lead is alone.
    await opened.leadership.acquire(AbortSignal.timeout(leadWithinMs));
  } catch (cause) {
    await opened.stop();
    throw new Error(`${name}: a citadel runs on it, or etcd cannot be reached: stop every citadel there first`, { cause });
  }
  return { keystore: opened.keystore, reports: opened.reports, name, close: () => opened.stop() };
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
