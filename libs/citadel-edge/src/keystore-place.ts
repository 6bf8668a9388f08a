import { resolve } from 'node:path';
import { err, ok, type Clock, type Result } from '@meltemi/base';
import { alwaysLeader, type Keystore, type Leadership, type ReportStore } from '@meltemi/citadel';
import { etcdOptionsOf, parseEtcdUrl, type EtcdFlagValues, type EtcdOptions } from '@meltemi/config-edge/etcd';
import { claimDirectory } from './claim-directory.ts';
import { DiskKeystore } from './disk-keystore.ts';
import { DiskReportStore } from './disk-reports.ts';
import { defaultCitadelRoot, openEtcdKeystore } from './etcd/open-etcd-keystore.ts';
import { inClusterNamespace, type KubernetesApi } from './kubernetes/api.ts';
import { kubernetesApiOf, type KubernetesFlagValues } from './kubernetes/kubernetes-flags.ts';
import { openSecretKeystore } from './kubernetes/open-secret-keystore.ts';
import type { Sealing } from './sealing/open-sealing.ts';

/** Where a keystore is. `name` is for people: "dir:/var/lib/citadel", "etcd at 10.0.0.1:2379 (/meltemi-citadel)". */
export type KeystorePlace =
  | { readonly kind: 'folder'; readonly name: string; readonly dir: string }
  | { readonly kind: 'etcd'; readonly name: string; readonly etcd: EtcdOptions }
  | { readonly kind: 'Kubernetes'; readonly name: string; readonly api: KubernetesApi; readonly namespace: string; readonly keystore: string };

/** The flags of all kinds. */
export type KeystoreFlagValues = EtcdFlagValues & KubernetesFlagValues;

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

/** Reads dir:PATH, etcd[s]://host:port[,…][/root] or kubernetes[:namespace[/name]], and the flags of each. The error is for people. */
export function parseKeystorePlace(text: string, flags: KeystoreFlagValues): Result<KeystorePlace, string> {
  if (text.startsWith('dir:')) {
    const dir = resolve(text.slice('dir:'.length));
    return ok({ kind: 'folder', name: `dir:${dir}`, dir });
  }
  if (/^kubernetes(:|$)/.test(text)) return parseKubernetes(text.slice('kubernetes:'.length), flags);
  const url = parseEtcdUrl(text, defaultCitadelRoot);
  if (!url.ok) return err(`${url.error}; or dir:PATH for a folder, or kubernetes[:namespace[/name]] for Secrets`);
  const etcd = etcdOptionsOf(url.value, flags);
  return etcd.ok ? ok({ kind: 'etcd', name: `etcd at ${url.value.endpoints.join(', ')} (${url.value.root})`, etcd: etcd.value }) : etcd;
}

const defaultSecretsName = 'meltemi-citadel';
/** A DNS label, short enough to be a label's value with room for what is appended in names. */
const kubernetesName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function parseKubernetes(text: string, flags: KubernetesFlagValues): Result<KeystorePlace, string> {
  const [ownNamespace, keystore = defaultSecretsName, ...more] = text === '' ? [] : text.split('/');
  const namespace = ownNamespace ?? inClusterNamespace();
  if (namespace === undefined) return err('kubernetes: this is no Pod, so name the namespace of the Secrets, too: kubernetes:NAMESPACE[/NAME]');
  if (more.length > 0 || !kubernetesName.test(namespace) || !kubernetesName.test(keystore)) return err(`kubernetes:${text}: a namespace and a name are 1 to 63 of a-z, 0-9 and '-' each: kubernetes:NAMESPACE/NAME`);
  const api = kubernetesApiOf(flags, process.env);
  return api.ok ? ok({ kind: 'Kubernetes', name: `Secrets ${keystore} in namespace ${namespace} at ${api.value.url}`, api: api.value, namespace, keystore }) : err(`kubernetes: ${api.error}`);
}

/** Opens it: a folder or Secrets for this process alone, etcd for all that share it. Rejects with what to do while another process has the folder or the Secrets. */
export async function openPlace(place: KeystorePlace, { sealing, readOnly = false, clock, onLead }: OpenPlaceOptions): Promise<PlacedKeystore> {
  if (place.kind === 'etcd') {
    if (!sealing) throw new Error('etcd must not hold keys that its readers can use: a key file or a passphrase file is needed to seal them');
    return openEtcdKeystore({ etcd: place.etcd, sealing, readOnly, clock, ...(onLead && { onChange: onLead }) });
  }
  if (place.kind === 'Kubernetes') {
    if (!sealing) throw new Error('Kubernetes must not hold keys that its readers can use: a key file or a passphrase file is needed to seal them');
    return openSecretKeystore({ ...place, sealing, readOnly, clock, onChange: onLead }).catch((cause: unknown) => {
      throw new Error(`${place.name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    });
  }
  const release = await claimDirectory(place.dir, { readOnly });
  const leadership = alwaysLeader();
  onLead?.(true, 'the only one');
  return { keystore: new DiskKeystore(place.dir, sealing, { readOnly }), reports: new DiskReportStore(place.dir), leadership, stop: () => Promise.all([leadership.stop(), release()]).then(() => undefined) };
}
