import { resolve } from 'node:path';
import { systemClock } from '@meltemi/base';
import { alwaysLeader, type Keystore, type Leadership, type ReportStore } from '@meltemi/citadel';
import { defaultCitadelRoot, DiskKeystore, DiskReportStore, openEtcdKeystore, readKeyFile, readPassphraseFile, type Sealing, type SealingSecret } from '@meltemi/citadel-edge';
import { claimDirectory } from '@meltemi/citadel-edge';
import { etcdOptionsOf, parseEtcdUrl } from '@meltemi/config-edge/etcd';
import { StartError } from '@meltemi/observe-edge';
import type { CitadelOptions } from './options.ts';

/** Where this citadel keeps things, and with whom it shares them. */
export interface OpenedKeystore {
  readonly keystore: Keystore;
  readonly leadership: Leadership;
  /** Who follows the roots: kept where the keystore is. */
  readonly reports: ReportStore;
  /** Others may change it: it must be looked at often. */
  readonly shared: boolean;
  /** For people: "--keystore etcd at 10.0.0.1:2379". */
  readonly name: string;
  stop(): Promise<void>;
}

/** The keystore that the flags name; `onLead` is told when this citadel starts or ends to lead. Throws StartError saying what to do. */
export async function openKeystore(values: CitadelOptions, stateDir: string, onLead: (leads: boolean, reason: string) => void): Promise<OpenedKeystore> {
  const sealing = await readSealing(values);
  const text = values.keystore ?? `dir:${stateDir}`;
  if (text.startsWith('dir:')) {
    const dir = resolve(text.slice('dir:'.length));
    const release = await claimDirectory(dir).catch((cause: unknown) => {
      throw new StartError(cause instanceof Error ? cause.message : String(cause), { cause });
    });
    const leadership = alwaysLeader();
    onLead(true, 'the only one');
    return { keystore: new DiskKeystore(dir, sealing), reports: new DiskReportStore(dir), leadership, shared: false, name: values.keystore === undefined ? `--state-dir ${dir}` : `--keystore ${dir}`, stop: () => Promise.all([leadership.stop(), release()]).then(() => undefined) };
  }
  const url = parseEtcdUrl(text, defaultCitadelRoot);
  if (!url.ok) throw new StartError(`--keystore: ${url.error}; or dir:PATH for a folder`, { exitCode: 2 });
  if (!sealing) throw new StartError('--keystore etcd://: give --keystore-key-file or --keystore-passphrase-file, too: etcd must not hold keys that its readers can use', { exitCode: 2 });
  const etcd = etcdOptionsOf(url.value, values);
  if (!etcd.ok) throw new StartError(`--keystore: ${etcd.error}`, { exitCode: 2 });
  const opened = openEtcdKeystore({ etcd: etcd.value, sealing, clock: systemClock, onChange: onLead });
  return { ...opened, shared: true, name: `--keystore etcd at ${url.value.endpoints.join(', ')}` };
}

async function readSealing(values: CitadelOptions): Promise<Sealing | undefined> {
  const secret = await readSecret(values, { passphrase: 'keystore-passphrase-file', key: 'keystore-key-file' });
  const previous = await readSecret(values, { passphrase: 'keystore-previous-passphrase-file', key: 'keystore-previous-key-file' });
  if (previous && !secret) throw new StartError('--keystore-previous-…: give the new secret too, --keystore-passphrase-file or --keystore-key-file', { exitCode: 2 });
  return secret && { secret, ...(previous && { previous }) };
}

type SecretFlag = 'keystore-passphrase-file' | 'keystore-key-file' | 'keystore-previous-passphrase-file' | 'keystore-previous-key-file';

async function readSecret(values: CitadelOptions, flags: { readonly passphrase: SecretFlag; readonly key: SecretFlag }): Promise<SealingSecret | undefined> {
  const [passphraseFile, keyFile] = [values[flags.passphrase], values[flags.key]];
  if (passphraseFile !== undefined && keyFile !== undefined) throw new StartError(`--${flags.passphrase} and --${flags.key}: give one of them`, { exitCode: 2 });
  const [flag, read] = passphraseFile !== undefined ? ([flags.passphrase, () => readPassphraseFile(passphraseFile)] as const) : ([flags.key, () => keyFile === undefined ? Promise.resolve(undefined) : readKeyFile(keyFile)] as const);
  return read().catch((cause: unknown) => {
    throw new StartError(`--${flag}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  });
}
