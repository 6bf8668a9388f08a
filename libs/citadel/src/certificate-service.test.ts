import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { buildCsr, controlPlaneId, formatSpiffeId, generateP256, parseCertificates, parseJoinToken, formatJoinToken, verifyChain, type Certificate } from '@meltemi/identity';
import { openCertificateService, type CertificateService, type CertificateServiceOptions, type Issuance } from './certificate-service.ts';
import type { CallerProof } from './callers/caller.ts';
import { KeptAuthority } from './kept-authority.ts';
import { MemoryKeystore } from './memory-keystore.ts';

const trustDomain = 'cluster.local';
const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
const ratings = 'spiffe://cluster.local/ns/default/sa/ratings';
const hour = 3_600_000;
const day = 24 * hour;

interface World {
  readonly service: CertificateService;
  readonly clock: ManualClock;
  readonly keystore: MemoryKeystore;
}

function parts(keystore: MemoryKeystore): Pick<CertificateServiceOptions, 'trustDomain' | 'authority' | 'keystore' | 'entropy'> {
  const entropy = { bytes: randomBytes };
  return { trustDomain, authority: new KeptAuthority({ trustDomain, keystore, entropy }), keystore, entropy };
}

async function open(changes: Partial<CertificateServiceOptions> = {}, clock = new ManualClock(Date.UTC(2026, 0, 1)), keystore = new MemoryKeystore()): Promise<World> {
  const opened = await openCertificateService({ ...parts(keystore), clock, ...changes });
  assert.ok(opened.ok, JSON.stringify(opened));
  return { service: opened.value, clock, keystore };
}

async function mint({ service }: World, spiffeId = reviews, lifetimeMs = 0): Promise<string> {
  const minted = await service.createJoinToken({ spiffeId, lifetimeMs });
  assert.ok(minted.ok, JSON.stringify(minted));
  return minted.value.token;
}

const key = generateP256().privateKey;
const csrFor = (...uris: string[]): string => buildCsr(key, { uris });

async function issued({ service }: World, proof: CallerProof, csr = csrFor(reviews), requestedMs = 0): Promise<Issuance> {
  const outcome = await service.createCertificate({ csr, requestedMs, proof });
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return outcome.value;
}

async function refused({ service }: World, proof: CallerProof, csr = csrFor(reviews), requestedMs = 0): Promise<string> {
  const outcome = await service.createCertificate({ csr, requestedMs, proof });
  assert.ok(!outcome.ok, 'a certificate was issued');
  return `${outcome.error.code} ${outcome.error.message}`;
}

test('a token gives one certificate for the one identity it is bound to', async () => {
  const world = await open();
  const token = await mint(world);
  const { certificate, chainPem, how, id } = await issued(world, { token });
  assert.deepEqual([formatSpiffeId(id), how, certificate.uris, certificate.dnsNames], [reviews, 'join token', [reviews], []]);
  const chain = parseCertificates(chainPem.join(''));
  assert.ok(chain.ok && chain.value.length === 3);
  assert.ok(verifyChain(chain.value, world.service.trust(), { now: world.clock.now(), use: 'any' }).ok);
  assert.match(await refused(world, { token }), /^unauthenticated .*used already/);
});

test('an empty request gets the identity of the caller', async () => {
  const world = await open();
  const { certificate } = await issued(world, { token: await mint(world) }, csrFor());
  assert.deepEqual(certificate.uris, [reviews]);
});

test('nobody gets the name of another, and asking does not spend the token', async () => {
  const world = await open();
  const token = await mint(world);
  assert.match(await refused(world, { token }, csrFor(ratings)), /^denied .*the caller is spiffe:.*reviews/);
  assert.match(await refused(world, { token }, csrFor(reviews, ratings)), /^denied/);
  assert.match(await refused(world, { token }, buildCsr(key, { uris: [reviews], dnsNames: ['istiod.istio-system.svc'] })), /^denied .*may not have/);
  await issued(world, { token });
});

test('a token whose text was edited to another identity is refused', async () => {
  const world = await open();
  const parsed = parseJoinToken(await mint(world));
  assert.ok(parsed.ok);
  const token = formatJoinToken({ ...parsed.value, id: { ...parsed.value.id, serviceAccount: 'ratings' } });
  assert.match(await refused(world, { token }, csrFor(ratings)), /^denied .*was changed/);
});

test('tokens end after ten minutes, or when they were asked to, within a day', async () => {
  const world = await open();
  const usual = await mint(world);
  const long = await mint(world, reviews, 48 * hour);
  world.clock.advance(10 * 60_000);
  assert.match(await refused(world, { token: usual }), /^unauthenticated .*expired at/);
  world.clock.advance(day - 11 * 60_000);
  await issued(world, { token: long });
});

test('tokens of another citadel, guesses and garbage are refused without a hint', async () => {
  const world = await open();
  assert.match(await refused(world, { token: await mint(await open()) }), /made for another root/);
  const parsed = parseJoinToken(await mint(world));
  assert.ok(parsed.ok);
  assert.match(await refused(world, { token: formatJoinToken({ ...parsed.value, secret: randomBytes(32) }) }), /^unauthenticated unknown join token/);
  assert.match(await refused(world, { token: 'hello' }), /not a join token/);
  assert.match(await refused(world, {}), /no proof of identity/);
});

test('of many uses of a token at the same time one succeeds', async () => {
  const world = await open();
  const token = await mint(world);
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => world.service.createCertificate({ csr: csrFor(reviews), requestedMs: 0, proof: { token } })));
  assert.equal(outcomes.filter((outcome) => outcome.ok).length, 1);
});

