import { constants, verify, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto';

/** What signs tokens here. `none` is no member, nor are the HMACs: a public key can never be taken for a shared secret. */
const algorithms = {
  RS256: { hash: 'sha256', curve: null, pss: false }, RS384: { hash: 'sha384', curve: null, pss: false }, RS512: { hash: 'sha512', curve: null, pss: false },
  PS256: { hash: 'sha256', curve: null, pss: true }, PS384: { hash: 'sha384', curve: null, pss: true }, PS512: { hash: 'sha512', curve: null, pss: true },
  ES256: { hash: 'sha256', curve: 'P-256', pss: false }, ES384: { hash: 'sha384', curve: 'P-384', pss: false }, ES512: { hash: 'sha512', curve: 'P-521', pss: false },
  EdDSA: { hash: null, curve: 'Ed25519', pss: false },
} as const;

export type Algorithm = keyof typeof algorithms;

export function isAlgorithm(name: string): name is Algorithm {
  return Object.hasOwn(algorithms, name);
}

/** The algorithms that a key of this type and curve can verify; none for what is not supported. */
export function algorithmsOf(keyType: string, curve: string): Algorithm[] {
  const wanted = keyType === 'RSA' ? null : keyType === 'EC' || keyType === 'OKP' ? curve : undefined;
  // Ed25519 is no curve of an EC key, and the others none of an OKP key.
  if (wanted === undefined || (keyType === 'OKP') !== (wanted === 'Ed25519')) return [];
  return (Object.keys(algorithms) as Algorithm[]).filter((name) => algorithms[name].curve === wanted);
}

/** Whether `key` made this signature by `algorithm`, which is one of its own (algorithmsOf). */
export function verifies(algorithm: Algorithm, key: KeyObject, signed: Buffer, signature: Buffer): boolean {
  const { hash, curve, pss } = algorithms[algorithm];
  const options: VerifyKeyObjectInput = { key };
  if (pss) Object.assign(options, { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
  else if (curve !== null && hash !== null) options.dsaEncoding = 'ieee-p1363';
  try {
    return verify(hash, signed, options, signature);
  } catch {
    // A signature of another length than its key makes.
    return false;
  }
}
