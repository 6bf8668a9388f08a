import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Certificate } from './certificate.ts';
import { verifyChain, verifyFederated } from './chain.ts';
import { createAuthorityFixture, fixtureNow } from './testing/authority-fixture.ts';
import { withFederated, type TrustBundle } from './trust-bundle.ts';

const ours = createAuthorityFixture();
const theirs = createAuthorityFixture();
const trust = unwrap(withFederated(ours.bundle, [{ trustDomain: 'b.example', rootsPem: [theirs.root.pem] }]));
const options = { now: fixtureNow, use: 'client' } as const;

function unwrap(result: ReturnType<typeof withFederated>): TrustBundle {
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

function refusal(chain: readonly Certificate[]): string {
  const verified = verifyFederated(chain, trust, options);
  assert.ok(!verified.ok, 'the chain was accepted');
  return verified.error[0]?.message ?? '';
}

test('each trust domain is believed through its own roots, whatever the form of the id', () => {
  const own = verifyFederated([ours.issue('spiffe://cluster.local/ns/default/sa/a').certificate, ours.issuing], trust, options);
  const foreign = verifyFederated([theirs.issue('spiffe://b.example/billing/api').certificate, theirs.issuing], trust, options);
  assert.ok(own.ok && foreign.ok, JSON.stringify([own, foreign]));
  assert.equal(foreign.value.uri, 'spiffe://b.example/billing/api');
});

test('a foreign root cannot vouch for our identities, nor ours for foreign ones', () => {
  assert.match(refusal([theirs.issue('spiffe://cluster.local/ns/default/sa/a').certificate, theirs.issuing, theirs.root]), /no path to a root of trust domain cluster\.local/);
  assert.match(refusal([ours.issue('spiffe://b.example/ns/default/sa/a').certificate, ours.issuing]), /no path to a root of trust domain b\.example/);
});

test('trust domains that are not federated, and names that are no SPIFFE id, are refused', () => {
  assert.match(refusal([theirs.issue('spiffe://c.example/ns/default/sa/a').certificate, theirs.issuing]), /is not of trust domain cluster\.local or b\.example/);
  for (const uri of ['spiffe://B.example/x', 'spiffe://b.example/', 'spiffe://b.example:1/x', 'spiffe://b.example/../x', 'https://b.example/x'])
    assert.match(refusal([theirs.issue(uri).certificate, theirs.issuing]), /is not a SPIFFE id/, uri);
});

test('verifyChain stays with the own trust domain: programs of the mesh are never foreign', () => {
  assert.ok(!verifyChain([theirs.issue('spiffe://b.example/ns/istio-system/sa/meltemi-pilot').certificate, theirs.issuing], trust, options).ok);
});

test('federated roots may not speak for the own trust domain, or twice for one', () => {
  const rootsPem = [theirs.root.pem];
  assert.ok(!withFederated(ours.bundle, [{ trustDomain: 'cluster.local', rootsPem }]).ok);
  assert.ok(!withFederated(ours.bundle, [{ trustDomain: 'b', rootsPem }, { trustDomain: 'b', rootsPem }]).ok);
  assert.ok(!withFederated(ours.bundle, [{ trustDomain: 'spiffe://b', rootsPem }]).ok);
  assert.ok(!withFederated(ours.bundle, [{ trustDomain: 'b', rootsPem: [] }]).ok);
  assert.ok(!withFederated(ours.bundle, Array.from({ length: 65 }, (_, i) => ({ trustDomain: `b${i}`, rootsPem }))).ok);
});
