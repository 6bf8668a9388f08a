import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { buildCsr, generateP256, parseBundleDocument, formatBundleDocument, type Certificate } from '@meltemi/identity';
import { jwtAuthoritiesOf, KeySet, verifyJwtSvid } from '@meltemi/identity/jwt';
import { openCertificateService, type CertificateService } from '../certificate-service.ts';
import { KeptAuthority } from '../kept-authority.ts';
import { MemoryKeystore } from '../memory-keystore.ts';
import type { JwtSvid } from './jwt-authority.ts';

const trustDomain = 'cluster.local';
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const hour = 3_600_000;
const day = 24 * hour;
const entropy = { bytes: randomBytes };
const key = generateP256().privateKey;

let clock: ManualClock;
let keystore: MemoryKeystore;
let service: CertificateService;

beforeEach(async () => {
  clock = new ManualClock(Date.UTC(2026, 0, 1));
  keystore = new MemoryKeystore();
  service = await open();
});

async function open(): Promise<CertificateService> {
  const opened = await openCertificateService({ trustDomain, authority: new KeptAuthority({ trustDomain, keystore, entropy }), keystore, entropy, clock });
  assert.ok(opened.ok, JSON.stringify(opened));
  return opened.value;
}

async function certificate(requestedMs = 0): Promise<Certificate> {
  const minted = await service.createJoinToken({ spiffeId: cart, lifetimeMs: 0 });
  assert.ok(minted.ok);
  const issued = await service.createCertificate({ csr: buildCsr(key, {}), requestedMs, proof: { token: minted.value.token } });
  assert.ok(issued.ok);
  return issued.value.certificate;
}

async function signed(leaf: Certificate, { audiences = ['bank'], requestedMs = 0, at = service }: { readonly audiences?: string[]; readonly requestedMs?: number; readonly at?: CertificateService } = {}): Promise<JwtSvid> {
  const outcome = await at.createJwtSvid({ proof: { certificate: leaf }, audiences, requestedMs });
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return outcome.value;
}

async function refused(request: Partial<Parameters<CertificateService['createJwtSvid']>[0]>): Promise<string> {
  const outcome = await service.createJwtSvid({ proof: {}, audiences: ['bank'], requestedMs: 0, ...request });
  return outcome.ok ? 'signed' : `${outcome.error.code} ${outcome.error.message}`;
}

/** What somebody with the bundle says of a token. */
function judged({ token }: JwtSvid, at = service): string {
  const keys = KeySet.parse(at.trust().jwtKeys ?? '');
  const outcome = verifyJwtSvid(token, { audience: 'bank', now: clock.now(), keysOf: (name) => (keys.ok && name === trustDomain ? keys.value : undefined) });
  return outcome.ok ? outcome.value.spiffeId : outcome.error;
}

const kids = (at = service): string[] => jwtAuthoritiesOf(at.trust().jwtKeys ?? '{"keys":[]}').map(({ kid = '' }) => kid);

test("a certificate gives a token of its own identity, for the audiences asked for, that everybody with the bundle believes until its end", async () => {
  const leaf = await certificate();
  const svid = await signed(leaf, { audiences: ['bank', 'bank', 'post'] });
  assert.deepEqual([svid.spiffeId, svid.audiences, svid.expiresAt - clock.now()], [cart, ['bank', 'post'], 300_000]);
  assert.equal(judged(svid), cart);
  clock.advance(300_000);
  assert.match(judged(svid), /expired/);
  assert.equal((await signed(leaf, { requestedMs: day })).expiresAt - clock.now(), hour);
});

test('without a certificate, an audience, or time left there is no token; a revoked certificate gives none', async () => {
  const leaf = await certificate(600_000);
  const minted = await service.createJoinToken({ spiffeId: cart, lifetimeMs: 0 });
  assert.ok(minted.ok);
  assert.match(await refused({ proof: { token: minted.value.token } }), /^unauthenticated connect with a valid certificate/);
  for (const audiences of [[], [''], ['x'.repeat(513)], ['a\nb'], Array.from({ length: 17 }, (_, index) => `a${index}`)]) assert.match(await refused({ proof: { certificate: leaf }, audiences }), /^invalid audience/);
  clock.advance(400_000);
  assert.equal((await signed(leaf)).expiresAt, leaf.notAfter);
  clock.advance(199_500);
  assert.match(await refused({ proof: { certificate: leaf } }), /ends within a second/);
  const other = await certificate();
  assert.ok((await service.revoke({ serials: [other.serial], spiffeId: '' })).ok);
  assert.match(await refused({ proof: { certificate: other } }), /^unauthenticated .*is revoked/);
});

test('a new key is published a day before it signs, the old one until its last token has ended, and no live token is ever refused', async () => {
  assert.ok((await service.maintain()).ok);
  const [first] = kids();
  assert.equal(kids().length, 1);
  const seen: { readonly svid: JwtSvid }[] = [];
  const publishedAt = new Map<string, number>();
  for (let hours = 0; hours < 24 * 16; hours += 1) {
    const leaf = await certificate();
    for (const kid of kids()) if (!publishedAt.has(kid)) publishedAt.set(kid, clock.now());
    const svid = await signed(leaf, { requestedMs: hour });
    if (svid.keyId !== first) assert.ok(clock.now() - (publishedAt.get(svid.keyId) ?? clock.now()) >= 23 * hour, 'nobody sees a token of a key that is new to him');
    seen.push({ svid });
    clock.advance(hour - 1000);
    assert.ok((await service.maintain()).ok);
    assert.equal(judged(svid), cart);
    clock.advance(1000);
  }
  assert.equal(new Set(seen.map(({ svid }) => svid.keyId)).size, 3);
  assert.ok(!kids().includes(first ?? '') && kids().length <= 2);
});

test('the keys outlive a restart, and citadels that share a keystore sign with the same', async () => {
  const leaf = await certificate();
  const svid = await signed(leaf);
  const others = await Promise.all([open(), open()]);
  for (const other of others) {
    assert.equal(judged(svid, other), cart);
    assert.equal((await signed(leaf, { at: other })).keyId, svid.keyId);
  }
  clock.advance(6.5 * day);
  await Promise.all([service, ...others].map((each) => each.refresh()));
  await Promise.all([service, ...others].map((each) => each.refresh()));
  for (const other of others) assert.deepEqual(kids(other), kids());
  assert.equal(kids().length, 2);
});

test('the bundle document has the keys for jwt-svid, and whoever reads it believes the tokens', async () => {
  const svid = await signed(await certificate());
  const text = formatBundleDocument(service.trust(), { sequence: 1, refreshHintSeconds: 60 });
  assert.deepEqual((JSON.parse(text) as { keys: { use: string; kid?: string }[] }).keys.map(({ use, kid }) => [use, kid]), [['x509-svid', undefined], ['jwt-svid', svid.keyId]]);
  const document = parseBundleDocument(text);
  assert.ok(document.ok);
  assert.equal(document.value.jwtKeys, service.trust().jwtKeys);
});
