import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { keystoreContract } from '@meltemi/citadel/keystore-contract';
import type { SealingSecret } from '../sealing/sealing-secret.ts';
import { MemoryValues } from './memory-values.ts';
import { SealedKeystore } from './sealed-keystore.ts';
import { sharedValuesContract } from './shared-values-contract.ts';

const keyFile = (): SealingSecret => ({ kind: 'key file', bytes: randomBytes(32) });
const material = { rootCertificatePem: 'root', rootKeyPem: 'TOP-SECRET', issuingCertificatePem: 'issuing', issuingKeyPem: 'TOP-SECRET', retiredIssuingPem: [] };
const token = { hash: 'ab'.repeat(32), spiffeId: 'spiffe://cluster.local/ns/a/sa/b', expiresAt: 1000 };

for (const [name, run] of Object.entries(sharedValuesContract)) {
  test(`values in memory: ${name}`, () => {
    const values = new MemoryValues();
    return run(values, values);
  });
}

for (const [name, run] of Object.entries(keystoreContract)) {
  test(`sealed keystore: ${name}`, () => {
    const values = new MemoryValues();
    const sealing = { secret: keyFile() };
    return run({ open: () => new SealedKeystore(values, sealing), reopen: () => new SealedKeystore(values, sealing) });
  });
}

test('the storage holds nothing that can be read', async () => {
  const values = new MemoryValues();
  const store = new SealedKeystore(values, { secret: keyFile() });
  await store.saveAuthority(material, undefined);
  await store.saveIssuers(['TOP-SECRET'], undefined);
  await store.addToken(token);
  assert.deepEqual([...values.stored.keys()].sort(), ['authority', 'issuers', 'sealing', `tokens/${token.hash}`]);
  for (const { value } of values.stored.values()) assert.doesNotMatch(value, /TOP-SECRET|root|spiffe/);
});

test('who can write to the storage makes no token, moves none to another identity, and brings no authority', async () => {
  const values = new MemoryValues();
  const sealing = { secret: keyFile() };
  const store = new SealedKeystore(values, sealing);
  await store.saveAuthority(material, undefined);
  await store.addToken(token);
  const other = `tokens/${'cd'.repeat(32)}`;
  const stolen = values.stored.get(`tokens/${token.hash}`);
  assert.ok(stolen);
  values.stored.set(other, stolen);
  await assert.rejects(store.findToken('cd'.repeat(32)), /was changed outside citadel/);
  values.stored.set(other, { value: JSON.stringify({ spiffeId: token.spiffeId, expiresAt: 9e15, used: false }), revision: '1' });
  await assert.rejects(store.findToken('cd'.repeat(32)), /is not sealed/);
  const attacker = new MemoryValues();
  await new SealedKeystore(attacker, { secret: keyFile() }).saveAuthority(material, undefined);
  values.stored.set('authority', attacker.stored.get('authority') ?? stolen);
  await assert.rejects(store.loadAuthority(), /belongs to another keystore/);
});

test('a wrong secret opens nothing and changes nothing; a missing sealing record is not made anew over sealed values', async () => {
  const values = new MemoryValues();
  const secret = keyFile();
  await new SealedKeystore(values, { secret }).saveAuthority(material, undefined);
  const before = new Map(values.stored);
  await assert.rejects(new SealedKeystore(values, { secret: keyFile() }).loadAuthority(), /does not open the keystore.*Nothing was changed/);
  assert.deepEqual(values.stored, before);
  values.stored.delete('sealing');
  await assert.rejects(new SealedKeystore(values, { secret }).loadAuthority(), /sealing record is missing/);
  assert.equal(values.stored.has('sealing'), false);
});

test('a leader saves with its fence, and nothing once another leads', async () => {
  const values = new MemoryValues();
  const store = new SealedKeystore(values, { secret: keyFile() });
  values.fence = 'mine';
  const term = { lost: new AbortController().signal, fence: 'mine' };
  assert.equal(await store.saveAuthority(material, undefined, term), 'saved');
  values.fence = 'theirs';
  assert.equal(await store.saveAuthority({ ...material, rootCertificatePem: 'other' }, await store.authorityRevision(), term), 'conflict');
  assert.equal((await store.loadAuthority())?.value.rootCertificatePem, 'root');
});

test('what was issued is read several values at a time, in order, and not all at once', async () => {
  let [asked, most] = [0, 0];
  class Slow extends MemoryValues {
    override async get(name: string): ReturnType<MemoryValues['get']> {
      most = Math.max(most, (asked += 1));
      await new Promise(setImmediate);
      asked -= 1;
      return super.get(name);
    }
  }
  const store = new SealedKeystore(new Slow(), { secret: keyFile() });
  const names = Array.from({ length: 100 }, (_, index) => `0000000000${index}n1r0a`);
  for (const [index, name] of names.entries()) await store.addIssued(name, [{ serial: (index + 1).toString(16), spiffeId: token.spiffeId, notAfter: 1000 }]);
  const { records, damaged } = await store.loadIssued([...names, 'gone']);
  assert.deepEqual([records.map(({ serial }) => Number.parseInt(serial, 16)), damaged], [names.map((_, index) => index + 1), []]);
  assert.ok(most > 1 && most < 50, `${most}`);
});
