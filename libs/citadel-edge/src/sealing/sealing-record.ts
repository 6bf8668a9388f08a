import { hkdfSync, randomBytes, scrypt } from 'node:crypto';
import { err, ok, type Result } from '@meltemi/base';
import { decrypt, encrypt } from './sealer.ts';
import type { SealingSecret, SecretKind } from './sealing-secret.ts';

/** The key that seals every value of a keystore, and what is known about it. */
export interface DataKey {
  /** 32 bytes. */
  readonly key: Buffer;
  /** Values from before the sealing may still lie there plain: a first sealing was interrupted. */
  readonly unfinished: boolean;
}

interface Derivation {
  readonly version: 1;
  readonly secret: SecretKind;
  readonly salt: string;
  /** Of a passphrase. */
  readonly scrypt?: { readonly cost: number; readonly blockSize: number; readonly parallelization: number };
  readonly unfinished: boolean;
}

/** 64 MiB and a quarter of a second per guess. */
const scryptCost = { cost: 65_536, blockSize: 8, parallelization: 2 } as const;
/** Of a record that somebody may have written to hurt us. */
const maxScryptBytes = 512 * 1024 * 1024;
const scryptBytes = ({ cost, blockSize }: { readonly cost: number; readonly blockSize: number }): number => 128 * cost * blockSize;

export function newDataKey(unfinished: boolean): DataKey {
  return { key: randomBytes(32), unfinished };
}

/** The record to keep beside the values: the data key, encrypted under what the secret derives to. Another secret needs another record, not other values. */
export async function wrapDataKey({ key, unfinished }: DataKey, secret: SealingSecret): Promise<string> {
  const derivation: Derivation = { version: 1, secret: secret.kind, salt: randomBytes(16).toString('base64'), ...(secret.kind === 'passphrase' && { scrypt: scryptCost }), unfinished };
  return `${JSON.stringify({ ...derivation, ...encrypt(await derive(secret, derivation), key, aadOf(derivation)) }, null, 2)}\n`;
}

/** The error is for people: the wrong secret, or a damaged record. */
export async function unwrapDataKey(record: string, secret: SealingSecret): Promise<Result<DataKey, string>> {
  const read = readRecord(record);
  if (!read) return err('the sealing record is damaged, or from a newer citadel: restore it from a backup');
  const { derivation, encrypted } = read;
  if (derivation.secret !== secret.kind) return err(`the keystore is sealed with a ${derivation.secret}, not with a ${secret.kind}`);
  const key = decrypt(await derive(secret, derivation), encrypted, aadOf(derivation));
  if (key?.length !== 32) return err(`this ${secret.kind} does not open the keystore: it was sealed with another one`);
  return ok({ key, unfinished: derivation.unfinished });
}

function derive({ kind, bytes }: SealingSecret, { salt, scrypt: parameters }: Derivation): Promise<Buffer> {
  const saltBytes = Buffer.from(salt, 'base64');
  if (kind === 'key file') return Promise.resolve(Buffer.from(hkdfSync('sha256', bytes, saltBytes, 'meltemi keystore 1', 32)));
  const { cost, blockSize, parallelization } = parameters ?? scryptCost;
  return new Promise((resolve, reject) => {
    scrypt(bytes, saltBytes, 32, { cost, blockSize, parallelization, maxmem: maxScryptBytes * 2 }, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

function readRecord(text: string): { readonly derivation: Derivation; readonly encrypted: { readonly nonce: string; readonly data: string } } | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, secret, salt, unfinished, nonce, data } = value;
  if (version !== 1 || (secret !== 'passphrase' && secret !== 'key file')) return undefined;
  if (typeof salt !== 'string' || typeof unfinished !== 'boolean' || typeof nonce !== 'string' || typeof data !== 'string') return undefined;
  const parameters = secret === 'passphrase' ? readScrypt(value['scrypt']) : undefined;
  if (secret === 'passphrase' && !parameters) return undefined;
  return { derivation: { version, secret, salt, ...(parameters && { scrypt: parameters }), unfinished }, encrypted: { nonce, data } };
}

function readScrypt(value: unknown): Derivation['scrypt'] {
  if (typeof value !== 'object' || value === null) return undefined;
  const { cost, blockSize, parallelization } = value as Record<string, unknown>;
  if (!isCount(cost) || !isCount(blockSize) || !isCount(parallelization)) return undefined;
  if ((cost & (cost - 1)) !== 0 || cost < 2 || parallelization > 16 || scryptBytes({ cost, blockSize }) > maxScryptBytes) return undefined;
  return { cost, blockSize, parallelization };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 2 ** 30;
}

function aadOf({ version, secret, salt, scrypt: parameters, unfinished }: Derivation): Buffer {
  const { cost = 0, blockSize = 0, parallelization = 0 } = parameters ?? {};
  return Buffer.from(`meltemi sealing record ${version}: ${secret} ${salt} ${cost} ${blockSize} ${parallelization} ${unfinished}`);
}
