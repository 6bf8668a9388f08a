import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import type { WantedKeys } from '@meltemi/pilot';
import { JwksKeeper } from './jwks-keeper.ts';
import type { KeyServer } from './key-server.ts';

const set = (kid: string) => JSON.stringify({ keys: [{ kty: 'RSA', kid }] });
const wanted = (issuer: string, jwksUri = `https://${issuer}/jwks`): WantedKeys => ({ id: `${issuer} ${jwksUri}`, issuer, jwksUri, timeoutMs: 5000 });
const ann = wanted('ann');

/** Answers by URL; what has none fails. */
class FakeServer implements KeyServer {
  readonly answers = new Map<string, string>();
  readonly asked: string[] = [];

  get(url: string): Promise<string> {
    this.asked.push(url);
    const answer = this.answers.get(url);
    return answer === undefined ? Promise.reject(new Error('refused')) : Promise.resolve(answer);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function keeper() {
  const server = new FakeServer();
  const clock = new ManualClock();
  const warnings: object[] = [];
  let changes = 0;
  const kept = new JwksKeeper({ server, clock, log: { info: () => {}, warn: (fields) => warnings.push(fields) }, stats: { fetched: { inc: () => {} }, failed: { inc: () => {} } }, onChange: () => (changes += 1) });
  /** All that is under way is over. */
  const settle = async () => { for (let i = 0; i < 10; i++) await Promise.resolve(); };
  const pass = async (ms: number) => { clock.advance(ms); await settle(); };
  return { server, kept, warnings, settle, pass, changes: () => changes, jwks: () => kept.keySets.get(ann.id)?.jwks };
}

test('keys are fetched when wanted and every twenty minutes; only other ones are a change', async () => {
  const { server, kept, settle, pass, changes, jwks } = keeper();
  server.answers.set('https://ann/jwks', set('1'));
  kept.want([ann]);
  await settle();
  const first = kept.keySets.get(ann.id);
  assert.deepEqual([jwks(), changes()], [set('1'), 1]);
  await pass(20 * 60_000);
  assert.deepEqual([server.asked.length, changes(), kept.keySets.get(ann.id) === first], [2, 1, true]);
  server.answers.set('https://ann/jwks', set('2'));
  await pass(20 * 60_000);
  assert.deepEqual([jwks(), changes()], [set('2'), 2]);
});

test('a failing server is asked again, ever more seldom, and the last good keys stay', async () => {
  const { server, kept, settle, pass, jwks, warnings } = keeper();
  kept.want([ann]);
  await settle();
  assert.deepEqual([jwks(), server.asked.length, warnings.length], [undefined, 1, 1]);
  for (const ms of [1_000, 2_000, 4_000]) await pass(ms);
  assert.equal(server.asked.length, 4);
  server.answers.set('https://ann/jwks', set('1'));
  await pass(8_000);
  server.answers.clear();
  for (let i = 0; i < 3; i++) await pass(20 * 60_000);
  assert.equal(jwks(), set('1'));
  for (let i = 0; i < 8 * 24 * 3; i++) await pass(20 * 60_000);
  assert.equal(jwks(), undefined, 'after a week');
});

test('without a URL the issuer says where its keys are', async () => {
  const { server, kept, settle } = keeper();
  const issuer = wanted('https://bob.example/', '');
  server.answers.set('https://bob.example/.well-known/openid-configuration', JSON.stringify({ jwks_uri: 'https://keys.example/k' }));
  server.answers.set('https://keys.example/k', set('b'));
  kept.want([issuer]);
  await settle();
  assert.equal(kept.keySets.get(issuer.id)?.jwks, set('b'));
});

test('what is no key set goes to no proxy', async () => {
  for (const answer of ['secret', '{}', '{"keys": []}', '{"keys": [1]}', '[]', 'null']) {
    const { server, kept, settle, jwks, warnings } = keeper();
    server.answers.set('https://ann/jwks', answer);
    kept.want([ann]);
    await settle();
    assert.deepEqual([jwks(), warnings.length], [undefined, 1], answer);
  }
});

test('keys that nobody wants any more are forgotten and not asked for', async () => {
  const { server, kept, settle, pass, changes } = keeper();
  server.answers.set('https://ann/jwks', set('1'));
  kept.want([ann]);
  await settle();
  kept.want([]);
  assert.deepEqual([kept.keySets.size, changes()], [0, 2]);
  await pass(60 * 60_000);
  assert.equal(server.asked.length, 1);
});

test('a start waits for the first try of each, and not for ever', async () => {
  const { kept, settle } = keeper();
  kept.want([ann]);
  await kept.tried(1_000);
  const clock = new ManualClock();
  const silent = new JwksKeeper({ server: { get: () => new Promise(() => {}), close: () => Promise.resolve() }, clock, log: { info: () => {}, warn: () => {} }, stats: { fetched: { inc: () => {} }, failed: { inc: () => {} } }, onChange: () => {} });
  silent.want([ann]);
  let tried = false;
  void silent.tried(1_000).then(() => (tried = true));
  await settle();
  assert.equal(tried, false);
  clock.advance(1_000);
  await settle();
  assert.equal(tried, true);
});

test('an issuer that is asked over https cannot send us to http', async () => {
  const { server, kept, settle, warnings } = keeper();
  server.answers.set('https://ann/.well-known/openid-configuration', JSON.stringify({ jwks_uri: 'http://ann/jwks' }));
  server.answers.set('http://ann/jwks', set('1'));
  kept.want([{ ...wanted('https://ann', ''), id: ann.id }]);
  await settle();
  assert.deepEqual([server.asked, kept.keySets.size], [['https://ann/.well-known/openid-configuration'], 0]);
  assert.match(JSON.stringify(warnings), /over http/);
});
