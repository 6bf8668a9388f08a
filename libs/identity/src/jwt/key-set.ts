import { createPublicKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import { err, ok, type Result } from '@meltemi/base';
import { algorithmsOf, verifies, type Algorithm } from './algorithms.ts';
import type { Jwt } from './jwt.ts';
import { jwtStatus, type JwtStatus } from './status.ts';

interface VerificationKey {
  /** "" when it has none. */
  readonly keyId: string;
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
}

/** Largest key set, in bytes, and most keys of one. */
export const maxKeySetBytes = 1024 * 1024;
const maxKeys = 100;
/** RFC 7518 §3.3. */
const minRsaBits = 2048;

/** Public keys of an issuer (RFC 7517). Keys that cannot verify tokens are left out. */
export class KeySet {
  readonly #keys: readonly VerificationKey[];
  /** What is told of every token when there are no keys. */
  readonly #without: JwtStatus;

  private constructor(keys: readonly VerificationKey[], without: JwtStatus = jwtStatus.noKeyMatches) {
    this.#keys = keys;
    this.#without = without;
  }

  /** Verifies nothing, for this reason. */
  static none(reason: JwtStatus): KeySet {
    return new KeySet([], reason);
  }

  static parse(text: string): Result<KeySet, JwtStatus> {
    const set = parseJson(text);
    if (typeof set !== 'object' || set === null) return err(jwtStatus.keysBadJson);
    const keys = (set as { readonly keys?: unknown }).keys;
    if (keys === undefined) return err(jwtStatus.noKeys);
    if (!Array.isArray(keys)) return err(jwtStatus.badKeys);
    const usable = keys.slice(0, maxKeys).flatMap((key) => readKey(key) ?? []);
    return usable.length === 0 ? err(jwtStatus.noValidKey) : ok(new KeySet(usable));
  }

  /** Null when one of the keys made the token's signature. A key with an id verifies only tokens that name it or name none. */
  verify(jwt: Jwt): JwtStatus | null {
    let matched = false;
    for (const { keyId, algorithms, key } of this.#keys) {
      if (jwt.keyId !== '' && keyId !== '' && jwt.keyId !== keyId) continue;
      if (!algorithms.includes(jwt.algorithm)) continue;
      matched = true;
      if (verifies(jwt.algorithm, key, jwt.signed, jwt.signature)) return null;
    }
    return matched ? jwtStatus.verificationFails : this.#without;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readKey(value: unknown): VerificationKey | null {
  if (typeof value !== 'object' || value === null) return null;
  const { kty, crv, kid, alg, use, n, e, x, y } = value as Record<string, unknown>;
  if (typeof kty !== 'string' || (use !== undefined && use !== 'sig')) return null;
  const fits = algorithmsOf(kty, typeof crv === 'string' ? crv : '');
  const algorithms = alg === undefined ? fits : fits.filter((name) => name === alg);
  if (algorithms.length === 0) return null;
  try {
    const parts = Object.entries({ kty, crv, n, e, x, y }).filter(([, part]) => typeof part === 'string');
    const key = createPublicKey({ key: Object.fromEntries(parts) as JsonWebKeyInput['key'], format: 'jwk' });
    if (kty === 'RSA' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < minRsaBits) return null;
    return { keyId: typeof kid === 'string' ? kid : '', algorithms, key };
  } catch {
    return null;
  }
}
