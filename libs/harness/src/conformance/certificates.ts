import { randomBytes } from 'node:crypto';
import { buildCertificate, formatPem, generateP256, parseCertificate, type Certificate, type CertificateSigner } from '@meltemi/identity';
import type { SecretValue } from '@meltemi/snapshot';

const hour = 3_600_000;

/** Certificate and key as PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** A small authority: for the proxy under test, its servers and its clients. */
export class TestAuthority {
  readonly rootPem: string;
  readonly #signer: CertificateSigner;
  readonly #validity = { notBefore: Date.now() - hour, notAfter: Date.now() + 24 * hour };
  readonly #issued = new Map<string, KeyPair>();

  constructor() {
    const keys = generateP256();
    const root = parsed(buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName: 'root' }, publicKey: keys.publicKey, ...this.#validity, role: { kind: 'authority', pathLength: 1 } }, { key: keys.privateKey }));
    this.rootPem = root.pem;
    this.#signer = { key: keys.privateKey, certificate: root };
  }

  /** A certificate for a SPIFFE id; the same one for the same id. */
  issue(uri: string): KeyPair {
    const known = this.#issued.get(uri);
    if (known) return known;
    const keys = generateP256();
    const der = buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, ...this.#validity, names: { uris: [uri] }, role: { kind: 'workload' } }, this.#signer);
    const pair = { certificate: formatPem('CERTIFICATE', der), key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    this.#issued.set(uri, pair);
    return pair;
  }

  /** Secrets as a proxy takes them: names that speak of authorities validate, all others are certificates. */
  secret(name: string): SecretValue {
    if (/ROOTCA|cacert|root/i.test(name)) return { kind: 'validation', validation: { trustedCa: inline(this.rootPem), systemRoots: false, crl: null, sanMatchers: [], spki: [], hashes: [], allowExpired: false, acceptUntrusted: false, maxVerifyDepth: null, trustDomains: null } };
    const { certificate, key } = this.issue('spiffe://cluster.local/ns/default/sa/under-test');
    return { kind: 'certificate', certificate: { certificateChain: inline(certificate), privateKey: inline(key), password: null } };
  }
}

function inline(text: string): { readonly kind: 'inline'; readonly bytes: Buffer } {
  return { kind: 'inline', bytes: Buffer.from(text) };
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  if (!certificate.ok) throw new Error(certificate.error[0]?.message);
  return certificate.value;
}
