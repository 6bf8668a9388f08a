import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createAuthorityFixture, fixtureNow } from './testing/authority-fixture.ts';
import { buildCertificate } from './build-certificate.ts';
import { parseCertificate } from './certificate.ts';
import { buildCsr, parseCsr } from './csr.ts';
import { generateKeys, keyAlgorithms, type KeyPair } from './keys.ts';
import { formatPem } from './pem.ts';

const workload = 'spiffe://cluster.local/ns/default/sa/bookinfo-reviews';
let dir = '';

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'meltemi-identity-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

test('openssl verifies a workload chain up to the root, strictly', () => {
  const authority = createAuthorityFixture();
  writeFileSync(join(dir, 'root.pem'), authority.root.pem);
  writeFileSync(join(dir, 'issuing.pem'), authority.issuing.pem);
  writeFileSync(join(dir, 'leaf.pem'), authority.issue(workload).certificate.pem);
  const at = String(fixtureNow / 1000);
  for (const purpose of ['sslserver', 'sslclient']) {
    assert.match(openssl('verify', '-x509_strict', '-purpose', purpose, '-attime', at, '-CAfile', 'root.pem', '-untrusted', 'issuing.pem', 'leaf.pem'), /leaf\.pem: OK/);
  }
});

test('openssl shows the names, usages and limits of the certificates as intended', () => {
  const authority = createAuthorityFixture();
  writeFileSync(join(dir, 'text.pem'), authority.issue(workload, { names: { uris: [workload], dnsNames: ['istiod.istio-system.svc'], ips: ['127.0.0.1', '2001:db8::1'] } }).certificate.pem);
  const leaf = openssl('x509', '-in', 'text.pem', '-noout', '-text');
  assert.match(leaf, /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/default\/sa\/bookinfo-reviews, DNS:istiod\.istio-system\.svc, IP Address:127\.0\.0\.1, IP Address:2001:DB8:0:0:0:0:0:1/);
  assert.match(leaf, /X509v3 Basic Constraints: critical\s+CA:FALSE/);
  assert.match(leaf, /X509v3 Key Usage: critical\s+Digital Signature, Key Encipherment\n/);
  assert.match(leaf, /TLS Web Server Authentication, TLS Web Client Authentication/);
  assert.match(leaf, /ASN1 OID: prime256v1/);
  writeFileSync(join(dir, 'ca.pem'), authority.issuing.pem);
  const ca = openssl('x509', '-in', 'ca.pem', '-noout', '-text');
  assert.match(ca, /CA:TRUE, pathlen:0/);
  assert.match(ca, /X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
});

for (const algorithm of keyAlgorithms) {
  test(`openssl reads and verifies requests and certificates of ${algorithm} keys`, async () => {
    const keys = await generateKeys(algorithm);
    writeFileSync(join(dir, 'ours.csr'), buildCsr(keys.privateKey, { uris: [workload] }));
    const text = openssl('req', '-in', 'ours.csr', '-noout', '-text', '-verify');
    assert.match(text, /URI:spiffe:\/\/cluster\.local\/ns\/default\/sa\/bookinfo-reviews/);
    const { root, leaf } = ownRoot(keys);
    writeFileSync(join(dir, 'root.pem'), root);
    writeFileSync(join(dir, 'leaf.pem'), leaf);
    assert.match(openssl('verify', '-x509_strict', '-attime', String(fixtureNow / 1000), '-CAfile', 'root.pem', 'leaf.pem'), /leaf\.pem: OK/);
    assert.match(openssl('x509', '-in', 'leaf.pem', '-noout', '-text'), algorithm === 'ecdsa-p384' ? /ecdsa-with-SHA384/ : algorithm.startsWith('rsa') ? /sha256WithRSAEncryption/ : /ecdsa-with-SHA256/);
  });
}

/** A root with these keys, and a leaf it signed. */
function ownRoot(keys: KeyPair): { root: string; leaf: string } {
  const validity = { notBefore: fixtureNow - 3_600_000, notAfter: fixtureNow + 3_600_000 };
  const root = parseCertificate(buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName: 'root' }, publicKey: keys.publicKey, ...validity, role: { kind: 'authority', pathLength: 0 } }, { key: keys.privateKey }));
  assert.ok(root.ok);
  const leaf = buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, ...validity, names: { uris: [workload] }, role: { kind: 'workload' } }, { key: keys.privateKey, certificate: root.value });
  return { root: root.value.pem, leaf: formatPem('CERTIFICATE', leaf) };
}

test("reads requests made by openssl with EC and RSA keys, as Istio's own agents send them", () => {
  const kinds: [string, ...string[]][] = [
    ['ec', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ['rsa', '-newkey', 'rsa:2048'],
  ];
  for (const [type, ...newKey] of kinds) {
    openssl('req', '-new', ...newKey, '-nodes', '-keyout', 'their.key', '-subj', '/O=ignored', '-addext', `subjectAltName=URI:${workload}`, '-out', 'their.csr');
    const request = parseCsr(openssl('req', '-in', 'their.csr'));
    assert.ok(request.ok, JSON.stringify(request));
    assert.deepEqual(request.value.uris, [workload]);
    assert.equal(request.value.publicKey.asymmetricKeyType, type);
  }
});

test('dates from 2050 on are written as GeneralizedTime', () => {
  const authority = createAuthorityFixture();
  const far = Date.UTC(2051, 5, 1);
  const { certificate } = authority.issue(workload, { notAfter: far });
  assert.equal(certificate.notAfter, far);
  writeFileSync(join(dir, 'far.pem'), certificate.pem);
  assert.match(openssl('x509', '-in', 'far.pem', '-noout', '-enddate'), /Jun {2}1 00:00:00 2051 GMT/);
  assert.match(openssl('asn1parse', '-in', 'far.pem'), /GENERALIZEDTIME\s+:20510601000000Z/);
});
