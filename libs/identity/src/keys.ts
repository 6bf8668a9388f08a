import { createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { decodeDer, DerError, type DerNode, objectId, parts, readObjectId, sequence, tag, wholeBits } from './der.ts';
import { oid } from './extensions.ts';

/** A P-256 pair, the key of every workload and authority of the mesh. The private half stays in the process that made it. */
export function generateP256(): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** Signs with a P-256 key: ECDSA over SHA-256, DER form. */
export function signP256(data: Uint8Array, key: KeyObject): Buffer {
  return sign('sha256', data, key);
}

export function p256SignatureAlgorithm(): DerNode {
  return sequence(objectId(oid.ecdsaWithSha256));
}

const digests: Readonly<Record<string, { readonly digest: string; readonly keyType: 'ec' | 'rsa' }>> = {
  [oid.ecdsaWithSha256]: { digest: 'sha256', keyType: 'ec' },
  [oid.ecdsaWithSha384]: { digest: 'sha384', keyType: 'ec' },
  [oid.sha256WithRsa]: { digest: 'sha256', keyType: 'rsa' },
  [oid.sha384WithRsa]: { digest: 'sha384', keyType: 'rsa' },
  [oid.sha512WithRsa]: { digest: 'sha512', keyType: 'rsa' },
};

/** Checks a signature whose algorithm is written as an AlgorithmIdentifier. False for a wrong signature; DerError for an algorithm not accepted here. */
export function verifySigned(data: Uint8Array, algorithm: DerNode | undefined, signature: Uint8Array, key: KeyObject): boolean {
  const id = readObjectId(parts(algorithm, tag.sequence, 'signature algorithm')[0], 'signature algorithm');
  const known = digests[id];
  if (!known || known.keyType !== key.asymmetricKeyType) throw new DerError(`signature algorithm ${id} is not accepted with this key: use ECDSA or RSA with SHA-256 or better`);
  return verify(known.digest, data, key, signature);
}

/** Reads a SubjectPublicKeyInfo. Accepted: EC P-256 and P-384, RSA of 2048 to 4096 bits (what Istio's own agents make). Throws DerError. */
export function readPublicKey(spki: Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    throw new DerError('the public key cannot be read');
  }
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const good = key.asymmetricKeyType === 'ec' ? namedCurve === 'prime256v1' || namedCurve === 'secp384r1' : key.asymmetricKeyType === 'rsa' && modulusLength >= 2048 && modulusLength <= 4096;
  if (!good) throw new DerError('the public key must be EC P-256 or P-384, or RSA of 2048 to 4096 bits');
  return key;
}

/** SubjectPublicKeyInfo as DER: the identity of a key, for comparing. */
export function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

/** The key bits alone, what key identifiers are hashed from. */
export function keyBits(spki: Buffer): Buffer {
  return wholeBits(parts(decodeDer(spki, 4096), tag.sequence, 'public key')[1], 'public key');
}
