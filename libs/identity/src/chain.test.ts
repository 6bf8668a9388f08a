import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAuthorityFixture, fixtureNow } from './testing/authority-fixture.ts';
import type { Certificate } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { spiffeIdOf } from './peer.ts';
import { formatSpiffeId } from './spiffe.ts';

const workload = 'spiffe://cluster.local/ns/default/sa/reviews';
const authority = createAuthorityFixture();
const options = { now: fixtureNow, use: 'any' } as const;

function refusal(chain: readonly Certificate[], now = fixtureNow, from = authority): string {
  const verified = verifyChain(chain, from.bundle, { now, use: 'server' });
  assert.ok(!verified.ok, 'the chain was accepted');
  return verified.error[0]?.message ?? '';
}

test('accepts leaf and intermediate, with or without the root at the end', () => {
  const { certificate } = authority.issue(workload);
  for (const chain of [[certificate, authority.issuing], [certificate, authority.issuing, authority.root]]) {
    const verified = verifyChain(chain, authority.bundle, options);
    assert.ok(verified.ok, JSON.stringify(verified));
    assert.equal(formatSpiffeId(verified.value.id), workload);
    assert.equal(verified.value.path.length, 3);
  }
});

test('refuses another authority even when it uses the same names', () => {
  const other = createAuthorityFixture();
  assert.match(refusal([other.issue(workload).certificate, other.issuing, other.root]), /no path to a root/);
  assert.match(refusal([other.issue(workload).certificate, authority.issuing]), /no path to a root/);
});

test('refuses a missing intermediate', () => {
  assert.match(refusal([authority.issue(workload).certificate]), /intermediate is missing/);
});

test('refuses certificates outside their time, at any depth', () => {
  const { certificate } = authority.issue(workload);
  assert.match(refusal([certificate, authority.issuing], fixtureNow + 86_400_000 * 2), /expired at/);
  assert.match(refusal([certificate, authority.issuing], fixtureNow - 86_400_000), /not valid before/);
  const stale = createAuthorityFixture({ issuing: { notAfter: fixtureNow - 1000 } });
  assert.match(refusal([stale.issue(workload).certificate, stale.issuing], fixtureNow, stale), /expired at/);
});

test('refuses a workload that signs other workloads', () => {
  const wrongPath = createAuthorityFixture({ root: { role: { kind: 'authority', pathLength: 0 } } });
  assert.match(refusal([wrongPath.issue(workload).certificate, wrongPath.issuing], fixtureNow, wrongPath), /allows 0 intermediates/);
  const notCa = createAuthorityFixture({ issuing: { role: { kind: 'workload' } } });
  assert.match(refusal([notCa.issue(workload).certificate, notCa.issuing], fixtureNow, notCa), /no path to a root/);
});

test('refuses a leaf without exactly one SPIFFE URI of the trust domain', () => {
  const cases: [string[], RegExp][] = [
    [[], /has 0 URI names/],
    [[workload, 'spiffe://cluster.local/ns/default/sa/ratings'], /has 2 URI names/],
    [['https://example.com/'], /is not spiffe:/],
    [['spiffe://other.example/ns/default/sa/reviews'], /not of trust domain cluster\.local/],
  ];
  for (const [uris, reason] of cases) {
    assert.match(refusal([authority.issue(workload, { names: { uris } }).certificate, authority.issuing]), reason);
  }
  assert.match(refusal([authority.issuing]), /CA certificate is no identity/);
  assert.match(refusal([]), /no certificate/);
});

test('reads the peer identity from what TLS verified', () => {
  const { certificate } = authority.issue(workload, { names: { uris: [workload], dnsNames: ['reviews', 'URI:spiffe://cluster.local/ns/x/sa/y'], ips: ['10.0.0.1'] } });
  const id = spiffeIdOf(certificate.x509);
  assert.ok(id.ok, JSON.stringify(id));
  assert.equal(formatSpiffeId(id.value), workload);
  assert.equal(spiffeIdOf(undefined).ok, false);
  assert.equal(spiffeIdOf(authority.issue(workload, { names: { uris: [workload, workload] } }).certificate.x509).ok, false);
  const smuggled = 'spiffe://cluster.local/ns/a/sa/b';
  assert.equal(spiffeIdOf({ subjectAltName: `URI:"x, URI:${smuggled}"` }).ok, false);
  assert.equal(spiffeIdOf({ subjectAltName: `DNS:"x, URI:${smuggled}"` }).ok, false);
  assert.equal(spiffeIdOf({ subjectAltName: `DNS:"x, URI:${smuggled}, y"` }).ok, false);
});
