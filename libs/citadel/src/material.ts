import { createPrivateKey } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { buildCertificate, createTrustBundle, generateP256, parseCertificate, parseCertificates, type Certificate, type CertificateSigner, type TrustBundle } from '@meltemi/identity';
import type { Entropy } from './entropy.ts';
import type { AuthorityMaterial } from './keystore.ts';

const yearMs = 365 * 86_400_000;
/** As Istio's self-signed root. */
const rootLifetimeMs = 10 * yearMs;
/** Renewed with half a year left, twice the longest workload lifetime: issuing is never cut short. */
const issuingLifetimeMs = 2 * yearMs;
const issuingRenewalMs = yearMs / 2;
/** Slow clocks must accept what was signed a moment ago (Istio: two minutes). */
export const backdatedMs = 120_000;

/** An authority ready to sign. */
export interface OpenAuthority {
  readonly root: Certificate;
  readonly issuing: Certificate;
  readonly retiredIssuing: readonly Certificate[];
  readonly signer: Required<CertificateSigner>;
  readonly trust: TrustBundle;
}

/** A new root and a new issuing CA below it. */
export function createAuthority(trustDomain: string, now: number, entropy: Entropy): AuthorityMaterial {
  const keys = generateP256();
  const subject = { organization: trustDomain, commonName: `Meltemi root ${entropy.bytes(4).toString('hex')}` };
  const der = buildCertificate(
    { serial: entropy.bytes(16), subject, publicKey: keys.publicKey, notBefore: now - backdatedMs, notAfter: now + rootLifetimeMs, role: { kind: 'authority', pathLength: 1 } },
    { key: keys.privateKey },
  );
  const root = mustParse(der);
  const issuing = createIssuing(trustDomain, { key: keys.privateKey, certificate: root }, { now, entropy });
  return { rootCertificatePem: root.pem, rootKeyPem: pemOf(keys.privateKey), ...issuing, retiredIssuingPem: [] };
}

/** The same authority with a new issuing CA when the present one has less than half a year left; undefined when it is still good. */
export function renewIssuing(trustDomain: string, material: AuthorityMaterial, at: { readonly now: number; readonly entropy: Entropy }): Result<AuthorityMaterial | undefined> {
  const opened = openAuthority(trustDomain, material);
  if (!opened.ok) return opened;
  const { root, issuing, retiredIssuing } = opened.value;
  if (issuing.notAfter - at.now > issuingRenewalMs || issuing.notAfter >= root.notAfter) return ok(undefined);
  const next = createIssuing(trustDomain, { key: createPrivateKey(material.rootKeyPem), certificate: root }, at);
  const retired = [...retiredIssuing, issuing].filter((certificate) => certificate.notAfter > at.now).slice(-8);
  return ok({ ...material, ...next, retiredIssuingPem: retired.map((certificate) => certificate.pem) });
}

/** Reads stored material and checks that its keys and certificates belong together: a damaged keystore must not sign anything. */
export function openAuthority(trustDomain: string, material: AuthorityMaterial): Result<OpenAuthority> {
  const root = single(material.rootCertificatePem, 'rootCertificatePem');
  if (!root.ok) return root;
  const issuing = single(material.issuingCertificatePem, 'issuingCertificatePem');
  if (!issuing.ok) return issuing;
  const retired = material.retiredIssuingPem.map((pem, index) => single(pem, `retiredIssuingPem[${index}]`));
  const bad = retired.find((entry) => !entry.ok);
  if (bad && !bad.ok) return bad;
  const retiredIssuing = retired.flatMap((entry) => (entry.ok ? [entry.value] : []));
  const trust = createTrustBundle(trustDomain, [root.value.pem]);
  if (!trust.ok) return trust;
  if (!issuing.value.ca || !issuing.value.x509.verify(root.value.publicKey)) return fail('issuingCertificatePem', 'was not signed by the root beside it');
  let key;
  try {
    key = createPrivateKey(material.issuingKeyPem);
  } catch {
    return fail('issuingKeyPem', 'cannot be read');
  }
  if (!issuing.value.x509.checkPrivateKey(key)) return fail('issuingKeyPem', 'does not belong to the issuing certificate');
  return ok({ root: root.value, issuing: issuing.value, retiredIssuing, signer: { key, certificate: issuing.value }, trust: trust.value });
}

function createIssuing(trustDomain: string, root: Required<CertificateSigner>, at: { readonly now: number; readonly entropy: Entropy }): Pick<AuthorityMaterial, 'issuingCertificatePem' | 'issuingKeyPem'> {
  const keys = generateP256();
  const subject = { organization: trustDomain, commonName: `Meltemi issuing ${at.entropy.bytes(4).toString('hex')}` };
  const notAfter = Math.min(at.now + issuingLifetimeMs, root.certificate.notAfter);
  const der = buildCertificate({ serial: at.entropy.bytes(16), subject, publicKey: keys.publicKey, notBefore: at.now - backdatedMs, notAfter, role: { kind: 'authority', pathLength: 0 } }, root);
  return { issuingCertificatePem: mustParse(der).pem, issuingKeyPem: pemOf(keys.privateKey) };
}

function single(pem: string, path: string): Result<Certificate> {
  const parsed = parseCertificates(pem);
  const [certificate, ...more] = parsed.ok ? parsed.value : [];
  return certificate && more.length === 0 ? ok(certificate) : fail(path, parsed.ok ? 'must hold one certificate' : (parsed.error[0]?.message ?? 'cannot be read'));
}

function mustParse(der: Buffer): Certificate {
  const parsed = parseCertificate(der);
  if (!parsed.ok) throw new Error(`the authority made a certificate it cannot read: ${parsed.error[0]?.message}`);
  return parsed.value;
}

function pemOf(key: ReturnType<typeof createPrivateKey>): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
