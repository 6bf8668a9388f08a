import { randomBytes } from 'node:crypto';
import { buildCertificate, formatPem, generateP256, parseCertificate } from '@meltemi/identity';

const hour = 3_600_000;

/** A root with one certificate it signed, all as PEM. */
export interface Pems {
  readonly root: string;
  readonly certificate: string;
  readonly key: string;
}

export function pemsFor(name: string): Pems {
  const [rootKeys, keys] = [generateP256(), generateP256()];
  const validity = { notBefore: Date.now() - hour, notAfter: Date.now() + 24 * hour };
  const signed = buildCertificate({ serial: randomBytes(16), subject: { organization: name, commonName: 'root' }, publicKey: rootKeys.publicKey, ...validity, role: { kind: 'authority', pathLength: 0 } }, { key: rootKeys.privateKey });
  const root = parseCertificate(signed);
  if (!root.ok) throw new Error(root.error[0]?.message);
  const leaf = buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, ...validity, names: { uris: [`spiffe://${name}/leaf`] }, role: { kind: 'workload' } }, { key: rootKeys.privateKey, certificate: root.value });
  return { root: root.value.pem, certificate: formatPem('CERTIFICATE', leaf), key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** A Secret as YAML; values in base64. */
export function secretYaml(path: string, values: Readonly<Record<string, string>>, type = 'Opaque'): string {
  const [namespace = '', name = ''] = path.split('/');
  const data = Object.entries(values).map(([key, text]) => `  ${key}: "${Buffer.from(text).toString('base64')}"`);
  return ['apiVersion: v1', 'kind: Secret', `metadata: {name: ${name}, namespace: ${namespace}}`, `type: ${type}`, 'data:', ...data, '---', ''].join('\n');
}
