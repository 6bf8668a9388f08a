import { readKeyFile, readPassphraseFile, DiskKeystore, type Sealing, type SealingSecret } from '@meltemi/citadel-edge';
import type { Keystore } from '@meltemi/citadel';
import { StartError } from '@meltemi/observe-edge';
import type { CitadelOptions } from './options.ts';

/** A keystore, and its name for people. */
export interface OpenedKeystore {
  readonly keystore: Keystore;
  /** "--state-dir /var/lib/citadel". */
  readonly name: string;
}

/** The keystore that the flags name. Throws StartError saying what to do. */
export async function openKeystore(values: CitadelOptions, stateDir: string): Promise<OpenedKeystore> {
  const sealing = await readSealing(values);
  return { keystore: new DiskKeystore(stateDir, sealing), name: `--state-dir ${stateDir}` };
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
