import assert from 'node:assert/strict';
import type { AuthorityMaterial, Keystore } from './keystore.ts';

/** One storage: `open` gives a keystore over it, `reopen` another over the same, as a restarted citadel would see it. */
export interface KeystoreStorage {
  readonly open: () => Keystore;
  readonly reopen: () => Keystore;
}

const material: AuthorityMaterial = { rootCertificatePem: 'root', rootKeyPem: 'root key', issuingCertificatePem: 'issuing', issuingKeyPem: 'issuing key', retiredIssuingPem: ['old'] };
const token = { hash: 'ab'.repeat(32), spiffeId: 'spiffe://cluster.local/ns/a/sa/b', expiresAt: 1000 };

/** What a keystore must do, whatever it is made of: each case gets a storage of its own. */
export const keystoreContract: Readonly<Record<string, (storage: KeystoreStorage) => Promise<void>>> = {
  'starts empty': async (storage) => {
    const store = storage.open();
    assert.equal(await store.loadAuthority(), undefined);
    assert.equal(await store.findToken(token.hash), undefined);
    assert.equal(await store.takeToken(token.hash), false);
    assert.equal(await store.pruneTokens(0), 0);
  },

  'an authority is there after a restart, and the newest one': async (storage) => {
    const { open, reopen } = storage;
    const store = open();
    await store.saveAuthority({ ...material, issuingCertificatePem: 'first' });
    await store.saveAuthority(material);
    assert.deepEqual(await reopen().loadAuthority(), material);
  },

  'issuing CAs are remembered, and can be replaced': async ({ open, reopen }) => {
    assert.deepEqual(await open().loadIssuers(), []);
    await open().saveIssuers(['first']);
    await open().saveIssuers(['first', 'second']);
    assert.deepEqual(await reopen().loadIssuers(), ['first', 'second']);
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
