import assert from 'node:assert/strict';
import type { AuthorityMaterial } from './authority-material.ts';
import { renewedKeys } from './jwt/jwt-keys.ts';
import type { Keystore } from './keystore.ts';
import type { RevocationState } from './revocation/revocation-state.ts';

/** One storage: `open` gives a keystore over it, `reopen` another over the same, as a restarted citadel would see it. */
export interface KeystoreStorage {
  readonly open: () => Keystore;
  readonly reopen: () => Keystore;
}

const material: AuthorityMaterial = { rootCertificatePem: 'root', rootKeyPem: 'root key', issuingCertificatePem: 'issuing', issuingKeyPem: 'issuing key', retiredIssuingPem: ['old'] };
const revoked: RevocationState = {
  number: 3, certificates: [{ serial: 'ab12', revokedAt: 1000, notAfter: 2000, spiffeId: 'spiffe://cluster.local/ns/a/sa/b' }, { serial: '7', revokedAt: 1, notAfter: 2 }],
  identities: [{ spiffeId: 'spiffe://cluster.local/ns/a/sa/b', before: 1000 }], lists: [{ issuer: 'ab', notAfter: 5000, pem: 'list' }],
};
const token = { hash: 'ab'.repeat(32), spiffeId: 'spiffe://cluster.local/ns/a/sa/b', expiresAt: 1000 };

