import { fail, ok, type Result } from '@meltemi/base';

/** A certificate that was revoked, as it is remembered. */
export interface RevokedRecord {
  /** Lower-case hex without leading zeros. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly revokedAt: number;
  /** When it ends by itself, and can be forgotten. */
  readonly notAfter: number;
  /** Unset: only the serial was given. */
  readonly spiffeId?: string;
}

/** An identity whose certificates were revoked: those issued before do not renew. */
export interface RevokedIdentity {
  readonly spiffeId: string;
  /** Milliseconds since the epoch. */
  readonly before: number;
}

/** The newest list that an issuing CA signed. */
export interface SignedList {
  /** SHA-256 of the issuing CA. */
  readonly issuer: string;
  /** When the issuing CA ends, and its list can be forgotten. */
  readonly notAfter: number;
  readonly pem: string;
}

/** Everything that is revoked, and the lists that say so. */
export interface RevocationState {
  /** Of the newest list. */
  readonly number: number;
  readonly certificates: readonly RevokedRecord[];
  readonly identities: readonly RevokedIdentity[];
  readonly lists: readonly SignedList[];
}

export const nothingRevoked: RevocationState = { number: 0, certificates: [], identities: [], lists: [] };

/** Of the text that keystores keep: a higher one is refused, never read in part. */
const version = 1;

export function formatRevocations(state: RevocationState): string {
  return `${JSON.stringify({ version, ...state })}\n`;
}

export function parseRevocations(text: string): Result<RevocationState> {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return fail('', 'is not JSON: it was damaged outside citadel; restore it from a backup');
  }
  if (typeof value !== 'object' || value === null || typeof value['version'] !== 'number') return fail('', 'is damaged; restore it from a backup');
  if (value['version'] > version) return fail('version', 'was written by a newer citadel: start that one');
  const { number, certificates, identities, lists } = value;
  // What cannot be read is not left out: a certificate forgotten here would be believed again.
  if (typeof number !== 'number' || !isListOf<RevokedRecord>(certificates, isRecord) || !isListOf<RevokedIdentity>(identities, isIdentity) || !isListOf<SignedList>(lists, isSigned)) return fail('', 'is damaged; restore it from a backup');
  return ok({ number, certificates, identities, lists });
}

function isListOf<T>(value: unknown, is: (each: Record<string, unknown>) => boolean): value is T[] {
  return Array.isArray(value) && value.every((each: unknown) => typeof each === 'object' && each !== null && is(each as Record<string, unknown>));
}

function isRecord({ serial, revokedAt, notAfter, spiffeId = '' }: Record<string, unknown>): boolean {
  return typeof serial === 'string' && isSerial(serial) && typeof revokedAt === 'number' && typeof notAfter === 'number' && typeof spiffeId === 'string';
}

function isIdentity({ spiffeId, before }: Record<string, unknown>): boolean {
  return typeof spiffeId === 'string' && typeof before === 'number';
}

function isSigned({ issuer, notAfter, pem }: Record<string, unknown>): boolean {
  return typeof issuer === 'string' && typeof notAfter === 'number' && typeof pem === 'string';
}

/** Hex of 1 to 20 bytes without leading zeros, as certificates here show it. */
export function isSerial(text: string): boolean {
  return /^(?!0.)[0-9a-f]{1,40}$/.test(text);
}
