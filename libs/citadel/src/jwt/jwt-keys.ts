import { createPublicKey } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { generateP256 } from '@meltemi/identity';
import { formatJwtAuthorities, jwtAuthority } from '@meltemi/identity/jwt';

/** A key that signs JWT-SVIDs for a time. Times are milliseconds since the epoch. */
export interface JwtSigningKey {
  /** `kid`. */
  readonly id: string;
  /** P-256, PKCS #8. */
  readonly privateKeyPem: string;
  /** It is published from when it was made, so that everybody knows it by then. */
  readonly signsFrom: number;
  readonly signsUntil: number;
  /** Until the last token it may have signed has ended. */
  readonly publishedUntil: number;
}

/** The oldest first. */
export interface JwtKeys {
  readonly keys: readonly JwtSigningKey[];
}

const dayMs = 86_400_000;
const signsMs = 7 * dayMs;
const publishedBeforeMs = dayMs;
/** No token lives longer. */
export const maxJwtLifetimeMs = 3_600_000;
/** Clocks of citadels that share the keys may be so far apart. */
const skewMs = 600_000;

/** The keys there should be now; undefined: those that there are. */
export function renewedKeys({ keys }: JwtKeys, now: number, newId: () => string): JwtKeys | undefined {
  const kept = keys.filter(({ publishedUntil }) => publishedUntil > now);
  const last = kept.at(-1);
  const due = !last || (last.signsFrom <= now && last.signsUntil - publishedBeforeMs <= now);
  if (!due) return kept.length === keys.length ? undefined : { keys: kept };
  const signsFrom = Math.max(now, last?.signsUntil ?? 0);
  const signsUntil = signsFrom + signsMs;
  const privateKeyPem = generateP256().privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { keys: [...kept, { id: newId(), privateKeyPem, signsFrom, signsUntil, publishedUntil: signsUntil + maxJwtLifetimeMs + skewMs }] };
}

/** The one that signs now. */
export function signingKey({ keys }: JwtKeys, now: number): JwtSigningKey | undefined {
  return keys.findLast(({ signsFrom, signsUntil }) => signsFrom <= now && now < signsUntil);
}

/** What everybody may know, as a JWK set. */
export function publicJwtKeys({ keys }: JwtKeys): string {
  return formatJwtAuthorities(keys.flatMap(({ id, privateKeyPem }) => jwtAuthority({ ...createPublicKey(privateKeyPem).export({ format: 'jwk' }), kid: id }) ?? []));
}

/** Of the text that keystores keep: a higher one is refused, never read in part. */
const version = 1;

export function formatJwtKeys({ keys }: JwtKeys): string {
  return `${JSON.stringify({ version, keys }, null, 2)}\n`;
}

/** No message quotes what it found: it may be a piece of a key. */
export function parseJwtKeys(text: string): Result<JwtKeys> {
  let value: { readonly version?: unknown; readonly keys?: unknown } | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return fail('', 'is not JSON: it was damaged outside citadel; restore it from a backup');
  }
  if (typeof value?.version === 'number' && value.version > version) return fail('version', 'was written by a newer citadel: start that one');
  if (value?.version !== version || !Array.isArray(value.keys) || !value.keys.every(isKey)) return fail('', 'is damaged; restore it from a backup, or delete it: tokens that are alive end with it');
  return ok({ keys: value.keys });
}

function isKey(value: unknown): value is JwtSigningKey {
  if (typeof value !== 'object' || value === null) return false;
  const { id, privateKeyPem, signsFrom, signsUntil, publishedUntil } = value as Readonly<Record<string, unknown>>;
  if (typeof id !== 'string' || typeof privateKeyPem !== 'string' || ![signsFrom, signsUntil, publishedUntil].every((time) => typeof time === 'number')) return false;
  try {
    return createPublicKey(privateKeyPem).asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch {
    return false;
  }
}