/** What a keystore must do, whatever it is made of: each case gets a storage of its own. */
export const keystoreContract: Readonly<Record<string, (storage: KeystoreStorage) => Promise<void>>> = {
  'starts empty': async (storage) => {
    const store = storage.open();
    assert.equal(await store.loadAuthority(), undefined);
    assert.equal(await store.authorityRevision(), undefined);
    assert.equal(await store.findToken(token.hash), undefined);
    assert.equal(await store.takeToken(token.hash), false);
    assert.equal(await store.pruneTokens(0), 0);
  },

  'an authority is there after a restart, and the newest one': async ({ open, reopen }) => {
    const store = open();
    assert.equal(await store.saveAuthority({ ...material, issuingCertificatePem: 'first' }, undefined), 'saved');
    assert.equal(await store.saveAuthority(material, await store.authorityRevision()), 'saved');
    const restarted = reopen();
    const kept = await restarted.loadAuthority();
    assert.deepEqual(kept?.value, material);
    assert.equal(kept.revision, await restarted.authorityRevision());
  },

  'an authority is replaced only by who has seen it': async ({ open, reopen }) => {
    const [mine, other] = [open(), reopen()];
    const changed = { ...material, issuingCertificatePem: 'changed' };
    assert.equal(await mine.saveAuthority(material, undefined), 'saved');
    assert.equal(await other.saveAuthority(changed, undefined), 'conflict');
    const seen = await mine.authorityRevision();
    assert.equal(await other.saveAuthority(changed, seen), 'saved');
    assert.notEqual(await mine.authorityRevision(), seen);
    assert.equal(await mine.saveAuthority(material, seen), 'conflict');
    assert.deepEqual((await mine.loadAuthority())?.value, changed);
  },

  'of many that start on an empty storage one makes the authority': async ({ open, reopen }) => {
    const stores = [open(), ...Array.from({ length: 9 }, () => reopen())];
    const outcomes = await Promise.all(stores.map((store, index) => store.saveAuthority({ ...material, rootCertificatePem: `root ${index}` }, undefined)));
    assert.equal(outcomes.filter((outcome) => outcome === 'saved').length, 1);
    for (const store of stores) assert.equal((await store.loadAuthority())?.value.rootCertificatePem, `root ${outcomes.indexOf('saved')}`);
  },

  'a leader whose term is over saves nothing': async ({ open }) => {
    const store = open();
    const over = AbortSignal.abort(new Error('over'));
    assert.equal(await store.saveAuthority(material, undefined, { lost: over, fence: '' }), 'conflict');
    assert.equal(await store.loadAuthority(), undefined);
  },

  'issuing CAs are remembered, and replaced only by who has seen them': async ({ open, reopen }) => {
    const [mine, other] = [open(), reopen()];
    assert.equal(await mine.loadIssuers(), undefined);
    assert.equal(await mine.saveIssuers(['first'], undefined), 'saved');
    assert.equal(await other.saveIssuers(['other'], undefined), 'conflict');
    assert.equal(await other.saveIssuers(['first', 'second'], (await other.loadIssuers())?.revision), 'saved');
    assert.deepEqual((await reopen().loadIssuers())?.value, ['first', 'second']);
  },

  'what was revoked is there after a restart, and replaced only by who has seen it': async ({ open, reopen }) => {
    const [mine, other] = [open(), reopen()];
    assert.deepEqual([await mine.loadRevocations(), await mine.revocationsRevision()], [undefined, undefined]);
    assert.equal(await mine.saveRevocations(revoked, undefined), 'saved');
    assert.equal(await other.saveRevocations({ ...revoked, number: 9 }, undefined), 'conflict');
    const kept = await other.loadRevocations();
    assert.deepEqual([kept?.value, kept?.revision], [revoked, await mine.revocationsRevision()]);
    assert.equal(await other.saveRevocations({ ...revoked, number: 4 }, kept?.revision), 'saved');
    assert.equal((await reopen().loadRevocations())?.value.number, 4);
  },

  'keys of JWT-SVIDs are there after a restart, and replaced only by who has seen them': async ({ open, reopen }) => {
    const [mine, other] = [open(), reopen()];
    const first = renewedKeys({ keys: [] }, 0, () => 'first') ?? { keys: [] };
    assert.deepEqual([await mine.loadJwtKeys(), await mine.jwtKeysRevision()], [undefined, undefined]);
    assert.equal(await mine.saveJwtKeys(first, undefined), 'saved');
    assert.equal(await other.saveJwtKeys(first, undefined), 'conflict');
    const kept = await other.loadJwtKeys();
    assert.deepEqual([kept?.value, kept?.revision], [first, await mine.jwtKeysRevision()]);
    assert.equal(await other.saveJwtKeys({ keys: [] }, kept?.revision), 'saved');
    assert.deepEqual((await reopen().loadJwtKeys())?.value, { keys: [] });
  },

  'which certificates were issued is there after a restart, batch by batch, until it is removed': async ({ open, reopen }) => {
    const [mine, other] = [open(), reopen()];
    const records = [{ serial: 'ab12', spiffeId: 'spiffe://cluster.local/ns/a/sa/b', notAfter: 2000 }, { serial: '7', spiffeId: 'spiffe://cluster.local/ns/a/sa/c', notAfter: 1 }];
    assert.deepEqual(await mine.issuedNames(), []);
    await mine.addIssued('00000000002n2r0a', records);
    await other.addIssued('00000000003n1r0b', [{ serial: '9', spiffeId: 'spiffe://cluster.local/ns/a/sa/d', notAfter: 3000 }]);
    const restarted = reopen();
    assert.deepEqual([...(await restarted.issuedNames())].sort(), ['00000000002n2r0a', '00000000003n1r0b']);
    assert.deepEqual(await restarted.loadIssued(['00000000002n2r0a', '00000000009n1r0c']), { records, damaged: [] });
    await mine.removeIssued(['00000000002n2r0a', '00000000009n1r0c']);
    assert.deepEqual(await other.issuedNames(), ['00000000003n1r0b']);
  },

  'a token can be taken once, also across a restart': async (storage) => {
    const { open, reopen } = storage;
    const store = open();
    await store.addToken(token);
    assert.deepEqual(await reopen().findToken(token.hash), { ...token, used: false });
    assert.equal(await store.takeToken(token.hash), true);
    assert.equal(await store.takeToken(token.hash), false);
    assert.equal(await reopen().takeToken(token.hash), false);
    assert.deepEqual(await reopen().findToken(token.hash), { ...token, used: true });
    assert.deepEqual(await reopen().listTokens(), [{ ...token, used: true }]);
  },

  'of many at once exactly one takes a token': async (storage) => {
    const store = storage.open();
    await store.addToken(token);
    const taken = await Promise.all(Array.from({ length: 20 }, () => store.takeToken(token.hash)));
    assert.equal(taken.filter(Boolean).length, 1);
  },

  'expired tokens are forgotten, others stay': async (storage) => {
    const { open, reopen } = storage;
    const store = open();
    const later = { ...token, hash: 'cd'.repeat(32), expiresAt: 5000 };
    await store.addToken(token);
    await store.addToken(later);
    await store.takeToken(token.hash);
    assert.equal(await store.pruneTokens(2000), 1);
    assert.equal(await reopen().findToken(token.hash), undefined);
    assert.equal(await reopen().takeToken(token.hash), false);
    assert.deepEqual(await reopen().findToken(later.hash), { ...later, used: false });
  },
};
