import { createHmac, generateKeyPairSync, sign, constants, type KeyObject } from 'node:crypto';

type Json = Record<string, unknown>;

/** Someone who signs tokens: one key pair under one id. */
export class Issuer {
  readonly keyId: string;
  readonly algorithm: string;
  readonly publicKey: KeyObject;
  readonly #privateKey: KeyObject;

  constructor(algorithm: string, keyId = 'k1') {
    const { publicKey, privateKey } = pairFor(algorithm);
    this.algorithm = algorithm;
    this.keyId = keyId;
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  get jwk(): Json {
    return { ...this.publicKey.export({ format: 'jwk' }), kid: this.keyId, use: 'sig' };
  }

  token(claims: Json, header: Json = {}): string {
    const signed = `${encoded({ alg: this.algorithm, kid: this.keyId, typ: 'JWT', ...header })}.${encoded(claims)}`;
    const hash = this.algorithm === 'EdDSA' ? null : `sha${this.algorithm.slice(2)}`;
    const pss = this.algorithm.startsWith('PS') ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
    return `${signed}.${sign(hash, Buffer.from(signed), { key: this.#privateKey, dsaEncoding: 'ieee-p1363', ...pss }).toString('base64url')}`;
  }

  /** A token "signed" with the public key as if it were a shared secret. */
  confused(claims: Json): string {
    const signed = `${encoded({ alg: 'HS256', kid: this.keyId })}.${encoded(claims)}`;
    return `${signed}.${createHmac('sha256', this.publicKey.export({ type: 'spki', format: 'pem' })).update(signed).digest('base64url')}`;
  }
}

export const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export const keySetOf = (...issuers: readonly Issuer[]): string => JSON.stringify({ keys: issuers.map(({ jwk }) => jwk) });

function pairFor(algorithm: string): { publicKey: KeyObject; privateKey: KeyObject } {
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519');
  if (algorithm.startsWith('ES')) return generateKeyPairSync('ec', { namedCurve: { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[algorithm] ?? '' });
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}
