import { randomBytes } from 'node:crypto';
import { buildCertificate, type CertificateTemplate } from '../build-certificate.ts';
import { parseCertificate, type Certificate } from '../certificate.ts';
import { generateP256 } from '../keys.ts';
import { createTrustBundle, type TrustBundle } from '../trust-bundle.ts';

/** A small authority for this package's tests: a root, an issuing CA, and whatever leaf a test wants wrong. */
export interface AuthorityFixture {
  readonly root: Certificate;
  readonly issuing: Certificate;
  readonly bundle: TrustBundle;
  issue(uri: string, changes?: Partial<CertificateTemplate>): { certificate: Certificate; privateKeyPem: string };
}

export const fixtureNow = Date.UTC(2026, 0, 1, 12);
const hour = 3_600_000;

export function createAuthorityFixture(changes: { root?: Partial<CertificateTemplate>; issuing?: Partial<CertificateTemplate> } = {}): AuthorityFixture {
  const rootKeys = generateP256();
  const issuingKeys = generateP256();
  const validity = { notBefore: fixtureNow - hour, notAfter: fixtureNow + 24 * hour };
  const root = parsed(buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName: 'root' }, publicKey: rootKeys.publicKey, ...validity, role: { kind: 'authority', pathLength: 1 }, ...changes.root }, { key: rootKeys.privateKey }));
  const issuing = parsed(
    buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName: 'issuing' }, publicKey: issuingKeys.publicKey, ...validity, role: { kind: 'authority', pathLength: 0 }, ...changes.issuing }, { key: rootKeys.privateKey, certificate: root }),
  );
  const bundle = createTrustBundle('cluster.local', [root.pem]);
  if (!bundle.ok) throw new Error(bundle.error[0]?.message);
  return {
    root,
    issuing,
    bundle: bundle.value,
    issue(uri, template = {}) {
      const keys = generateP256();
      const der = buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, ...validity, names: { uris: [uri] }, role: { kind: 'workload' }, ...template }, { key: issuingKeys.privateKey, certificate: issuing });
      return { certificate: parsed(der), privateKeyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    },
  };
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  if (!certificate.ok) throw new Error(certificate.error[0]?.message);
  return certificate.value;
}
