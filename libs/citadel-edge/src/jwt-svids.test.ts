import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { JwtSvidsClient } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { ok, waitFor } from '@meltemi/base';
import { KeySet, verifyJwtSvid } from '@meltemi/identity/jwt';
import { joinTokenText, JwtSvids, startIdentityAgent, VerifiedTlsCredentials, type IdentityAgent } from '@meltemi/identity-edge';
import { CitadelFixture } from './testing/citadel-fixture.ts';

const [cart, bank] = ['spiffe://cluster.local/ns/shop/sa/cart', 'spiffe://cluster.local/ns/bank/sa/bank'];
let citadel: CitadelFixture;
const agents: IdentityAgent[] = [];

before(async () => {
  citadel = await new CitadelFixture().start();
});
after(async () => {
  for (const each of agents) each.stop();
  await citadel.remove();
});

async function agent(identity: string): Promise<IdentityAgent> {
  const started = startIdentityAgent({ citadelAddress: citadel.address, identity, joinToken: joinTokenText(await citadel.mint(identity)), log: citadel.log });
  agents.push(started);
  await started.ready();
  return started;
}

test("a program gets tokens of its own identity with its certificate, another verifies them with the bundle it follows, and each is audited without its text", async () => {
  const [caller, server] = [await agent(cart), await agent(bank)];
  const source = new JwtSvids({ citadelAddress: citadel.address, current: () => caller.current() });
  const [first, again, other] = [await source.get(['bank', 'post']), await source.get(['post', 'bank']), await source.get(['shop'])];
  assert.ok(first.ok && again.ok && other.ok, JSON.stringify(first));
  assert.equal(again.value.token, first.value.token);
  assert.notEqual(other.value.token, first.value.token);
  const keys = KeySet.parse(server.current()?.trust.jwtKeys ?? '');
  assert.ok(keys.ok);
  const judge = (audience: string) => verifyJwtSvid(first.value.token, { audience, now: Date.now(), keysOf: (trustDomain) => (trustDomain === 'cluster.local' ? keys.value : undefined) });
  assert.ok(judge('bank').ok && !judge('shop').ok);
  const audited = citadel.lines.filter(({ message }) => message === 'JWT-SVID issued') as unknown as Record<string, unknown>[];
  assert.deepEqual(audited.map((line) => [line['audit'], line['spiffeId'], line['audience']]), [[true, cart, ['bank', 'post']], [true, cart, ['shop']]]);
  assert.ok(typeof audited[0]?.['jti'] === 'string' && !JSON.stringify(citadel.lines).includes(first.value.token));
});

test('no certificate, a join token, or too many audiences give no token', async () => {
  const caller = await agent(cart);
  const source = new JwtSvids({ citadelAddress: citadel.address, current: () => caller.current() });
  assert.ok((await source.get(['bank'])).ok);
  const nobody = new JwtSvids({ citadelAddress: citadel.address, current: () => undefined });
  assert.deepEqual(await nobody.get(['bank']), { ok: false, error: { refused: false, message: 'there is no certificate yet' } });
  const bare = new JwtSvidsClient(citadel.address, new VerifiedTlsCredentials({ ready: async () => undefined, context: () => ({ rejectUnauthorized: false }), verify: () => ok(undefined) }));
  try {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${await citadel.mint(cart)}`);
    await assert.rejects(new Promise((resolve, reject) => bare.issue({ audience: ['bank'], ttlSeconds: 0n }, metadata, { deadline: Date.now() + 5000 }, (error, response) => (error ? reject(error) : resolve(response)))), { code: status.UNAUTHENTICATED });
  } finally {
    bare.close();
  }
  assert.ok(citadel.lines.some((line) => line.message === 'JWT-SVID refused' && 'audit' in line));
  const refused = await source.get(Array.from({ length: 17 }, (_, index) => `a${index}`));
  assert.ok(!refused.ok && refused.error.refused && /1 to 16/.test(refused.error.message));
});

test('keys outlive a restart: what was signed before is believed by who joins afterwards, and keys are the same', async () => {
  const caller = await agent(cart);
  const before = caller.current()?.trust.jwtKeys ?? '';
  const signed = await new JwtSvids({ citadelAddress: citadel.address, current: () => caller.current() }).get(['bank']);
  assert.ok(signed.ok, JSON.stringify(signed));
  await citadel.stop();
  await citadel.start();
  const newcomer = await agent(bank);
  await waitFor('the keys', () => newcomer.current()?.trust.jwtKeys !== undefined);
  const after = newcomer.current()?.trust.jwtKeys ?? '';
  assert.equal(after, before);
  const keys = KeySet.parse(after);
  assert.ok(keys.ok);
  assert.ok(verifyJwtSvid(signed.value.token, { audience: 'bank', now: Date.now(), keysOf: () => keys.value }).ok);
});
