import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { buildCsr, generateP256, isListOf, parseRevocationLists, verifyChain, type Certificate, type RevocationList } from '@meltemi/identity';
import { openCertificateService, type CertificateService, type RevokeOutcome } from '../certificate-service.ts';
import { KeptAuthority } from '../kept-authority.ts';
import { MemoryKeystore } from '../memory-keystore.ts';

const trustDomain = 'cluster.local';
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
const bank = 'spiffe://cluster.local/ns/bank/sa/bank';
const day = 86_400_000;
const year = 365 * day;
/** Parts of it fail when they are told to. */
class Store extends MemoryKeystore {
  full = false;
  jwtKeysDamaged = false;
  authorityDamaged = false;
  revocationsDamaged = false;
  /** Instead of what was issued. */
  issued: (() => Promise<never>) | undefined;

  override async loadIssued(names: readonly string[]): ReturnType<MemoryKeystore['loadIssued']> {
    return this.issued ? this.issued() : super.loadIssued(names);
  }

  override async jwtKeysRevision(): Promise<string | undefined> {
    if (this.jwtKeysDamaged) throw new Error('the JWT keys are damaged');
    return super.jwtKeysRevision();
  }

  override async authorityRevision(): Promise<string | undefined> {
    if (this.authorityDamaged) throw new Error('the authority is damaged');
    return super.authorityRevision();
  }

  override async revocationsRevision(): Promise<string | undefined> {
    if (this.revocationsDamaged) throw new Error('the revocations are damaged');
    return super.revocationsRevision();
  }

  override async saveRevocations(...args: Parameters<MemoryKeystore['saveRevocations']>): ReturnType<MemoryKeystore['saveRevocations']> {
    if (this.full) throw new Error('the disk is full');
    return super.saveRevocations(...args);
  }
}

const entropy = { bytes: randomBytes };
const key = generateP256().privateKey;

let clock: ManualClock;
let keystore: Store;
let service: CertificateService;

beforeEach(async () => {
  clock = new ManualClock(Date.UTC(2026, 0, 1));
  keystore = new Store();
  service = await open();
});

async function open(registrationAuthorities: readonly string[] = []): Promise<CertificateService> {
  const opened = await openCertificateService({ trustDomain, authority: new KeptAuthority({ trustDomain, keystore, entropy }), keystore, entropy, clock, registrationAuthorities });
  assert.ok(opened.ok, JSON.stringify(opened));
  return opened.value;
}

async function join(spiffeId = cart, at = service): Promise<Certificate> {
  const minted = await at.createJoinToken({ spiffeId, lifetimeMs: 0 });
  assert.ok(minted.ok);
  const issued = await at.createCertificate({ csr: buildCsr(key, {}), requestedMs: 0, proof: { token: minted.value.token } });
  assert.ok(issued.ok, JSON.stringify(issued));
  return issued.value.certificate;
}

async function renew(certificate: Certificate, at = service): Promise<string> {
  const outcome = await at.createCertificate({ csr: buildCsr(key, {}), requestedMs: 0, proof: { certificate } });
  return outcome.ok ? 'renewed' : outcome.error.message;
}

async function reissue(certificate: Certificate, at = service, ...uris: readonly string[]): Promise<Certificate> {
  const outcome = await at.createCertificate({ csr: buildCsr(key, { uris }), requestedMs: 0, proof: { certificate } });
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return outcome.value.certificate;
}

async function revoke(request: { readonly serials?: readonly string[]; readonly spiffeId?: string }, at = service): Promise<RevokeOutcome> {
  const outcome = await at.revoke({ serials: [], spiffeId: '', ...request });
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return outcome.value;
}

function lists(at = service): RevocationList[] {
  const pem = at.trust().revoked?.pem;
  if (pem === undefined) return [];
  const parsed = parseRevocationLists(pem);
  assert.ok(parsed.ok);
  return parsed.value;
}

const holds = (leaf: Certificate, at = service): boolean => verifyChain([leaf, ...at.authority().issuer], at.trust(), { now: clock.now(), use: 'any' }).ok;

