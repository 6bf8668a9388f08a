import { open, type FileHandle } from 'node:fs/promises';

/** What an operator keeps apart from the keystore, to open it. */
export interface SealingSecret {
  readonly kind: SecretKind;
  readonly bytes: Buffer;
}

export type SecretKind = 'passphrase' | 'key file';

const maxPassphraseBytes = 1024;
const minPassphraseBytes = 12;
const keyBytes = 32;

/** The first line of a file, at least 12 bytes. Rejects with a reason for people when the file is not fit to hold a secret. */
export async function readPassphraseFile(path: string): Promise<SealingSecret> {
  const bytes = await readSecretFile(path);
  const [line = ''] = bytes.toString().split(/\r?\n/);
  if (Buffer.byteLength(line) < minPassphraseBytes) throw new Error(`${path}: the passphrase, its first line, must have at least ${minPassphraseBytes} bytes; "openssl rand -base64 24" makes a good one`);
  return { kind: 'passphrase', bytes: Buffer.from(line) };
}

/** 32 random bytes, as they are or in base64 on one line. Rejects as readPassphraseFile. */
export async function readKeyFile(path: string): Promise<SealingSecret> {
  const bytes = await readSecretFile(path);
  const text = bytes.toString('latin1').trim();
  const key = bytes.length === keyBytes ? bytes : /^[A-Za-z0-9+/]{43}=$/.test(text) ? Buffer.from(text, 'base64') : undefined;
  if (!key) throw new Error(`${path}: a key file holds 32 random bytes, or those in base64: "openssl rand -out FILE 32" makes one`);
  return { kind: 'key file', bytes: key };
}

async function readSecretFile(path: string): Promise<Buffer> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new Error(`${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`);
  });
  try {
    await checkPrivate(path, file);
    const buffer = Buffer.alloc(maxPassphraseBytes + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > maxPassphraseBytes) throw new Error(`${path} is longer than ${maxPassphraseBytes} bytes: it holds something else`);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** As ssh does with its keys: a secret that others can read is none. */
async function checkPrivate(path: string, file: FileHandle): Promise<void> {
  const { mode, uid } = await file.stat();
  if ((mode & 0o170000) !== 0o100000) throw new Error(`${path} is no regular file`);
  if ((mode & 0o077) !== 0) throw new Error(`${path} has mode ${(mode & 0o777).toString(8).padStart(4, '0')}: others can read or change it. "chmod 600 ${path}", and choose a new secret if they may have`);
  const own = process.getuid?.();
  if (own !== undefined && uid !== own && uid !== 0) throw new Error(`${path} belongs to user ${uid}, who could change it; it must be owned by root or by the user citadel runs as (${own})`);
}
