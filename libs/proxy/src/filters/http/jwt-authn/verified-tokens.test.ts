import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeySet, parseJwt, type Jwt } from '@meltemi/identity/jwt';
import { Issuer, keySetOf } from '@meltemi/identity/jwt/testing';
import { VerifiedTokens } from './verified-tokens.ts';

const idp = new Issuer('ES256');

function keysOf(issuer: Issuer): KeySet {
  const keys = KeySet.parse(keySetOf(issuer));
  assert.ok(keys.ok);
  return keys.value;
}

function parsed(token: string): Jwt {
  const jwt = parseJwt(token);
  assert.ok(jwt.ok);
  return jwt.value;
}

const keys = keysOf(idp);
const tokenOf = (sub: string, more: object = {}) => idp.token({ iss: 'idp', sub, ...more });

function keeping(most: number, tokens: readonly string[]): VerifiedTokens {
  const verified = new VerifiedTokens(most);
  for (const token of tokens) verified.remember(token, parsed(token), keys);
  return verified;
}

test('a token is recalled with its claims and its text', () => {
  const token = tokenOf('ann');
  const jwt = keeping(10, [token]).recall(token, keys);
  assert.deepEqual([jwt?.subject, jwt?.payloadText], ['ann', token.split('.')[1]]);
});

test('the same header and claims with another signature are another token', () => {
  const token = tokenOf('ann');
  const [header, payload] = token.split('.');
  const other = `${header}.${payload}.${tokenOf('bob').split('.')[2]}`;
  assert.equal(keeping(10, [token]).recall(other, keys), null);
});

test('what other keys verified is not believed, and forgotten with the next token', () => {
  const token = tokenOf('ann');
  const verified = keeping(10, [token]);
  const next = keysOf(new Issuer('ES256'));
  assert.equal(verified.recall(token, next), null);
  verified.remember(tokenOf('bob'), parsed(tokenOf('bob')), next);
  assert.deepEqual([verified.recall(token, keys), verified.recall(token, next)], [null, null]);
});

test('the least used goes when there are too many', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((sub) => tokenOf(sub)) as [string, string, string];
  const verified = keeping(2, [a, b]);
  verified.recall(a, keys);
  verified.remember(c, parsed(c), keys);
  assert.deepEqual([a, b, c].map((token) => verified.recall(token, keys) !== null), [true, false, true]);
});

test('their memory has a limit, whatever number is asked for', () => {
  const large = Array.from({ length: 400 }, (_, i) => tokenOf(`user ${i}`, { more: 'x'.repeat(2_500) }));
  const verified = keeping(1_000_000, large);
  const kept = large.filter((token) => verified.recall(token, keys) !== null).length;
  assert.ok(kept > 100 && kept < 400, `${kept} are kept`);
});

test('a very long token is not kept', () => {
  const token = tokenOf('ann', { more: 'x'.repeat(5_000) });
  assert.equal(keeping(10, [token]).recall(token, keys), null);
});