test('a revoked certificate is believed by nobody who has the bundle, and does not renew; others do', async () => {
  const [bad, good] = [await join(), await join()];
  assert.equal(service.trust().revoked, undefined);
  assert.deepEqual(await revoke({ serials: [bad.serial.toUpperCase().replace(/(..)(?=.)/g, '$1:')] }), { serials: [bad.serial], unknown: [], warning: '' });
  assert.deepEqual([holds(bad), holds(good)], [false, true]);
  assert.match(await renew(bad), /is revoked\. Join again/);
  assert.equal(await renew(good), 'renewed');
  const [list, ...more] = lists();
  assert.ok(list && more.length === 0 && isListOf(list, service.authority().issuer[0]));
});

test("an identity's certificates are revoked, also those from before a restart and of another citadel; one that a kill made forgotten does not renew; new ones are good", async () => {
  const second = await open();
  const [before, elsewhere] = [await join(), await join(cart, second)];
  await Promise.all([service.stop(), second.stop()]);
  // Killed before it was written down.
  const forgotten = await join();
  service = await open();
  const known = await join();
  const other = await join(bank);
  clock.advance(5000);
  assert.deepEqual(new Set((await revoke({ spiffeId: cart })).serials), new Set([before.serial, elsewhere.serial, known.serial]));
  for (const gone of [before, elsewhere, known]) assert.equal(holds(gone), false);
  assert.match(await renew(forgotten), /from before 2026-01-01T00:00:05\.000Z are revoked/);
  assert.equal(await renew(other), 'renewed');
  assert.equal(await renew(await join()), 'renewed');
});

test('what was revoked outlives a restart, and is seen by another citadel over the same keystore', async () => {
  const bad = await join();
  const other = await open();
  await revoke({ serials: [bad.serial] });
  assert.ok((await other.refresh()).ok);
  assert.match(await renew(bad, other), /is revoked/);
  assert.deepEqual(lists(other), lists());
  const late = await join(cart, other);
  await Promise.all([revoke({ serials: [late.serial] }, other), revoke({ serials: ['ab'] })]);
  assert.ok((await service.refresh()).ok && (await other.refresh()).ok);
  for (const at of [service, other, await open()]) assert.deepEqual([...at.trust().revoked?.serials ?? []].toSorted(), [bad.serial, late.serial, 'ab'].toSorted());
});

test('what another citadel issues for a stolen certificate, before it hears that this or its identity is revoked, is revoked as soon as it hears', async () => {
  const other = await open();
  const [stolen, bySerial, honest] = [await join(), await join(bank), await join(bank)];
  clock.advance(5000);
  await revoke({ serials: [bySerial.serial], spiffeId: cart });
  const second = await reissue(stolen, other);
  clock.advance(2000);
  const third = await reissue(second, other);
  const fourth = await reissue(bySerial, other);
  const good = await reissue(honest, other);
  const joined = await join(cart, other);
  assert.ok((await other.refresh()).ok && (await service.refresh()).ok);
  for (const at of [other, service]) assert.deepEqual([stolen, bySerial, second, third, fourth, good, joined].map((each) => holds(each, at)), [false, false, false, false, false, true, true]);
});

test('what a third citadel issued for what the second one issued for a stolen certificate is revoked, too, as of the time the stolen one was', async () => {
  const [second, third] = [await open(), await open()];
  const stolen = await join();
  clock.advance(5000);
  await revoke({ serials: [stolen.serial] });
  const revokedAt = clock.now();
  clock.advance(1000);
  const renewed = await reissue(stolen, second);
  clock.advance(1000);
  const again = await reissue(renewed, third);
  clock.advance(1000);
  for (const at of [second, third]) assert.ok((await at.refresh()).ok);
  assert.deepEqual([stolen, renewed, again].map((each) => holds(each, third)), [false, false, false]);
  assert.deepEqual(service.revoked().certificates.length, 1);
  assert.deepEqual(third.revoked().certificates.map((each) => each.revokedAt), [revokedAt, revokedAt, revokedAt]);
});

