import { randomBytes, X509Certificate } from 'node:crypto';
import { buildCertificate, buildRevocationList, formatPem, generateP256, parseCertificate, revocationListPem, type Certificate } from '@meltemi/identity';
import type { DownstreamTls, Source, TlsCertificate, UpstreamTls, Validation } from '@meltemi/snapshot';

/** A small authority for this package's tests. */
export interface TlsFixture {
  readonly rootPem: string;
  issue(uri: string): TlsCertificate;
  /** A signed list of these certificates, which ends in an hour. */
  crl(revoked: readonly TlsCertificate[], nextUpdate?: number): Source;
  /** Trusts this root; when names are given the peer must have one of them. */
  trust(...uris: string[]): Validation;
  downstream(uri: string, changes?: Partial<DownstreamTls>): DownstreamTls;
  upstream(uri: string, peers: string[], changes?: Partial<UpstreamTls>): UpstreamTls;
}

const hour = 3_600_000;

export function tlsFixture(commonName = 'root'): TlsFixture {
  const keys = generateP256();
  const validity = { notBefore: Date.now() - hour, notAfter: Date.now() + 24 * hour };
  const root = parsed(buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName }, publicKey: keys.publicKey, ...validity, role: { kind: 'authority', pathLength: 1 } }, { key: keys.privateKey }));
  const rootPem = root.pem;
  const issue = (uri: string): TlsCertificate => {
    const leaf = generateP256();
    const der = buildCertificate({ serial: randomBytes(16), publicKey: leaf.publicKey, ...validity, names: { uris: [uri] }, role: { kind: 'workload' } }, { key: keys.privateKey, certificate: root });
    const inline = (text: string) => ({ kind: 'inline', bytes: Buffer.from(text) }) as const;
    return { certificateChain: inline(formatPem('CERTIFICATE', der)), privateKey: inline(leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()), password: null };
  };
  const trust = (...uris: string[]): Validation => ({
    trustedCa: { kind: 'inline', bytes: Buffer.from(rootPem) }, systemRoots: false, crl: null,
    sanMatchers: uris.map((uri) => ({ type: 'uri', matcher: { matches: (value: string) => value === uri } })),
    spki: [], hashes: [], allowExpired: false, acceptUntrusted: false, maxVerifyDepth: null, trustDomains: null,
  });
  const common = (uri: string) => ({
    minVersion: null, maxVersion: null, ciphers: null, ecdhCurves: null, signatureAlgorithms: null, alpn: ['istio'], certificates: [issue(uri)],
    certificateSdsNames: [], validationSdsName: null,
  });
  return {
    rootPem,
    issue,
    crl: (revoked, nextUpdate = Date.now() + hour) => {
      const serials = revoked.map(({ certificateChain }) => (certificateChain.kind === 'inline' ? new X509Certificate(certificateChain.bytes).serialNumber.toLowerCase() : ''));
      const der = buildRevocationList({ number: 1, thisUpdate: Date.now() - hour, nextUpdate, revoked: serials.map((serial) => ({ serial, revokedAt: Date.now() })) }, { key: keys.privateKey, certificate: root });
      return { kind: 'inline', bytes: Buffer.from(revocationListPem(der)) };
    },
    trust,
    downstream: (uri, changes = {}) => ({ ...common(uri), validation: trust(), requireClientCertificate: true, requireSni: false, sessionTickets: false, sessionTimeoutMs: 0, ...changes }),
    upstream: (uri, peers, changes = {}) => ({ ...common(uri), validation: trust(...peers), sni: 'outbound_.80_._.reviews', ...changes }),
  };
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  if (!certificate.ok) throw new Error(certificate.error[0]?.message);
  return certificate.value;
}
