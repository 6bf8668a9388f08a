import { randomBytes } from 'node:crypto';
import { buildCertificate, createTrustBundle, formatSpiffeId, generateP256, parseCertificate, parseSpiffeId, type Certificate, type CertificateTemplate, type SpiffeId, type TrustBundle, type WorkloadCertificate } from '@meltemi/identity';
import type { CertificateSource } from '../server-credentials.ts';

const hour = 3_600_000;

/** A mesh with a root and whatever certificates a test wants, issued at the present time. */
export class MeshFixture {
  readonly #keys = generateP256();
  readonly root: Certificate;
  readonly trust: TrustBundle;

  constructor() {
    this.root = parsed(buildCertificate({ ...template(this.#keys.publicKey), subject: { organization: 'cluster.local', commonName: 'root' }, role: { kind: 'authority', pathLength: 0 } }, { key: this.#keys.privateKey }));
    const trust = createTrustBundle('cluster.local', [this.root.pem]);
    if (!trust.ok) throw new Error(trust.error[0]?.message);
    this.trust = trust.value;
  }

  issue(spiffeId: string, changes: Partial<CertificateTemplate> = {}): WorkloadCertificate {
    const keys = generateP256();
    const leaf = parsed(buildCertificate({ ...template(keys.publicKey), names: { uris: [spiffeId] }, role: { kind: 'workload' }, ...changes }, { key: this.#keys.privateKey, certificate: this.root }));
    const { serial, notBefore, notAfter } = leaf;
    return { certChainPem: leaf.pem, privateKeyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), spiffeId, serial, notBefore, notAfter, trust: this.trust };
  }
}

/** Stands for an agent: hands out what it is given. */
export class FixedIdentity implements CertificateSource {
  readonly id: SpiffeId;
  #current: WorkloadCertificate;
  readonly #listeners = new Set<(certificate: WorkloadCertificate) => void>();

  constructor(certificate: WorkloadCertificate) {
    this.#current = certificate;
    this.id = idOf(certificate.spiffeId);
  }

  current(): WorkloadCertificate {
    return this.#current;
  }

  async ready(): Promise<WorkloadCertificate> {
    return this.#current;
  }

  subscribe(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#current);
    return () => this.#listeners.delete(listener);
  }

  replace(certificate: WorkloadCertificate): void {
    this.#current = certificate;
    for (const listener of this.#listeners) listener(certificate);
  }
}

export function idOf(text: string): SpiffeId {
  const id = parseSpiffeId(text);
  if (!id.ok || formatSpiffeId(id.value) !== text) throw new Error(`${text} is not a SPIFFE id`);
  return id.value;
}

function template(publicKey: CertificateTemplate['publicKey']): Pick<CertificateTemplate, 'serial' | 'publicKey' | 'notBefore' | 'notAfter'> {
  return { serial: randomBytes(16), publicKey, notBefore: Date.now() - hour, notAfter: Date.now() + hour };
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  if (!certificate.ok) throw new Error(certificate.error[0]?.message);
  return certificate.value;
}