test('what a registration authority got late is revoked with the authority, not because its own certificate is older than a revocation of what it asked for', async () => {
  const registrar = 'spiffe://cluster.local/ns/istio-system/sa/registrar';
  const other = await open([registrar]);
  const honest = await join(registrar);
  clock.advance(5000);
  await revoke({ spiffeId: cart });
  clock.advance(1000);
  const fresh = await reissue(honest, other, cart);
  assert.ok((await other.refresh()).ok);
  assert.ok(holds(fresh, other));
  clock.advance(5000);
  await revoke({ spiffeId: registrar });
  const stolen = await reissue(honest, other, bank);
  assert.ok((await other.refresh()).ok);
  assert.deepEqual([fresh, stolen].map((each) => holds(each, other)), [true, false]);
});

test('what is to be revoked late is not forgotten while the keystore cannot be written', async () => {
  const other = await open();
  const stolen = await join();
  clock.advance(5000);
  await revoke({ serials: [stolen.serial] });
  const renewed = await reissue(stolen, other);
  keystore.full = true;
  await assert.rejects(other.refresh(), /the disk is full/);
  clock.advance(60_000);
  await assert.rejects(other.refresh(), /the disk is full/);
  keystore.full = false;
  assert.ok((await other.refresh()).ok);
  assert.deepEqual([stolen, renewed].map((each) => holds(each, other)), [false, false]);
});

test('what is to be revoked late is not forgotten while it cannot be read what is revoked', async () => {
  const other = await open();
  const stolen = await join();
  clock.advance(5000);
  await revoke({ serials: [stolen.serial] });
  const renewed = await reissue(stolen, other);
  keystore.revocationsDamaged = true;
  for (let seconds = 0; seconds < 20; seconds += 5) {
    clock.advance(5000);
    await assert.rejects(other.refresh(), /the revocations are damaged/);
  }
  keystore.revocationsDamaged = false;
  assert.ok((await other.refresh()).ok);
  assert.deepEqual([stolen, renewed].map((each) => holds(each, other)), [false, false]);
});

test('neither damaged JWT keys nor a damaged authority keep revocations from being believed, and JWT-SVIDs are signed all the same', async () => {
  const other = await open();
  const [first, second, good] = [await join(), await join(), await join()];
  keystore.jwtKeysDamaged = true;
  await revoke({ serials: [first.serial] });
  await assert.rejects(other.refresh(), /the JWT keys are damaged/);
  assert.deepEqual([first, good].map((each) => holds(each, other)), [false, true]);
  keystore.authorityDamaged = true;
  await revoke({ serials: [second.serial] });
  await assert.rejects(other.refresh(), /the authority is damaged/);
  assert.deepEqual([second, good].map((each) => holds(each, other)), [false, true]);
  assert.ok(other.trust().jwtKeys?.includes('"kid"'));
  assert.ok((await other.createJwtSvid({ proof: { certificate: good }, audiences: ['bank'], requestedMs: 0 })).ok);
});

test('damaged revocations keep no new issuing CA from signing, and what was revoked stays so', async () => {
  clock.advance(1.49 * year);
  const bad = await join();
  await revoke({ serials: [bad.serial] });
  const before = service.issuingSerial();
  clock.advance(0.02 * year);
  keystore.revocationsDamaged = true;
  await assert.rejects(service.refresh(), /the revocations are damaged/);
  assert.notEqual(service.issuingSerial(), before);
  assert.ok(service.trust().revoked?.serials.has(bad.serial));
  await assert.rejects(open(), /the revocations are damaged/);
});

test('while a part of the authority is wrong, tokens and certificates that have ended are forgotten all the same, and the fault is told', async () => {
  await join();
  await service.stop();
  keystore.jwtKeysDamaged = true;
  clock.advance(2 * day);
  await assert.rejects(service.maintain(), /the JWT keys are damaged/);
  assert.deepEqual([await keystore.listTokens(), await keystore.issuedNames()], [[], []]);
});

