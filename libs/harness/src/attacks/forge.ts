import { execFileSync } from 'node:child_process';
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCertificate, formatPem, generateP256, parseCertificate } from '@meltemi/identity';
import type { SecretValue } from '@meltemi/snapshot';
import type { KeyPair } from '../conformance/certificates.ts';

/** Who signs, by the name it was made under; "root" is the one that the mesh trusts. */
export interface ForgedOptions {
  readonly subject?: string;
  /** Alternative names, each "URI:spiffe://…" or "DNS:…". */
  readonly names?: readonly string[];
  /** Lines of the section of extensions, in place of those of an honest workload. */
  readonly extensions?: readonly string[];
  readonly signer?: string;
  /** openssl's -newkey and -pkeyopt arguments. */
  readonly key?: readonly string[];
  readonly digest?: string;
  /** Further certificates of the chain, by name, the leaf's issuer first. */
  readonly chain?: readonly string[];
}

export const workloadExtensions: readonly string[] = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature,keyEncipherment', 'extendedKeyUsage=serverAuth,clientAuth'];
export const authorityExtensions: readonly string[] = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature'];

const elliptic = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

/** Makes certificates of every kind with the command line of openssl, good and bad ones. */
export class Forge {
  readonly #dir = mkdtempSync(join(tmpdir(), 'meltemi-forge-'));

  constructor() {
    this.make('root', { subject: '/CN=root', extensions: authorityExtensions, signer: '' });
    this.make('under-test', { names: ['URI:spiffe://cluster.local/ns/foo/sa/web', 'DNS:web.foo'] });
  }

  make(name: string, { subject = '/', names, extensions = workloadExtensions, signer = 'root', key = elliptic, digest = 'sha256', chain = [] }: ForgedOptions = {}): KeyPair {
    // quoted, so that openssl reads no comment and no blank away
    const alternatives = (names ?? []).map((one, i) => `${one.slice(0, one.indexOf(':'))}.${i} = "${one.slice(one.indexOf(':') + 1)}"`);
    const lines = [...extensions, ...(names === undefined ? [] : [`subjectAltName=${subject === '/' ? 'critical,' : ''}@alt`, '[alt]', ...alternatives])];
    writeFileSync(join(this.#dir, `${name}.cnf`), `[req]\ndistinguished_name=dn\nx509_extensions=v3\nstring_mask=utf8only\n[dn]\n[v3]\n${lines.join('\n')}\n`);
    const signing = signer === '' ? [] : ['-CA', `${signer}.crt`, '-CAkey', `${signer}.key`];
    execFileSync('openssl', ['req', '-x509', '-config', `${name}.cnf`, '-utf8', '-subj', subject, ...signing, '-newkey', ...key, '-nodes', `-${digest}`, '-days', '2', '-keyout', `${name}.key`, '-out', `${name}.crt`], { cwd: this.#dir, stdio: 'pipe', timeout: 20_000 });
    return this.pair(name, chain);
  }

  /** A workload's certificate for a time, hours from now. */
  timed(uri: string, fromHours: number, toHours: number): KeyPair {
    const keys = generateP256();
    const root = parseCertificate(new X509Certificate(this.#read('root.crt')).raw);
    if (!root.ok) throw new Error(root.error[0]?.message);
    const at = (hours: number) => Date.now() + hours * 3_600_000;
    const der = buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, notBefore: at(fromHours), notAfter: at(toHours), names: { uris: [uri] }, role: { kind: 'workload' } }, { key: createPrivateKey(this.#read('root.key')), certificate: root.value });
    return { certificate: formatPem('CERTIFICATE', der), key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  }

  pair(name: string, chain: readonly string[] = []): KeyPair {
    return { certificate: [name, ...chain].map((one) => this.#read(`${one}.crt`)).join(''), key: this.#read(`${name}.key`) };
  }

  /** As openssl's and curl's command lines take them. */
  flags(name: string): string[] {
    return ['-cert', join(this.#dir, `${name}.crt`), '-key', join(this.#dir, `${name}.key`)];
  }

  /** What a proxy is given under a secret's name; `roots` may be changed on the way. */
  roots: readonly string[] = ['root'];

  secret(name: string): SecretValue {
    const inline = (text: string) => ({ kind: 'inline' as const, bytes: Buffer.from(text) });
    if (/ROOTCA|cacert|root/i.test(name)) return { kind: 'validation', validation: { trustedCa: inline(this.roots.map((root) => this.#read(`${root}.crt`)).join('')), systemRoots: false, crl: null, sanMatchers: [], spki: [], hashes: [], allowExpired: false, acceptUntrusted: false, maxVerifyDepth: null, trustDomains: null } };
    const { certificate, key } = this.pair('under-test');
    return { kind: 'certificate', certificate: { certificateChain: inline(certificate), privateKey: inline(key), password: null } };
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #read(file: string): string {
    return readFileSync(join(this.#dir, file), 'utf8');
  }
}
