import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate with its key, as files. */
export interface Leaf {
  readonly certFile: string;
  readonly keyFile: string;
  /** Both in one file, as haproxy wants them. */
  readonly bothFile: string;
  readonly spiffe: string;
  readonly dns: string;
}

/** P-256 throughout, like a mesh's. */
export interface Certificates {
  readonly caFile: string;
  readonly server: Leaf;
  readonly client: Leaf;
}

/** Makes an authority and two leaves with SPIFFE ids in `dir`, by openssl. nginx and haproxy verify names, so the leaves have one too. */
export function makeCertificates(dir: string): Certificates {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 10_000 });
  const caFile = join(dir, 'ca.pem');
  const caKey = join(dir, 'ca.key');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...key, '-keyout', caKey, '-out', caFile, '-subj', '/O=cluster.local/CN=bench', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
  const issue = (name: string): Leaf => {
    const [certFile, keyFile, bothFile] = ['pem', 'key', 'both'].map((suffix) => join(dir, `${name}.${suffix}`)) as [string, string, string];
    const [spiffe, dns] = [`spiffe://cluster.local/ns/default/sa/${name}`, `${name}.bench`];
    openssl('req', '-x509', '-CA', caFile, '-CAkey', caKey, ...key, '-keyout', keyFile, '-out', certFile, '-subj', `/O=cluster.local/CN=${name}`,
      '-addext', `subjectAltName=URI:${spiffe},DNS:${dns}`, '-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'keyUsage=critical,digitalSignature', '-addext', 'extendedKeyUsage=serverAuth,clientAuth');
    writeFileSync(bothFile, readFileSync(certFile, 'utf8') + readFileSync(keyFile, 'utf8'), { mode: 0o600 });
    return { certFile, keyFile, bothFile, spiffe, dns };
  };
  return { caFile, server: issue('server'), client: issue('client') };
}