test('what cannot be forgotten is told, and holds up nothing else; a fault of the authority is told before it', async () => {
  await join();
  await service.stop();
  keystore.pruneTokens = () => Promise.reject(new Error('a token is damaged'));
  clock.advance(2 * day);
  await assert.rejects(service.maintain(), /a token is damaged/);
  assert.deepEqual(await keystore.issuedNames(), []);
  keystore.jwtKeysDamaged = true;
  clock.advance(60_000);
  await assert.rejects(service.maintain(), /the JWT keys are damaged/);
});

test('a serial number is revoked also when what was issued cannot be read, or not soon; an identity is not', async () => {
  const [first, second] = [await join(), await join()];
  await service.stop();
  keystore.issued = () => Promise.reject(new Error('the disk is broken'));
  const failed = await revoke({ serials: [first.serial] });
  assert.deepEqual([failed.serials, failed.unknown], [[first.serial], []]);
  assert.match(failed.warning, /the disk is broken/);
  await assert.rejects(revoke({ spiffeId: cart }), /the disk is broken/);
  keystore.issued = () => new Promise(() => undefined);
  const late = revoke({ serials: [second.serial] });
  clock.advance(2000);
  assert.match((await late).warning, /could not be read within 2000 ms/);
  assert.deepEqual([first, second].map((each) => holds(each)), [false, false]);
});

test('numbers only grow, lists are signed anew in good time and not before, and what has ended is forgotten', async () => {
  const bad = await join();
  await revoke({ serials: [bad.serial] });
  const [first] = lists();
  assert.ok(first && first.nextUpdate - clock.now() === 90 * day);
  assert.ok((await service.maintain()).ok);
  assert.deepEqual(lists(), [first]);
  await revoke({ serials: ['abc'] });
  assert.deepEqual(lists().map(({ number }) => number), [first.number + 1]);
  clock.advance(46 * day);
  assert.ok((await service.maintain()).ok);
  const [again] = lists();
  assert.ok(again && again.number === first.number + 2 && again.nextUpdate === clock.now() + 90 * day);
  assert.deepEqual([...again.serials], ['abc']);
  clock.advance(60 * day);
  assert.ok((await service.maintain()).ok);
  assert.deepEqual([service.revoked().certificates, [...(service.trust().revoked?.serials ?? [])]], [[], []]);
});

test('when the issuing CA is replaced its last list stays, and the new one has all that is revoked', async () => {
  clock.advance(1.49 * year);
  const bad = await join();
  await revoke({ serials: [bad.serial] });
  const before = service.issuingSerial();
  clock.advance(0.02 * year);
  assert.ok((await service.maintain()).ok);
  assert.notEqual(service.issuingSerial(), before);
  await revoke({ serials: ['abcd'] });
  const both = lists();
  assert.equal(both.length, 2);
  assert.equal(both.filter((list) => isListOf(list, service.authority().issuer[0])).length, 1);
  assert.ok(service.trust().revoked?.serials.has('abcd'));
});

test('what is no serial number, no identity of ours, or nothing at all is refused', async () => {
  const problem = async (serials: readonly string[], spiffeId = ''): Promise<string> => {
    const outcome = await service.revoke({ serials, spiffeId });
    return outcome.ok ? 'revoked' : outcome.error.message;
  };
  assert.match(await problem([]), /nothing to revoke/);
  assert.match(await problem(['xyz']), /"xyz" is no serial number/);
  assert.match(await problem(['a'.repeat(41)]), /no serial number/);
  assert.match(await problem([], 'spiffe://other/ns/a/sa/b'), /serves trust domain cluster\.local/);
  assert.match(await problem([], 'cart'), /spiffe_id: "cart" is not spiffe/);
  assert.match(await problem(Array.from({ length: 2001 }, () => randomBytes(16).toString('hex'))), /more than 2000 certificates/);
  assert.equal(service.trust().revoked, undefined);
  assert.deepEqual((await revoke({ serials: ['ff'] })).unknown, ['ff']);
});
