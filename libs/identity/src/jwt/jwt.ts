import { err, ok, type Result } from '@meltemi/base';
import { isAlgorithm, type Algorithm } from './algorithms.ts';
import { jwtStatus, type JwtStatus } from './status.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A token taken apart; nothing of it is verified. Times are whole seconds since the epoch. */
export interface Jwt {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  readonly algorithm: Algorithm;
  /** "" when the header names none. */
  readonly keyId: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  /** 0 when unset. */
  readonly notBefore: number;
  /** Null when it never expires. */
  readonly expires: number | null;
  /** As it came: base64url. */
  readonly payloadText: string;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** Longest token, in characters. */
export const maxTokenLength = 32 * 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Parses a compact JWS with a JSON payload (RFC 7519); anything looser is refused. */
export function parseJwt(token: string): Result<Jwt, JwtStatus> {
  const sections = token.length > maxTokenLength ? [] : token.split('.', 4);
  const [headerText = '', payloadText = '', signatureText = ''] = sections;
  if (sections.length !== 3 || headerText === '' || payloadText === '' || signatureText === '') return err(jwtStatus.badFormat);
  const header = decodeObject(headerText, jwtStatus.headerBadBase64, jwtStatus.headerBadJson);
  if (!header.ok) return header;
  const { alg, kid } = header.value;
  if (typeof alg !== 'string') return err(jwtStatus.badAlgorithm);
  if (!isAlgorithm(alg)) return err(jwtStatus.unknownAlgorithm);
  // RFC 7515 §4.1.11: what the issuer calls critical must be understood, and nothing of it is here. Deviation: Envoy does not look.
  if (header.value['crit'] !== undefined) return err(jwtStatus.criticalHeader);
  if (kid !== undefined && typeof kid !== 'string') return err(jwtStatus.badKeyId);
  const payload = decodeObject(payloadText, jwtStatus.payloadBadBase64, jwtStatus.payloadBadJson);
  if (!payload.ok) return payload;
  const claims = readClaims(payload.value);
  if (!claims.ok) return claims;
  const signature = decodeBase64Url(signatureText);
  if (signature === null) return err(jwtStatus.signatureBadBase64);
  return ok({ header: header.value, payload: payload.value, algorithm: alg, keyId: kid ?? '', ...claims.value, payloadText, signed: Buffer.from(`${headerText}.${payloadText}`, 'latin1'), signature });
}

type Claims = Pick<Jwt, 'issuer' | 'subject' | 'audiences' | 'notBefore' | 'expires'>;

function readClaims(payload: JsonObject): Result<Claims, JwtStatus> {
  const { iss, sub, jti, aud } = payload;
  if (iss !== undefined && typeof iss !== 'string') return err(jwtStatus.issuerNoString);
  if (sub !== undefined && typeof sub !== 'string') return err(jwtStatus.subjectNoString);
  const issued = readTime(payload['iat'], jwtStatus.issuedNoInteger, jwtStatus.issuedNotPositive);
  if (!issued.ok) return issued;
  const notBefore = readTime(payload['nbf'], jwtStatus.notBeforeNoInteger, jwtStatus.notBeforeNotPositive);
  if (!notBefore.ok) return notBefore;
  const expires = readTime(payload['exp'], jwtStatus.expiryNoInteger, jwtStatus.expiryNotPositive);
  if (!expires.ok) return expires;
  if (jti !== undefined && typeof jti !== 'string') return err(jwtStatus.tokenIdNoString);
  const audiences: unknown[] = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud];
  if (!audiences.every((audience): audience is string => typeof audience === 'string')) return err(jwtStatus.audienceNoString);
  return ok({ issuer: iss ?? '', subject: sub ?? '', audiences, notBefore: notBefore.value ?? 0, expires: expires.value });
}

/** A NumericDate without its fraction; null when absent. */
function readTime(value: unknown, noInteger: JwtStatus, notPositive: JwtStatus): Result<number | null, JwtStatus> {
  if (value === undefined) return ok(null);
  if (typeof value !== 'number') return err(noInteger);
  return value >= 0 && value < 2 ** 63 ? ok(Math.trunc(value)) : err(notPositive);
}

function decodeObject(text: string, badBase64: JwtStatus, badJson: JwtStatus): Result<JsonObject, JwtStatus> {
  const bytes = decodeBase64Url(text);
  if (bytes === null) return err(badBase64);
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? ok(value as JsonObject) : err(badJson);
  } catch {
    return err(badJson);
  }
}

/** The one encoding of these bytes, without padding; null for anything else. */
export function decodeBase64Url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}
