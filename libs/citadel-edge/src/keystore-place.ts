import { resolve } from 'node:path';
import { err, ok, type Clock, type Result } from '@meltemi/base';
import { alwaysLeader, type Keystore, type Leadership, type ReportStore } from '@meltemi/citadel';
import { etcdOptionsOf, parseEtcdUrl, type EtcdFlagValues, type EtcdOptions } from '@meltemi/config-edge/etcd';
import { claimDirectory } from './claim-directory.ts';
import { DiskKeystore } from './disk-keystore.ts';
import { DiskReportStore } from './disk-reports.ts';
import { defaultCitadelRoot, openEtcdKeystore } from './etcd/open-etcd-keystore.ts';
import type { Sealing } from './sealing/open-sealing.ts';

/** Where a keystore is. `name` is for people: "dir:/var/lib/citadel", "etcd at 10.0.0.1:2379 (/meltemi-citadel)". */
export type KeystorePlace = { readonly kind: 'folder'; readonly name: string; readonly dir: string } | { readonly kind: 'etcd'; readonly name: string; readonly etcd: EtcdOptions };

/** A keystore that was opened, and what goes with it. */
export interface PlacedKeystore {
  readonly keystore: Keystore;
  readonly leadership: Leadership;
  /** Who follows the roots: kept where the keystore is. */
  readonly reports: ReportStore;
  /** Gives up the folder, or the lead. */
  stop(): Promise<void>;
}

export interface OpenPlaceOptions {
  /** Needed but for a folder. */
  readonly sealing: Sealing | undefined;
  /** Nothing of it is changed. Default false. */
  readonly readOnly?: boolean;
  readonly clock: Clock;
  /** Told when this program starts or ends to lead. */
  readonly onLead?: (leads: boolean, reason: string) => void;
}

/** Reads dir:PATH or etcd[s]://host:port[,…][/root], and the flags of etcd. The error is for people. */
export function parseKeystorePlace(text: string, flags: EtcdFlagValues): Result<KeystorePlace, string> {
  if (text.startsWith('dir:')) {
    const dir = resolve(text.slice('dir:'.length));
    return ok({ kind: 'folder', name: `dir:${dir}`, dir });
  }
  const url = parseEtcdUrl(text, defaultCitadelRoot);
  if (!url.ok) return err(`${url.error}; or dir:PATH for a folder`);
  const etcd = etcdOptionsOf(url.value, flags);
  return etcd.ok ? ok({ kind: 'etcd', name: `etcd at ${url.value.endpoints.join(', ')} (${url.value.root})`, etcd: etcd.value }) : etcd;
}

/** Opens it: a folder for this process alone, etcd for all that share it. Rejects with what to do while another process has the folder. */
export async function openPlace(place: KeystorePlace, { sealing, readOnly = false, clock, onLead }: OpenPlaceOptions): Promise<PlacedKeystore> {
  if (place.kind === 'etcd') {
    if (!sealing) throw new Error('etcd must not hold keys that its readers can use: a key file or a passphrase file is needed to seal them');
    return openEtcdKeystore({ etcd: place.etcd, sealing, readOnly, clock, ...(onLead && { onChange: onLead }) });
  }
  const release = await claimDirectory(place.dir, { readOnly });
  const leadership = alwaysLeader();
  onLead?.(true, 'the only one');
  return { keystore: new DiskKeystore(place.dir, sealing, { readOnly }), reports: new DiskReportStore(place.dir), leadership, stop: () => Promise.all([leadership.stop(), release()]).then(() => undefined) };
}
