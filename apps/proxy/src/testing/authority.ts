import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildCertificate, formatPem, generateP256, parseCertificate } from '@meltemi/identity';

/** A certificate and its key as PEM, in memory and as files. */
export interface Leaf {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A small certificate authority whose files live in `dir`. */
export interface Authority {
  readonly pem: string;
  readonly file: string;
  issue(name: string, names: { readonly dnsNames?: readonly string[]; readonly uris?: readonly string[] }): Leaf;
}

const hourMs = 3_600_000;

export function authority(dir: string, name: string): Authority {
  const keys = generateP256();
  const validity = { notBefore: Date.now() - hourMs, notAfter: Date.now() + 24 * hourMs };
  const root = parseCertificate(buildCertificate({ serial: randomBytes(16), subject: { organization: name, commonName: name }, publicKey: keys.publicKey, ...validity, role: { kind: 'authority', pathLength: 1 } }, { key: keys.privateKey }));
  if (!root.ok) throw new Error(root.error[0]?.message);
  const file = join(dir, `${name}.pem`);
  writeFileSync(file, root.value.pem);
  return {
    pem: root.value.pem,
    file,
    issue: (leafName, names) => {
      const leaf = generateP256();
      const der = buildCertificate({ serial: randomBytes(16), publicKey: leaf.publicKey, ...validity, names: { uris: [...(names.uris ?? [])], dnsNames: [...(names.dnsNames ?? [])] }, role: { kind: 'workload' } }, { key: keys.privateKey, certificate: root.value });
      const cert = formatPem('CERTIFICATE', der);
      const key = leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      const certFile = join(dir, `${leafName}.pem`);
      const keyFile = join(dir, `${leafName}.key`);
      writeFileSync(certFile, cert);
      writeFileSync(keyFile, key, { mode: 0o600 });
      return { cert, key, certFile, keyFile };
    },
  };
}
