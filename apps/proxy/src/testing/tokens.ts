import { generateKeyPairSync, sign } from 'node:crypto';

/** An issuer of ES256 tokens with one key. */
export interface TokenIssuer {
  readonly keySet: string;
  token(claims: Readonly<Record<string, unknown>>): string;
}

export function tokenIssuer(keyId: string): TokenIssuer {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    keySet: JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: keyId, alg: 'ES256', use: 'sig' }] }),
    token: (claims) => {
      const signed = `${part({ alg: 'ES256', kid: keyId })}.${part(claims)}`;
      return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    },
  };
}