test('a valid certificate renews itself and nothing else', async () => {
  const world = await open();
  const { certificate } = await issued(world, { token: await mint(world) });
  world.clock.advance(12 * hour);
  const renewed = await issued(world, { certificate });
  assert.equal(renewed.how, 'certificate');
  assert.notEqual(renewed.certificate.serial, certificate.serial);
  assert.match(await refused(world, { certificate }, csrFor(ratings)), /^denied/);
  world.clock.advance(13 * hour);
  assert.match(await refused(world, { certificate }), /^unauthenticated .*expired/);
});

test('lifetimes: a day by default, what was asked up to the maximum, never past the issuer', async () => {
  const world = await open({ maxLifetimeMs: 7 * day });
  const lifetime = async (requestedMs: number): Promise<number> => {
    const { certificate } = await issued(world, { token: await mint(world) }, csrFor(), requestedMs);
    assert.equal(world.clock.now() - certificate.notBefore, 120_000);
    return certificate.notAfter - world.clock.now();
  };
  assert.deepEqual([await lifetime(0), await lifetime(60_000), await lifetime(400 * day)], [day, 60_000, 7 * day]);
  assert.match(await refused(world, { token: await mint(world) }, csrFor(), -1000), /^invalid/);
  const endless = await open({ maxLifetimeMs: 4000 * day });
  const { certificate, chainPem } = await issued(endless, { token: await mint(endless) }, csrFor(), 4000 * day);
  assert.equal(certificate.notAfter, new X509Certificate(chainPem[1] ?? '').validToDate.getTime());
});

test('damaged requests are named, and do not spend the token', async () => {
  const world = await open();
  const token = await mint(world);
  assert.match(await refused(world, { token }, 'x'), /^invalid no PEM block/);
  assert.match(await refused(world, { token }, csrFor(reviews).replace(/M/g, 'N')), /^invalid/);
  await issued(world, { token });
});

test("the mesh's own programs get the DNS names that other clients know them by; workloads never do", async () => {
  const world = await open();
  const pilot = formatSpiffeId(controlPlaneId(trustDomain, 'pilot'));
  const { certificate } = await issued(world, { token: await mint(world, pilot) }, csrFor(pilot));
  assert.ok(certificate.dnsNames.includes('istiod.istio-system.svc'));
  const own = world.service.issueOwn();
  assert.ok(own.ok);
  const [leaf] = parsed(own.value.certChainPem);
  assert.ok(leaf?.dnsNames.includes('citadel.istio-system.svc') && leaf.dnsNames.includes('localhost') && leaf.ips.includes('127.0.0.1'));
});

test('tokens are minted for workloads of this trust domain only, never for citadel itself', async () => {
  const { service } = await open();
  const message = async (spiffeId: string, lifetimeMs = 0): Promise<string> => {
    const outcome = await service.createJoinToken({ spiffeId, lifetimeMs });
    return outcome.ok ? 'minted' : `${outcome.error.code} ${outcome.error.message}`;
  };
  assert.match(await message('nonsense'), /^invalid spiffe_id/);
  assert.match(await message('spiffe://other/ns/a/sa/b'), /^invalid .*trust domain cluster\.local/);
  assert.match(await message(formatSpiffeId(controlPlaneId(trustDomain, 'citadel'))), /^denied/);
  assert.match(await message(reviews, -1), /^invalid/);
});

test('the authority and its tokens survive a restart', async () => {
  const first = await open();
  const used = await mint(first);
  await issued(first, { token: used });
  const fresh = await mint(first);
  const second = await open({}, first.clock, first.keystore);
  assert.equal(second.service.trust().pem, first.service.trust().pem);
  assert.match(await refused(second, { token: used }), /used already/);
  await issued(second, { token: fresh });
});

test('a damaged authority is refused and never replaced by a new one', async () => {
  const world = await open();
  const material = (await world.keystore.loadAuthority())?.value;
  const other = (await (await open()).keystore.loadAuthority())?.value;
  assert.ok(material && other);
  for (const damage of [{ issuingKeyPem: other.issuingKeyPem }, { issuingKeyPem: 'x' }, { issuingCertificatePem: other.issuingCertificatePem }, { rootCertificatePem: '' }]) {
    const keystore = new MemoryKeystore();
    await keystore.saveAuthority({ ...material, ...damage }, undefined);
    const opened = await openCertificateService({ ...parts(keystore), clock: world.clock });
    assert.ok(!opened.ok, JSON.stringify(damage));
    assert.deepEqual((await keystore.loadAuthority())?.value, { ...material, ...damage });
  }
});

test('the issuing CA is replaced half a year before its end, and its workloads can still renew', async () => {
  const world = await open({ maxLifetimeMs: 90 * day });
  world.clock.advance(500 * day);
  const { certificate, chainPem } = await issued(world, { token: await mint(world) }, csrFor(), 90 * day);
  world.clock.advance(60 * day);
  assert.ok((await world.service.maintain()).ok);
  const renewed = await issued(world, { certificate });
  assert.notEqual(renewed.chainPem[1], chainPem[1]);
  assert.equal(renewed.chainPem[2], chainPem[2]);
});

test('what another citadel issued a moment ago counts here, without waiting for the next look at the keystore', async () => {
  const world = await open({ maxLifetimeMs: 90 * day });
  const leader = await open({}, world.clock, world.keystore);
  world.clock.advance(560 * day);
  assert.ok((await leader.service.maintain()).ok);
  const { certificate, chainPem } = await issued(leader, { token: await mint(leader) });
  const renewed = await issued(world, { certificate });
  assert.equal(renewed.chainPem[1], chainPem[1]);
});

function parsed(pem: string): Certificate[] {
  const certificates = parseCertificates(pem);
  return certificates.ok ? certificates.value : [];
}
