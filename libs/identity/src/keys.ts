import { createPublicKey, generateKeyPair, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { DerError, type DerNode, nothing, objectId, parts, readObjectId, sequence, tag, wholeBits } from './der.ts';
import { oid } from './extensions.ts';

/** Keys an authority or a workload may have, by the names of their flags. */
export const keyAlgorithms = ['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

/** The private half stays in the process that made it. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const generateKeyPairAsync = promisify(generateKeyPair);

/** A new pair. RSA keys take from a tenth of a second (2048 bits) to several (4096), on a thread of their own. */
export async function generateKeys(algorithm: KeyAlgorithm): Promise<KeyPair> {
  if (algorithm === 'ecdsa-p256') return generateP256();
  if (algorithm === 'ecdsa-p384') return generateKeyPairAsync('ec', { namedCurve: 'P-384' });
  return generateKeyPairAsync('rsa', { modulusLength: Number(algorithm.slice('rsa-'.length)) });
}

/** A P-256 pair: what there is time to make in between. */
export function generateP256(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

interface SignatureKind {
  readonly digest: string;
  readonly algorithm: DerNode;
}

/** Of the keys that sign: an authority's is asked for every certificate. */
const signatureKinds = new WeakMap<KeyObject, SignatureKind>();

/** How a key signs: P-384 with SHA-384, every other with SHA-256; RSA as PKCS #1 v1.5, what every TLS library reads. */
function signatureOf(key: KeyObject): SignatureKind {
  const known = signatureKinds.get(key);
  if (known) return known;
  const kind = signatureKindOf(key);
  signatureKinds.set(key, kind);
  return kind;
}

function signatureKindOf(key: KeyObject): SignatureKind {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa') return { digest: 'sha256', algorithm: sequence(objectId(oid.sha256WithRsa), nothing()) };
  if (type !== 'ec') throw new Error(`a key of type ${type ?? 'unknown'} does not sign certificates here: use ECDSA or RSA`);
  const p384 = details?.namedCurve === 'secp384r1';
  return { digest: p384 ? 'sha384' : 'sha256', algorithm: sequence(objectId(p384 ? oid.ecdsaWithSha384 : oid.ecdsaWithSha256)) };
}

/** The AlgorithmIdentifier of what `signWith` makes. */
export function signatureAlgorithm(key: KeyObject): DerNode {
  return signatureOf(key).algorithm;
}

/** Signs; ECDSA in DER form. */
export function signWith(data: Uint8Array, key: KeyObject): Buffer {
  return sign(signatureOf(key).digest, data, key);
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
  const read = () => createPublicKey({ key: spki, format: 'der', type: 'spki' });
  if (!isPlainEc(spki)) return acceptedKey(read);
  const key = readKey(read);
  spkis.set(key, spki);
  return key;
}

/** The same for a key that OpenSSL has read already; `read` may throw. */
export function acceptedKey(read: () => KeyObject): KeyObject {
  const key = readKey(read);
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const good = key.asymmetricKeyType === 'ec' ? namedCurve === 'prime256v1' || namedCurve === 'secp384r1' : key.asymmetricKeyType === 'rsa' && modulusLength >= 2048 && modulusLength <= 4096;
  if (!good) throw new DerError('the public key must be EC P-256 or P-384, or RSA of 2048 to 4096 bits');
  return key;
}

function readKey(read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch {
    throw new DerError('the public key cannot be read');
  }
}

/** What keys are exported to: OpenSSL takes longer for that than for a signature. */
const spkis = new WeakMap<KeyObject, Buffer>();
/** Up to the point, which is not compressed: the only form that OpenSSL writes. */
const plainEc = ['3059301306072a8648ce3d020106082a8648ce3d03010703420004', '3076301006072a8648ce3d020106052b8104002203620004'].map((hex) => Buffer.from(hex, 'hex'));

function isPlainEc(spki: Buffer): boolean {
  return plainEc.some((head) => spki.length === 2 + (head[1] ?? 0) && spki.subarray(0, head.length).equals(head));
}

/** SubjectPublicKeyInfo as DER: the identity of a key, for comparing. Not to be changed. */
export function spkiOf(key: KeyObject): Buffer {
  const known = spkis.get(key);
  if (known) return known;
  const spki = key.export({ type: 'spki', format: 'der' });
  spkis.set(key, spki);
  return spki;
}

/** The key bits alone, what key identifiers are hashed from. */
export function keyBits(spki: DerNode): Buffer {
  return wholeBits(parts(spki, tag.sequence, 'public key')[1], 'public key');
}
