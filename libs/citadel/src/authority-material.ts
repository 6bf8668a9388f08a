import { fail, ok, type Result } from '@meltemi/base';

/** Everything an authority is: certificates and keys as PEM. Whoever reads it can be anybody in the mesh. */
export interface AuthorityMaterial {
  readonly rootCertificatePem: string;
  readonly rootKeyPem: string;
  readonly issuingCertificatePem: string;
  readonly issuingKeyPem: string;
  /** Earlier issuing certificates whose workloads may still be alive; their keys are gone. */
  readonly retiredIssuingPem: readonly string[];
}

/**
 * Of the text that keystores keep. A text of a higher version is refused, never read in part: several citadels of different ages may share a keystore, and
 * one that saves must not drop what it does not know. So a field that must survive raises it. Texts from before versions have none, and count as 1.
 */
const version = 1;

export function formatMaterial(material: AuthorityMaterial): string {
  return `${JSON.stringify({ version, ...material }, null, 2)}\n`;
}

/** The path of an error is the field. No message quotes what it found: it may be a piece of a key. */
export function parseMaterial(text: string): Result<AuthorityMaterial> {
  const value = parseObject(text);
  if (!value) return fail('', 'is not JSON: it was damaged outside citadel; restore it from a backup');
  const { version: found = 1 } = value;
  if (typeof found !== 'number' || found > version) return fail('version', 'was written by a newer citadel: start that one, or restore a backup from before');
  const fields = ['rootCertificatePem', 'rootKeyPem', 'issuingCertificatePem', 'issuingKeyPem'] as const;
  const missing = fields.find((name) => typeof value[name] !== 'string');
  if (missing !== undefined) return fail('', `${missing} is missing; restore it from a backup, or delete it to start a new authority that no running workload trusts`);
  const [rootCertificatePem = '', rootKeyPem = '', issuingCertificatePem = '', issuingKeyPem = ''] = fields.map((name) => String(value[name]));
  const retired = value['retiredIssuingPem'];
  return ok({ rootCertificatePem, rootKeyPem, issuingCertificatePem, issuingKeyPem, retiredIssuingPem: Array.isArray(retired) ? retired.filter((entry) => typeof entry === 'string') : [] });
}

function parseObject(text: string): { readonly [key: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as { readonly [key: string]: unknown }) : undefined;
  } catch {
    return undefined;
  }
}
