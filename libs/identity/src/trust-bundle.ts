import { createHash } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { parseCertificates, type Certificate } from './certificate.ts';

/** The roots one trust domain is believed through. Immutable: a new set of roots is a new bundle. */
export interface TrustBundle {
  readonly trustDomain: string;
  readonly roots: readonly Certificate[];
  /** All roots as one PEM text, for TLS libraries. */
  readonly pem: string;
}

/** Makes a bundle of PEM texts (each may hold several certificates, at most 16). Every root must be a CA; duplicates are dropped. */
export function createTrustBundle(trustDomain: string, rootsPem: readonly string[]): Result<TrustBundle> {
  const roots = new Map<string, Certificate>();
  for (const [index, pem] of rootsPem.entries()) {
    const parsed = parseCertificates(pem);
    if (!parsed.ok) return fail(`roots[${index}]`, parsed.error[0]?.message ?? 'not a certificate');
    for (const root of parsed.value) {
      if (!root.ca) return fail(`roots[${index}]`, 'not a CA certificate (basicConstraints CA is false or missing)');
      roots.set(fingerprintOf(root), root);
    }
  }
  if (roots.size === 0) return fail('roots', 'a trust bundle needs at least one root certificate');
  const list = Object.freeze([...roots.values()]);
  return ok(Object.freeze({ trustDomain, roots: list, pem: list.map((root) => root.pem).join('') }));
}

/** SHA-256 over the certificate's DER, lower-case hex. */
export function fingerprintOf(certificate: Pick<Certificate, 'der'>): string {
  return createHash('sha256').update(certificate.der).digest('hex');
}
