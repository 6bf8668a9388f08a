import { randomBytes } from 'node:crypto';
import { buildCertificate, buildRevocationList, createTrustBundle, generateP256, parseCertificate, revocationListPem, withFederated, withJwtKeys, withRevocations, type Certificate, type FederatedRoots, type TrustBundle, type WorkloadCertificate } from '@meltemi/identity';
import type { CertificateSource } from '@meltemi/identity-edge';

const hourMs = 3_600_000;

/** Stands for an identity agent: gives what `renew` makes, under a root of its own. */
export class FakeIdentity implements CertificateSource {
  readonly id: string;
  readonly root: Certificate;
  readonly #keys = generateP256();
  readonly #trust: TrustBundle;
  readonly #listeners = new Set<(certificate: WorkloadCertificate) => void>();
  #current: WorkloadCertificate | undefined;

  constructor(trustDomain: string) {
    this.id = `spiffe://${trustDomain}/ns/default/sa/app`;
    this.root = parsed(buildCertificate({ serial: randomBytes(16), subject: { organization: trustDomain, commonName: 'root' }, publicKey: this.#keys.publicKey, ...validity(), role: { kind: 'authority', pathLength: 0 } }, { key: this.#keys.privateKey }));
    this.#trust = made(createTrustBundle(trustDomain, [this.root.pem]));
  }

  subscribe(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.#listeners.add(listener);
    if (this.#current) listener(this.#current);
    return () => this.#listeners.delete(listener);
  }

  /** A list of the root that names `serial`, PEM. */
  revocationList(serial: string): string {
    const now = Date.now();
    return revocationListPem(buildRevocationList({ number: 1, thisUpdate: now - hourMs, nextUpdate: now + hourMs, revoked: [{ serial, revokedAt: now }] }, { key: this.#keys.privateKey, certificate: this.root }));
  }

  renew(federated: readonly FederatedRoots[] = [], { revocationListsPem = '', jwtKeys = '' }: { readonly revocationListsPem?: string; readonly jwtKeys?: string } = {}): WorkloadCertificate {
    const keys = generateP256();
    const leaf = parsed(buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, ...validity(), names: { uris: [this.id] }, role: { kind: 'workload' } }, { key: this.#keys.privateKey, certificate: this.root }));
    const certificate = {
      certChainPem: leaf.pem, privateKeyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), spiffeId: this.id, serial: leaf.serial, notBefore: leaf.notBefore, notAfter: leaf.notAfter,
      trust: made(withRevocations(made(withFederated(made(withJwtKeys(this.#trust, jwtKeys)), federated)), revocationListsPem)),
    };
    this.#current = certificate;
    for (const listener of this.#listeners) listener(certificate);
    return certificate;
  }
}

function validity(): { notBefore: number; notAfter: number } {
  return { notBefore: Date.now() - hourMs, notAfter: Date.now() + hourMs };
}

function made(result: ReturnType<typeof createTrustBundle>): TrustBundle {
  if (!result.ok) throw new Error(result.error[0]?.message);
  return result.value;
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  if (!certificate.ok) throw new Error(certificate.error[0]?.message);
  return certificate.value;
}
