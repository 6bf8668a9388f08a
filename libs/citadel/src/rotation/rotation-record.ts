import { fail, ok, type Result } from '@meltemi/base';

/** One root with its issuing CA, and their keys, PEM. */
export interface RootMaterial {
  readonly rootCertificatePem: string;
  readonly rootKeyPem: string;
  readonly issuingCertificatePem: string;
  readonly issuingKeyPem: string;
  /** Earlier issuing certificates whose workloads may still be alive; their keys are gone. */
  readonly retiredIssuingPem: readonly string[];
}

/**
 * How far a change of the root has come. Neighbours get on with each other: whoever lives in one can talk to whoever lives in the next or the one before.
 *
 *     phase          signs   believed      citadel's own certificate
 *     (none)         old     old           old
 *     distributing   old     old and new   old
 *     switched       new     old and new   old; new after one visit to retiring
 *     retiring       new     new           new
 *     (none)         new     new           new
 */
export const rotationPhases = ['distributing', 'switched', 'retiring'] as const;
export type RotationPhase = (typeof rotationPhases)[number];

/** A change of the root under way. */
export interface RotationRecord {
  readonly phase: RotationPhase;
  /** No step forward until somebody resumes. */
  readonly paused: boolean;
  /** Goes on by itself as soon as nobody would be cut off. */
  readonly automatic: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Of the phase. */
  readonly since: number;
  /** Citadel's own certificate is of the other root, which everybody who comes back still knows. */
  readonly servedByOther: boolean;
  /** The root that does not sign: the new one while it is distributed, later the old one. */
  readonly other: RootMaterial;
}

/** A root that is not believed any more. Lower-case hex. */
export interface RetiredRoot {
  readonly fingerprint: string;
  /** Milliseconds since the epoch. */
  readonly retiredAt: number;
}

export const rootFields = ['rootCertificatePem', 'rootKeyPem', 'issuingCertificatePem', 'issuingKeyPem'] as const;
/** Enough to tell the holder of an old token what has happened. */
export const maxRetiredRoots = 8;

/** Reads what a keystore kept. No message quotes what it found: it may be a piece of a key. */
export function parseRotation(value: unknown): Result<RotationRecord> {
  const record = objectOf(value);
  const other = objectOf(record['other']);
  const phase = rotationPhases.find((name) => name === record['phase']);
  if (!phase) return fail('rotation.phase', 'is unknown: a newer citadel wrote it, or it was damaged; restore it from a backup');
  const { paused, automatic, startedAt, since, servedByOther } = record;
  if (typeof paused !== 'boolean' || typeof automatic !== 'boolean' || typeof servedByOther !== 'boolean' || typeof startedAt !== 'number' || typeof since !== 'number') return fail('rotation', 'is incomplete; restore it from a backup');
  const missing = rootFields.find((name) => typeof other[name] !== 'string');
  if (missing !== undefined) return fail(`rotation.other.${missing}`, 'is missing; restore it from a backup');
  const [rootCertificatePem = '', rootKeyPem = '', issuingCertificatePem = '', issuingKeyPem = ''] = rootFields.map((name) => String(other[name]));
  return ok({ phase, paused, automatic, startedAt, since, servedByOther, other: { rootCertificatePem, rootKeyPem, issuingCertificatePem, issuingKeyPem, retiredIssuingPem: textsOf(other['retiredIssuingPem']) } });
}

/** Reads the roots that were retired; what is damaged is left out, it only serves messages. */
export function parseRetiredRoots(value: unknown): readonly RetiredRoot[] {
  return (Array.isArray(value) ? value : []).map(objectOf).flatMap(({ fingerprint, retiredAt }) => (typeof fingerprint === 'string' && typeof retiredAt === 'number' ? [{ fingerprint, retiredAt }] : []));
}

function objectOf(value: unknown): { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null ? (value as { readonly [key: string]: unknown }) : {};
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}
