import { randomBytes } from 'node:crypto';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { buildCertificate, formatPem, generateP256, parseCertificate } from '@meltemi/identity';

/** A root that signs leaves directly: enough for TLS between a test's client and server. */
export function createTestAuthority() {
  const rootKeys = generateP256();
  const validity = { notBefore: Date.now() - 3_600_000, notAfter: Date.now() + 3_600_000 };
  const rootDer = buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName: 'root' }, publicKey: rootKeys.publicKey, ...validity, role: { kind: 'authority', pathLength: 1 } }, { key: rootKeys.privateKey });
  const root = parseCertificate(rootDer);
  if (!root.ok) throw new Error(root.error[0]?.message);
  const rootPem = Buffer.from(root.value.pem);
  const leaf = (serviceAccount: string, namespace: string) => {
    const keys = generateP256();
    const der = buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, ...validity, names: { uris: [`spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`] }, role: { kind: 'workload' } }, { key: rootKeys.privateKey, certificate: root.value });
    return { cert_chain: Buffer.from(formatPem('CERTIFICATE', der)), private_key: Buffer.from(keys.privateKey.export({ type: 'pkcs8', format: 'pem' })) };
  };
  return {
    server: () => ServerCredentials.createSsl(rootPem, [leaf('meltemi-telemetry', 'istio-system')], true),
    client(serviceAccount: string, namespace = 'default') {
      const { cert_chain, private_key } = leaf(serviceAccount, namespace);
      return ChannelCredentials.createSsl(rootPem, private_key, cert_chain, { checkServerIdentity: () => undefined });
    },
  };
}
