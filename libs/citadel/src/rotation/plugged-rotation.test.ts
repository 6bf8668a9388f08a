import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { buildCertificate, fingerprintOf, generateP256, parseCertificate, type Certificate, type KeyPair } from '@meltemi/identity';
import type { OpenAuthority } from '../authority.ts';
import { MemoryKeystore } from '../memory-keystore.ts';
import { PluggedAuthority, type CaFiles } from '../plugged-authority.ts';
import { settleMs } from './holdups.ts';
import { PluggedRotation } from './plugged-rotation.ts';
import { MemoryReportStore } from './report-store.ts';
import { Roster } from './roster.ts';

const start = Date.UTC(2026, 0, 1);
const day = 86_400_000;
const spiffeId = 'spiffe://cluster.local/ns/default/sa/reviews';

interface Ca {
  readonly certificate: Certificate;
  readonly keys: KeyPair;
}

function ca(name: string, by?: Ca): Ca {
  const keys = generateP256();
  const template = { serial: randomBytes(16), subject: { organization: 'corp', commonName: name }, publicKey: keys.publicKey, notBefore: start - day, notAfter: start + 30 * day, role: { kind: 'authority', pathLength: by ? 0 : 1 } as const };
  const parsed = parseCertificate(buildCertificate(template, by ? { key: by.keys.privateKey, certificate: by.certificate } : { key: keys.privateKey }));
  assert.ok(parsed.ok);
  return { certificate: parsed.value, keys };
}

function filesOf(root: Ca): CaFiles {
  const issuing = ca('issuing', root);
  return { caCert: issuing.certificate.pem, caKey: issuing.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), certChain: '', rootCert: root.certificate.pem };
}

const [oldRoot, newRoot] = [ca('old'), ca('new')];
const [before, after] = [filesOf(oldRoot), filesOf(newRoot)];
const nameOf = new Map([[fingerprintOf(oldRoot.certificate), 'old'], [fingerprintOf(newRoot.certificate), 'new']]);

/** One citadel and one proxy that reports. */
class World {
  readonly clock = new ManualClock(start);
  readonly store: MemoryReportStore;
  readonly keystore = new MemoryKeystore();
  files = before;
  roster: Roster;
  rotation: PluggedRotation;

  constructor(store = new MemoryReportStore(false), acceptCutOff = false) {
    this.store = store;
    this.roster = new Roster({ id: randomBytes(4).toString('hex'), store, clock: this.clock, listeningSince: start - settleMs, onFailure: assert.fail });
    const plugged = new PluggedAuthority({ trustDomain: 'cluster.local', read: async () => this.files, issuers: this.keystore, entropy: { bytes: randomBytes } });
    this.rotation = new PluggedRotation({ plugged, roster: this.roster, clock: this.clock, inFlightMs: 0, acceptCutOff });
  }

  /** What citadel does every few seconds. */
  async read(): Promise<OpenAuthority> {
    const opened = await this.rotation.refresh(this.clock.now());
    assert.ok(opened.ok, JSON.stringify(opened));
    this.roster.beat({ signingRoot: fingerprintOf(opened.value.root), trustedRoots: opened.value.trust.roots.map(fingerprintOf) });
    return opened.value;
  }

  /** signs; believes; citadel's own certificate; phase */
  async state(): Promise<string> {
    const { root, trust, serving, rotation } = await this.read();
    const name = (certificate: Certificate) => nameOf.get(fingerprintOf(certificate)) ?? '';
    return [name(root), trust.roots.map(name).sort().join('+'), name(serving?.root ?? root), rotation?.phase ?? 'done'].join(' ');
  }

  proxy(trusts: readonly Ca[], has: Ca): void {
    this.roster.put({
      spiffeId, name: 'reviews-1', run: '1', address: '10.0.0.1:1', trustedRoots: trusts.map(({ certificate }) => fingerprintOf(certificate)), certificateRoot: fingerprintOf(has.certificate), serial: '1',
      certificateNotAfter: start + day, connected: true, heardAt: this.clock.now(), problem: '',
    });
  }
}

let world: World;
beforeEach(async () => {
  world = new World();
  await world.read();
  world.proxy([oldRoot], oldRoot);
});

test('a root that is replaced in one go is distributed first, signs when everybody believes it, and the old one goes when nobody has a certificate of it', async () => {
  world.files = after;
  assert.equal(await world.state(), 'old new+old old distributing');
  assert.equal(await world.state(), 'old new+old old distributing');
  world.proxy([oldRoot, newRoot], oldRoot);
  assert.equal(await world.state(), 'new new+old old switched');
  assert.equal(await world.state(), 'new new+old old switched');
  world.proxy([oldRoot, newRoot], newRoot);
  assert.equal(await world.state(), 'new new new done');
});

