import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildCertificate } from './build-certificate.ts';
import { parseCertificate, type Certificate } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { generateP256 } from './keys.ts';
import type { SubjectNames } from './names.ts';
import { createAuthorityFixture, fixtureNow } from './testing/authority-fixture.ts';
import { createTrustBundle } from './trust-bundle.ts';

let dir = '';
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'meltemi-constraints-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));

const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';

/** A root made by openssl with these constraints. */
function rootWith(constraints: string): { readonly root: Certificate; readonly sign: (names: Partial<SubjectNames>) => Certificate } {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '1', '-subj', '/O=x/CN=ca',
    '-addext', 'keyUsage=critical,keyCertSign', '-addext', `nameConstraints=critical,${constraints}`], { cwd: dir, stdio: 'ignore' });
  const root = parsed(Buffer.from(readFileSync(join(dir, 'ca.pem'), 'utf8').replace(/-----[^-]+-----|\s/g, ''), 'base64'));
  const key = createPrivateKey(readFileSync(join(dir, 'ca.key')));
  const { publicKey } = generateP256();
  return { root, sign: (names) => parsed(buildCertificate({ serial: randomBytes(16), publicKey, notBefore: root.notBefore, notAfter: root.notAfter, names, role: { kind: 'workload' } }, { key, certificate: root })) };
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  assert.ok(certificate.ok, JSON.stringify(certificate));
  return certificate.value;
}

function ourVerdict(leaf: Certificate, root: Certificate): boolean {
  const bundle = createTrustBundle('cluster.local', [root.pem]);
  assert.ok(bundle.ok);
  return verifyChain([leaf], bundle.value, { now: root.notBefore + 1000, use: 'any' }).ok;
}

function opensslVerdict(leaf: Certificate, root: Certificate): boolean {
  writeFileSync(join(dir, 'root.pem'), root.pem);
  writeFileSync(join(dir, 'leaf.pem'), leaf.pem);
  return spawnSync('openssl', ['verify', '-CAfile', 'root.pem', 'leaf.pem'], { cwd: dir }).status === 0;
}

const cases: readonly (readonly [constraints: string, names: Partial<SubjectNames>, allowed: boolean])[] = [
  ['permitted;URI:cluster.local', { uris: [reviews] }, true],
  ['permitted;URI:other.example', { uris: [reviews] }, false],
  ['permitted;URI:.local', { uris: [reviews] }, true],
  ['permitted;URI:.cluster.local', { uris: [reviews] }, false],
  ['excluded;URI:cluster.local', { uris: [reviews] }, false],
  ['permitted;DNS:svc', { uris: [reviews], dnsNames: ['istiod.istio-system.svc'] }, true],
  ['permitted;DNS:svc', { uris: [reviews], dnsNames: ['istiod.istio-system.Svc'] }, true],
  ['permitted;DNS:svc', { uris: [reviews], dnsNames: ['istiod.evilsvc'] }, false],
  ['permitted;DNS:svc', { uris: [reviews], dnsNames: ['localhost'] }, false],
  ['permitted;DNS:svc', { uris: [reviews] }, true],
  ['excluded;DNS:svc', { uris: [reviews], dnsNames: ['a.svc'] }, false],
  ['permitted;IP:10.0.0.0/255.0.0.0', { uris: [reviews], ips: ['10.1.2.3'] }, true],
  ['permitted;IP:10.0.0.0/255.0.0.0', { uris: [reviews], ips: ['11.1.2.3'] }, false],
  ['permitted;IP:10.0.0.0/255.0.0.0', { uris: [reviews], ips: ['2001:db8::1'] }, false],
  ['excluded;IP:2001:db8:0:0:0:0:0:0/ffff:ffff:0:0:0:0:0:0', { uris: [reviews], ips: ['2001:db8::1'] }, false],
  ['excluded;IP:2001:db8:0:0:0:0:0:0/ffff:ffff:0:0:0:0:0:0', { uris: [reviews], ips: ['2001:db9::1'] }, true],
];
for (const [constraints, names, allowed] of cases) {
  test(`an authority with ${constraints} ${allowed ? 'may' : 'may not'} name ${Object.values(names).flat().join(', ')}, as openssl says too`, () => {
    const { root, sign } = rootWith(constraints);
    const leaf = sign(names);
    assert.equal(opensslVerdict(leaf, root), allowed, 'openssl');
    assert.equal(ourVerdict(leaf, root), allowed, 'ours');
  });
}

test('constraints of kinds that are not compared refuse every certificate below', () => {
  const { root, sign } = rootWith('permitted;email:example.com');
  assert.equal(ourVerdict(sign({ uris: [reviews] }), root), false);
});

test('our own authority may be held to its trust domain, and openssl enforces it', () => {
  const bound = createAuthorityFixture({ issuing: { role: { kind: 'authority', pathLength: 0, permittedUriHosts: ['cluster.local'] } } });
  const foreign = createAuthorityFixture({ issuing: { role: { kind: 'authority', pathLength: 0, permittedUriHosts: ['other.example'] } } });
  for (const [authority, allowed] of [[bound, true], [foreign, false]] as const) {
    const { certificate } = authority.issue(reviews);
    assert.equal(verifyChain([certificate, authority.issuing], authority.bundle, { now: fixtureNow, use: 'any' }).ok, allowed);
    for (const [name, { pem }] of Object.entries({ root: authority.root, issuing: authority.issuing, leaf: certificate })) writeFileSync(join(dir, `${name}.pem`), pem);
    assert.equal(spawnSync('openssl', ['verify', '-attime', String(fixtureNow / 1000), '-CAfile', 'root.pem', '-untrusted', 'issuing.pem', 'leaf.pem'], { cwd: dir }).status === 0, allowed, 'openssl');
  }
});
