import { systemClock } from '@meltemi/base';
import { openPlace, parseKeystorePlace, readKeyFile, readPassphraseFile, type PlacedKeystore, type Sealing, type SealingSecret } from '@meltemi/citadel-edge';
import { StartError } from '@meltemi/observe-edge';
import type { CitadelOptions } from './options.ts';

/** Where this citadel keeps things, and with whom it shares them. */
export interface OpenedKeystore extends PlacedKeystore {
  /** Others may change it: it must be looked at often. */
  readonly shared: boolean;
  /** For people: "--keystore etcd at 10.0.0.1:2379 (/meltemi-citadel)". */
  readonly name: string;
}

/** The keystore that the flags name; `onLead` is told when this citadel starts or ends to lead. Throws StartError saying what to do. */
export async function openKeystore(values: CitadelOptions, stateDir: string, onLead: (leads: boolean, reason: string) => void): Promise<OpenedKeystore> {
  const sealing = await readSealing(values);
  const place = parseKeystorePlace(values.keystore ?? `dir:${stateDir}`, values);
  if (!place.ok) throw new StartError(`--keystore: ${place.error}`, { exitCode: 2 });
  const { kind, name } = place.value;
  if (kind !== 'folder' && !sealing) throw new StartError(`--keystore ${name}: give --keystore-key-file or --keystore-passphrase-file, too: ${kind} must not hold keys that its readers can use`, { exitCode: 2 });
  const opened = await openPlace(place.value, { sealing, clock: systemClock, onLead }).catch((cause: unknown) => {
    throw new StartError(cause instanceof Error ? cause.message : String(cause), { cause });
  });
  return { ...opened, shared: kind === 'etcd', name: values.keystore === undefined ? `--state-dir ${stateDir}` : `--keystore ${name}` };
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
