import { execFileSync } from 'node:child_process';
import { createPrivateKey, randomBytes, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCertificate, formatPem, generateP256, parseCertificate, type Certificate, type CertificateTemplate } from '@meltemi/identity';

const hour = 3_600_000;

/** A key with its chain, leaf first: PEM. */
export interface Forged {
  readonly chain: string;
  readonly key: string;
}

interface Authority {
  readonly key: KeyObject;
  readonly certificate: Certificate;
}

/** An authority whose keys the test has: certificates of every wrong kind. */
export class Forger {
  readonly root: Authority;
  readonly issuing: Authority;

  constructor() {
    this.root = authority('root', undefined, 4);
    this.issuing = authority('issuing', this.root, 0);
  }

  /** Istio's cacerts files, for citadel. */
  plugInto(dir: string): void {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const files = { 'ca-cert.pem': this.issuing.certificate.pem, 'ca-key.pem': pemOf(this.issuing.key), 'root-cert.pem': this.root.certificate.pem, 'cert-chain.pem': this.issuing.certificate.pem };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text, { mode: 0o600 });
  }

  /** The issuing CA's key. */
  keyPem(): string {
    return pemOf(this.issuing.key);
  }

  /** A certificate of a service account "namespace/name", or of a whole URI; `changes` spoil it. */
  leaf(identity: string, changes: Partial<CertificateTemplate> = {}, by: Authority = this.issuing): Forged {
    const keys = generateP256();
    const [namespace, name] = identity.split('/');
    const uri = identity.includes('://') ? identity : `spiffe://cluster.local/ns/${namespace}/sa/${name}`;
    const der = buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, notBefore: Date.now() - 2 * hour, notAfter: Date.now() + hour, names: { uris: [uri] }, role: { kind: 'workload' }, ...changes }, { key: by.key, certificate: by.certificate });
    return { chain: formatPem('CERTIFICATE', der) + (by === this.root ? '' : by.certificate.pem), key: pemOf(keys.privateKey) };
  }

  expired(identity: string): Forged {
    return this.leaf(identity, { notAfter: Date.now() - hour });
  }

  /** An authority that names a workload: CA:TRUE. */
  speakingAuthority(identity: string): Forged {
    return this.leaf(identity, { role: { kind: 'authority', pathLength: 0 } }, this.root);
  }

  /** Signed by another workload's key, with that workload's certificate in the chain. */
  signedByWorkload(identity: string): Forged {
    const workload = this.leaf('default/accomplice');
    const certificate = parsed(Buffer.from(/-----BEGIN CERTIFICATE-----([^-]*)/.exec(workload.chain)?.[1] ?? '', 'base64'));
    const forged = this.leaf(identity, {}, { key: createPrivateKey(workload.key), certificate });
    return { chain: forged.chain + this.issuing.certificate.pem, key: forged.key };
  }

  /** Authorities below authorities, more of them than the root allows. */
  longChain(identity: string, length: number): Forged {
    let by = authority('a0', this.root, 3);
    let rest = by.certificate.pem;
    for (let n = 1; n < length; n += 1) {
      by = authority(`a${n}`, by, Math.max(0, 3 - n));
      rest = by.certificate.pem + rest;
    }
    const forged = this.leaf(identity, {}, by);
    return { chain: forged.chain.replace(by.certificate.pem, '') + rest, key: forged.key };
  }

  /** With this extended key usage alone, by openssl. */
  withUsage(identity: string, usage: string): Forged {
    const [namespace, name] = identity.split('/');
    const dir = mkdtempSync(join(tmpdir(), 'forged-'));
    try {
      writeFileSync(join(dir, 'ca.key'), pemOf(this.issuing.key), { mode: 0o600 });
      writeFileSync(join(dir, 'ca.pem'), this.issuing.certificate.pem);
      writeFileSync(join(dir, 'ext'), `subjectAltName=critical,URI:spiffe://cluster.local/ns/${namespace}/sa/${name}\nextendedKeyUsage=${usage}\nkeyUsage=critical,digitalSignature\n`);
      const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
      openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/O=x', '-keyout', 'leaf.key', '-out', 'leaf.csr');
      openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', 'ext', '-out', 'leaf.pem');
      return { chain: readFileSync(join(dir, 'leaf.pem'), 'utf8') + this.issuing.certificate.pem, key: readFileSync(join(dir, 'leaf.key'), 'utf8') };
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }

  /** From an authority that nobody trusts, with all names right. */
  foreign(identity: string): Forged {
    return new Forger().leaf(identity);
  }
}

function authority(name: string, by: Authority | undefined, pathLength: number): Authority {
  const keys = generateP256();
  const der = buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName: name }, publicKey: keys.publicKey, notBefore: Date.now() - 24 * hour, notAfter: Date.now() + 24 * hour, role: { kind: 'authority', pathLength } }, { key: by?.key ?? keys.privateKey, ...(by ? { certificate: by.certificate } : {}) });
  return { key: keys.privateKey, certificate: parsed(der) };
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  if (!certificate.ok) throw new Error(certificate.error[0]?.message);
  return certificate.value;
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
