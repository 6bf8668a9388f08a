import { constants, createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const second = generateKeyPairSync('ec', { namedCurve: 'P-256' });

type Json = Readonly<Record<string, unknown>>;

/** What `${TEST_JWKS}` stands for in a case: the key set of every issuer there. */
export const testJwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'RS256', use: 'sig' }, { ...second.publicKey.export({ format: 'jwk' }), kid: 'second' }] });

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const farAhead = 4_102_444_800;
const header = { alg: 'RS256', typ: 'JWT', kid: 'test' };

function signed(claims: Json, more: Json = {}, key: KeyObject = privateKey): string {
  const text = `${encoded({ ...header, ...more })}.${encoded({ exp: farAhead, ...claims })}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign({ key, dsaEncoding: 'ieee-p1363', padding: constants.RSA_PKCS1_PADDING }).toString('base64url')}`;
}

/** A token with these claims that such an issuer signed. */
export function bearerToken(claims: Json): string {
  return signed(claims);
}

const claims = { iss: 'accounts.example', sub: 'ann', aud: 'shop' };
const good = signed(claims);
const [goodHeader = '', goodPayload = '', goodSignature = ''] = good.split('.');
const now = (): number => Math.floor(Date.now() / 1000);

function sharedSecret(): string {
  const text = `${encoded({ ...header, alg: 'HS256' })}.${encoded({ exp: farAhead, ...claims })}`;
  return `${text}.${createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' })).update(text).digest('base64url')}`;
}

/** What `${TOKEN_NAME}` stands for in a case: tokens of accounts.example, good and not, made when they are asked for. */
export const testTokens: Readonly<Record<string, () => string>> = {
  GOOD: () => good,
  SECOND_KEY: () => signed(claims, { alg: 'ES256', kid: 'second' }, second.privateKey),
  NO_KEY_ID: () => signed(claims, { kid: undefined }),
  JUST_EXPIRED: () => signed({ ...claims, exp: now() - 30 }),
  SOON_VALID: () => signed({ ...claims, nbf: now() + 30 }),
  EXPIRED: () => signed({ ...claims, exp: now() - 3600 }),
  NOT_YET: () => signed({ ...claims, nbf: now() + 3600 }),
  EXPIRY_TEXT: () => signed({ ...claims, exp: 'never' }),
  WRONG_KEY: () => signed(claims, {}, stranger.privateKey),
  UNKNOWN_KEY_ID: () => signed(claims, { kid: 'other' }, stranger.privateKey),
  NONE: () => `${encoded({ alg: 'none' })}.${goodPayload}.`,
  NONE_SIGNED: () => `${encoded({ alg: 'none', kid: 'test' })}.${goodPayload}.${goodSignature}`,
  SHARED_SECRET: sharedSecret,
  OTHER_CLAIMS: () => `${goodHeader}.${encoded({ exp: farAhead, ...claims, sub: 'root' })}.${goodSignature}`,
  OTHER_ALGORITHM: () => `${encoded({ ...header, alg: 'PS256' })}.${goodPayload}.${goodSignature}`,
  CUT: () => `${goodHeader}.${goodPayload}.${goodSignature.slice(0, -8)}`,
  UNSIGNED: () => `${goodHeader}.${goodPayload}`,
  FOUR_PARTS: () => `${good}.${goodSignature}`,
  PADDED: () => `${goodHeader}.${goodPayload}.${goodSignature}==`,
  OVERSIZED: () => signed({ ...claims, more: 'x'.repeat(30_000) }),
  OTHER_ISSUER: () => signed({ ...claims, iss: 'evil.example' }),
  OTHER_AUDIENCE: () => signed({ ...claims, aud: 'bank' }),
  AUDIENCES: () => signed({ ...claims, aud: ['bank', 'shop'] }),
  NO_AUDIENCE: () => signed({ ...claims, aud: undefined }),
  PARTNER: () => signed({ iss: 'partner.example', sub: 'bob', roles: 'user admin' }),
};

/** A case with its keys and tokens written in: tokens that are about to expire are of this moment. */
export function withTokens(text: string): string {
  return text.replaceAll('${TEST_JWKS}', testJwks).replaceAll(/\$\{TOKEN_([A-Z_]+)\}/g, (whole, name: string) => testTokens[name]?.() ?? whole);
}
