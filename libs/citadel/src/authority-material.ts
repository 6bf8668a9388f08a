import { fail, ok, type Result } from '@meltemi/base';
import { parseRetiredRoots, parseRotation, rootFields, type RetiredRoot, type RootMaterial, type RotationRecord } from './rotation/rotation-record.ts';

/** Everything an authority is: certificates and keys as PEM. Whoever reads it can be anybody in the mesh. The root that signs stands on top. */
export interface AuthorityMaterial extends RootMaterial {
  /** A change of the root under way. */
  readonly rotation?: RotationRecord;
  /** The oldest first. */
  readonly retiredRoots?: readonly RetiredRoot[];
}

/**
 * Of the text that keystores keep. A text of a higher version is refused, never read in part: several citadels of different ages may share a keystore, and
 * one that saves must not drop what it does not know. So a field that must survive raises it. Texts from before versions have none, and count as 1.
 * 2: a rotation is under way.
 */
const version = 2;

export function formatMaterial(material: AuthorityMaterial): string {
  return `${JSON.stringify({ version: material.rotation ? 2 : 1, ...material }, null, 2)}\n`;
}

/** The path of an error is the field. No message quotes what it found: it may be a piece of a key. */
export function parseMaterial(text: string): Result<AuthorityMaterial> {
  const value = parseObject(text);
  if (!value) return fail('', 'is not JSON: it was damaged outside citadel; restore it from a backup');
  const { version: found = 1 } = value;
  if (typeof found !== 'number' || found > version) return fail('version', 'was written by a newer citadel: start that one, or restore a backup from before');
  const missing = rootFields.find((name) => typeof value[name] !== 'string');
  if (missing !== undefined) return fail('', `${missing} is missing; restore it from a backup, or delete it to start a new authority that no running workload trusts`);
  const [rootCertificatePem = '', rootKeyPem = '', issuingCertificatePem = '', issuingKeyPem = ''] = rootFields.map((name) => String(value[name]));
  const retired = value['retiredIssuingPem'];
  const material = { rootCertificatePem, rootKeyPem, issuingCertificatePem, issuingKeyPem, retiredIssuingPem: Array.isArray(retired) ? retired.filter((entry) => typeof entry === 'string') : [] };
  const retiredRoots = parseRetiredRoots(value['retiredRoots']);
  const rotation = value['rotation'] === undefined ? undefined : parseRotation(value['rotation']);
  if (rotation && !rotation.ok) return rotation;
  return ok({ ...material, ...(rotation && { rotation: rotation.value }), ...(retiredRoots.length > 0 && { retiredRoots }) });
}

function parseObject(text: string): { readonly [key: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as { readonly [key: string]: unknown }) : undefined;
  } catch {
    return undefined;
  }
}
