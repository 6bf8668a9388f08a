import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { KeptAuthority } from './kept-authority.ts';
import type { Leadership } from './leadership.ts';
import { MemoryKeystore } from './memory-keystore.ts';
import type { OpenAuthority } from './authority.ts';

const day = 86_400_000;
const start = Date.UTC(2026, 0, 1);
const follower: Leadership = { term: () => undefined, acquire: () => new Promise(() => undefined), stop: async () => undefined };

function authorityOver(keystore: MemoryKeystore, leadership?: Leadership): KeptAuthority {
  return new KeptAuthority({ trustDomain: 'cluster.local', keystore, entropy: { bytes: randomBytes }, ...(leadership && { leadership }) });
}

async function opened(authority: KeptAuthority, now = start): Promise<OpenAuthority> {
  const result = await authority.refresh(now);
  if (!result.ok) assert.fail(result.error[0]?.message);
  return result.value;
}

test('citadels that start at once on an empty keystore have one root and one issuing CA', async () => {
  const keystore = new MemoryKeystore();
  const all = await Promise.all(Array.from({ length: 5 }, () => opened(authorityOver(keystore, follower))));
  assert.equal(new Set(all.map(({ root }) => root.pem)).size, 1);
  assert.equal(new Set(all.map(({ issuer }) => issuer[0].pem)).size, 1);
});

test('what another citadel renews is taken over; only the leader renews', async () => {
  const keystore = new MemoryKeystore();
  const [leader, other] = [authorityOver(keystore), authorityOver(keystore, follower)];
  const first = await opened(leader);
  assert.equal((await opened(other)).issuer[0].pem, first.issuer[0].pem);
  const later = start + 600 * day;
  assert.equal((await opened(other, later)).issuer[0].pem, first.issuer[0].pem);
  const renewed = await opened(leader, later);
  assert.notEqual(renewed.issuer[0].pem, first.issuer[0].pem);
  const taken = await opened(other, later);
  assert.equal(taken.issuer[0].pem, renewed.issuer[0].pem);
  assert.deepEqual(taken.retired.map(([issuing]) => issuing.pem), [first.issuer[0].pem]);
});

test('an authority that vanished from the keystore is missed, not made anew', async () => {
  const keystore = new MemoryKeystore();
  let gone = false;
  keystore.authorityRevision = async () => (gone ? undefined : MemoryKeystore.prototype.authorityRevision.call(keystore));
  keystore.loadAuthority = async () => (gone ? undefined : MemoryKeystore.prototype.loadAuthority.call(keystore));
  const authority = authorityOver(keystore);
  await opened(authority);
  gone = true;
  const result = await authority.refresh(start);
  assert.match(result.ok ? '' : (result.error[0]?.message ?? ''), /gone from the keystore/);
  gone = false;
  await opened(authority);
});
