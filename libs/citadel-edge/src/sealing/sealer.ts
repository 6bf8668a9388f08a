import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const nonceBytes = 12;
const tagBytes = 16;

/** How values look where they are kept. `name` is where: what was kept under one name is not believed under another. */
export interface ValueCodec {
  encode(text: string, name: string): string;
  /** Throws with a reason for people, which quotes nothing of the value. */
  decode(stored: string, name: string): string;
}

/** Values as they are; one that is sealed is refused. */
export const plainValues: ValueCodec = {
  encode: (text) => text,
  decode: (stored, name) => {
    if (isSealed(stored)) throw new Error(`${name} is sealed, and what it was sealed with is not at hand: restore sealing.json from a backup, and give the passphrase or key file`);
    return stored;
  },
};

/**
 * AES-256-GCM with a fresh random nonce for each value, its name as additional data: who can write to the storage can neither read a value, nor make one,
 * nor put one in another's place. decisions/0009-sealed-keystore.md has the format.
 */
export class Sealer implements ValueCodec {
  readonly #key: Buffer;

  /** 32 bytes. */
  constructor(key: Buffer) {
    this.#key = key;
  }

  encode(text: string, name: string): string {
    return JSON.stringify({ sealed: 1, ...encrypt(this.#key, Buffer.from(text), aadOf(name)) });
  }

  decode(stored: string, name: string): string {
    const parts = sealedParts(stored);
    if (!parts) throw new Error(`${name} is not sealed, and this keystore is: somebody else wrote it, or it was damaged; restore it from a backup`);
    const opened = decrypt(this.#key, parts, aadOf(name));
    if (!opened) throw new Error(`${name} was changed outside citadel, or belongs to another keystore: restore it from a backup`);
    return opened.toString();
  }
}

/** What one encryption leaves, base64; `data` ends with the tag. */
export interface Encrypted {
  readonly nonce: string;
  readonly data: string;
}

export function encrypt(key: Buffer, plain: Buffer, aad: Buffer): Encrypted {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(aad);
  const data = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { nonce: nonce.toString('base64'), data: data.toString('base64') };
}

/** Undefined when key, data or additional data are not those it was made with. */
export function decrypt(key: Buffer, { nonce, data }: Encrypted, aad: Buffer): Buffer | undefined {
  const [iv, bytes] = [Buffer.from(nonce, 'base64'), Buffer.from(data, 'base64')];
  if (iv.length !== nonceBytes || bytes.length < tagBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes });
  decipher.setAAD(aad);
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, -tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** True for what a Sealer made, whoever's. */
export function isSealed(stored: string): boolean {
  return sealedParts(stored) !== undefined;
}

function aadOf(name: string): Buffer {
  return Buffer.from(`meltemi keystore 1: ${name}`);
}

function sealedParts(stored: string): Encrypted | undefined {
  if (!stored.startsWith('{"sealed":1,')) return undefined;
  try {
    const { nonce, data } = JSON.parse(stored) as { nonce?: unknown; data?: unknown };
    return typeof nonce === 'string' && typeof data === 'string' ? { nonce, data } : undefined;
  } catch {
    return undefined;
  }
}
