import { sign, type KeyObject } from 'node:crypto';
import { err, ok, type Result } from '@meltemi/base';
import { trustDomainOf } from '../spiffe.ts';
import { parseJwt, type JsonObject } from './jwt.ts';
import type { KeySet } from './key-set.ts';

/** A JWT-SVID to be: a SPIFFE id for some audiences. */
export interface JwtSvidClaims {
  readonly spiffeId: string;
  readonly audiences: readonly string[];
  /** Whole seconds since the epoch. */
  readonly issuedAt: number;
  readonly expires: number;
  /** `jti`. */
  readonly id: string;
}

/** Signs with ES256. */
export function signJwtSvid({ spiffeId, audiences, issuedAt, expires, id }: JwtSvidClaims, { keyId, key }: { readonly keyId: string; readonly key: KeyObject }): string {
  const signed = `${encoded({ alg: 'ES256', kid: keyId, typ: 'JWT' })}.${encoded({ aud: audiences, exp: expires, iat: issuedAt, jti: id, sub: spiffeId })}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** JWT-SVID §2.2: no other algorithm may be accepted, also where a key of the bundle could do it. */
const algorithms = new Set(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']);

export interface JwtSvidExpectation {
  /** Who is asked to believe it: must be among `aud`. */
  readonly audience: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The keys of a trust domain; undefined: it is not believed. */
  readonly keysOf: (trustDomain: string) => KeySet | undefined;
}

export interface VerifiedJwtSvid {
  readonly spiffeId: string;
  readonly claims: JsonObject;
}

/** JWT-SVID §4: algorithm, key, signature, subject, audience and end, with no leeway. An error says what is wrong, and quotes nothing of the token. */
export function verifyJwtSvid(token: string, { audience, now, keysOf }: JwtSvidExpectation): Result<VerifiedJwtSvid, string> {
  const jwt = parseJwt(token);
  if (!jwt.ok) return err(jwt.error.text);
  const { header, algorithm, keyId, subject, audiences, expires, notBefore, payload } = jwt.value;
  if (!algorithms.has(algorithm)) return err(`alg ${algorithm} is none of a JWT-SVID`);
  if (header['typ'] !== undefined && header['typ'] !== 'JWT' && header['typ'] !== 'JOSE') return err('typ must be JWT or JOSE');
  if (keyId === '') return err('kid is missing');
  const trustDomain = trustDomainOf(subject);
  if (trustDomain === undefined || subject === `spiffe://${trustDomain}`) return err('sub is no SPIFFE id of a workload');
  const keys = keysOf(trustDomain);
  if (!keys) return err(`no keys of trust domain ${trustDomain} are known`);
  const unsigned = keys.verify(jwt.value);
  if (unsigned) return err(`the signature is not of a key of trust domain ${trustDomain}: ${unsigned.text}`);
  if (!audiences.includes(audience)) return err('aud does not name the audience that was asked for');
  if (expires === null) return err('exp is missing');
  if (expires * 1000 <= now) return err(`it expired at ${new Date(Math.min(expires, 8.64e12) * 1000).toISOString()}`);
  if (notBefore * 1000 > now) return err('it is not valid yet');
  return ok({ spiffeId: subject, claims: payload });
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