test('what is under way says who holds it up, and can be paused, and gone on with without somebody', async () => {
  world.files = after;
  await world.read();
  const { phase, next, holdups } = await world.rotation.progress();
  assert.deepEqual([phase, next, holdups.map(({ name }) => name)], ['distributing', 'switch', ['reviews-1']]);
  const refused = await world.rotation.act({ action: 'step' });
  assert.match(refused.ok ? '' : refused.error.message, /^not yet: to sign with the new root now would cut off one: reviews-1 spiffe:.* does not trust root [0-9a-f]{12} yet$/);
  assert.ok((await world.rotation.act({ action: 'pause' })).ok);
  world.proxy([oldRoot, newRoot], oldRoot);
  assert.equal(await world.state(), 'old new+old old distributing');
  assert.ok((await world.rotation.act({ action: 'resume' })).ok);
  assert.equal(await world.state(), 'new new+old old switched');
  assert.deepEqual(await world.rotation.act({ action: 'step', without: ['reviews-1'] }), { ok: true, value: 'retire' });
  assert.equal(await world.state(), 'new new new done');
  assert.match((await world.rotation.act({ action: 'start' })).ok ? '' : 'refused', /refused/);
});

test('the files of before, put back, take the change back', async () => {
  world.files = after;
  await world.read();
  world.files = before;
  assert.equal(await world.state(), 'old old old done');
  world.files = after;
  await world.read();
  world.proxy([oldRoot, newRoot], oldRoot);
  assert.equal(await world.state(), 'new new+old old switched');
  world.proxy([oldRoot, newRoot], newRoot);
  world.files = before;
  assert.equal(await world.state(), 'old new+old old switched', 'everybody believes both; the new one is believed as long as somebody has a certificate of it');
  world.proxy([oldRoot, newRoot], oldRoot);
  assert.equal(await world.state(), 'old old old done');
});

test('a new issuing CA of the same root signs at once', async () => {
  world.files = filesOf(oldRoot);
  const { issuer, rotation } = await world.read();
  assert.equal(issuer[0].pem, world.files.caCert);
  assert.equal(rotation, undefined);
});

test('who has a certificate of the root that waits is believed all the same: another citadel may sign with it already', async () => {
  world.files = after;
  const { retired } = await world.read();
  assert.ok(retired.some(([issuing]) => issuing.pem === after.caCert));
});

test('a citadel does not start with a root that programs which are alive do not trust, unless told to', async () => {
  await world.roster.flush();
  const next = new World(world.store);
  next.files = after;
  const opened = await next.rotation.refresh(start);
  assert.match(opened.ok ? '' : (opened.error[0]?.message ?? ''), /^to start with these files would cut off one that is alive: reviews-1 spiffe:.*Start with the files of before and replace them.*--accept-cut-off$/);
  next.files = before;
  assert.equal(await next.state(), 'old old old done');
  const forced = new World(world.store, true);
  forced.files = after;
  assert.equal(await forced.state(), 'new new new done');
  const later = new World(world.store);
  later.files = after;
  assert.ok((await later.rotation.refresh(start + 2 * day)).ok, 'nobody is alive any more');
});

test('a citadel does not start with a root that callers who do not report may not trust', async () => {
  const quiet = new World();
  await quiet.read();
  await quiet.roster.silent({ certificateRoot: fingerprintOf(oldRoot.certificate), trustedRoots: [fingerprintOf(oldRoot.certificate)], notAfter: start + day });
  await quiet.roster.flush();
  const next = new World(quiet.store);
  next.files = after;
  const opened = await next.rotation.refresh(start);
  assert.match(opened.ok ? '' : (opened.error[0]?.message ?? ''), /cut off one that is alive: 1 certificate of callers that do not report/);
  assert.ok((await next.rotation.refresh(start + 2 * day)).ok, 'their certificates are over');
});

test('a citadel that was killed between the steps says which root its files lack', async () => {
  world.proxy([oldRoot, newRoot], oldRoot);
  await world.roster.flush();
  const next = new World(world.store);
  next.files = after;
  const opened = await next.rotation.refresh(start);
  assert.match(opened.ok ? '' : (opened.error[0]?.message ?? ''), /reviews-1 .* still has a certificate of root [0-9a-f]{12}.*\. Put their root into root-cert\.pem, too/);
  next.files = { ...after, rootCert: after.rootCert + before.rootCert };
  assert.equal(await next.state(), 'new new+old new done');
});

test('who agrees to leave somebody behind in one step does not in the next', async () => {
  world.files = after;
  await world.read();
  assert.ok((await world.rotation.act({ action: 'step', without: ['reviews-1'] })).ok);
  assert.equal(await world.state(), 'new new+old old switched');
  assert.equal(await world.state(), 'new new+old old switched', 'it still has a certificate of the old root');
});
