import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseJwt } from './jwt.ts';
import { KeySet } from './key-set.ts';
import { jwtStatus } from './status.ts';
import { encoded, Issuer, keySetOf } from './testing/issuer.ts';

const claims = { iss: 'idp', sub: 'ann', aud: ['shop'], exp: 100, nbf: 5 };
const rsa = new Issuer('RS256');

function keys(text: string): KeySet {
  const set = KeySet.parse(text);
  assert.ok(set.ok, JSON.stringify(set));
  return set.value;
}

function verified(set: KeySet, token: string): string {
  const jwt = parseJwt(token);
  if (!jwt.ok) return jwt.error.text;
  return set.verify(jwt.value)?.text ?? 'ok';
}

test('every supported algorithm is verified with its own kind of key, and with no other', () => {
  const issuers = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'].map((algorithm) => new Issuer(algorithm, algorithm));
  const all = keys(keySetOf(...issuers));
  for (const issuer of issuers) {
    const token = issuer.token(claims);
    assert.equal(verified(all, token), 'ok', issuer.algorithm);
    const [header = '', payload = '', signature = ''] = token.split('.');
    assert.equal(verified(all, `${header}.${encoded({ ...claims, sub: 'bob' })}.${signature}`), 'Jwt verification fails', issuer.algorithm);
    assert.equal(verified(all, `${header}.${payload}.${Buffer.from(signature, 'base64url').subarray(1).toString('base64url')}`), 'Jwt verification fails', `${issuer.algorithm} cut short`);
    const others = issuers.filter(({ algorithm }) => algorithm.slice(0, 2) !== issuer.algorithm.slice(0, 2) || algorithm.startsWith('ES')).filter((other) => other !== issuer);
    for (const other of others) assert.notEqual(verified(keys(keySetOf(other)), other.token(claims, { alg: issuer.algorithm })), 'ok', `${issuer.algorithm} claimed over a key for ${other.algorithm}`);
  }
});

test('no signature, and a public key taken for a shared secret, verify nothing', () => {
  const set = keys(keySetOf(rsa));
  assert.equal(verified(set, rsa.confused(claims)), 'Jwt header [alg] is not supported');
  assert.equal(verified(set, `${encoded({ alg: 'none' })}.${encoded(claims)}.`), jwtStatus.badFormat.text);
  assert.equal(verified(set, `${encoded({ alg: 'none' })}.${encoded(claims)}.AAAA`), 'Jwt header [alg] is not supported');
  assert.equal(verified(set, `${encoded({ alg: 'toString' })}.${encoded(claims)}.AAAA`), 'Jwt header [alg] is not supported');
});

test('keys are chosen by their id; a token without one is tried with all', () => {
  const [first, second] = [new Issuer('ES256', 'one'), new Issuer('ES256', 'two')];
  const set = keys(keySetOf(first, second));
  assert.equal(verified(set, second.token(claims)), 'ok');
  assert.equal(verified(set, second.token(claims, { kid: 'one' })), 'Jwt verification fails');
  assert.equal(verified(set, second.token(claims, { kid: 'three' })), "Jwks doesn't have key to match kid or alg from Jwt");
  assert.equal(verified(set, second.token(claims, { kid: undefined })), 'ok');
});

test('a key that names its algorithm, or another use, verifies nothing else', () => {
  assert.equal(verified(keys(JSON.stringify({ keys: [{ ...rsa.jwk, alg: 'RS512' }] })), rsa.token(claims)), "Jwks doesn't have key to match kid or alg from Jwt");
  for (const key of [{ ...rsa.jwk, use: 'enc' }, { kty: 'oct', k: 'AAAA' }, { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, { kty: 'EC', crv: 'Ed25519', x: 'AA' }, 5, null]) {
    const set = KeySet.parse(JSON.stringify({ keys: [key] }));
    assert.deepEqual(set.ok ? null : set.error, jwtStatus.noValidKey);
  }
});

test('a key set that is none says how', () => {
  for (const [text, status] of [['{', jwtStatus.keysBadJson], ['5', jwtStatus.keysBadJson], ['{}', jwtStatus.noKeys], ['{"keys":5}', jwtStatus.badKeys], ['{"keys":[]}', jwtStatus.noValidKey]] as const) {
    const set = KeySet.parse(text);
    assert.equal(set.ok ? null : set.error, status, text);
  }
});

test('a token that is none says how', () => {
  const [good, body] = [encoded({ alg: 'RS256' }), encoded({})];
  const cases: [string, string][] = [
    ['', 'badFormat'], ['a.b', 'badFormat'], ['a.b.c.d', 'badFormat'], ['a..c', 'badFormat'], [`${'a'.repeat(40_000)}.b.c`, 'badFormat'],
    ['!.b.c', 'headerBadBase64'], ['YQ==.b.c', 'headerBadBase64'], [`${encoded('text')}.b.c`, 'headerBadJson'], [`${encoded([])}.b.c`, 'headerBadJson'], [`${encoded({})}.b.c`, 'badAlgorithm'],
    [`${encoded({ alg: 5 })}.b.c`, 'badAlgorithm'], [`${encoded({ alg: 'HS256' })}.b.c`, 'unknownAlgorithm'], [`${encoded({ alg: 'RS256', kid: 5 })}.b.c`, 'badKeyId'],
    [`${good}.?.c`, 'payloadBadBase64'], [`${good}.${encoded(5)}.c`, 'payloadBadJson'], [`${good}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.c`, 'payloadBadJson'],
    [`${good}.${encoded({ iss: 5 })}.c`, 'issuerNoString'], [`${good}.${encoded({ sub: 5 })}.c`, 'subjectNoString'], [`${good}.${encoded({ exp: '5' })}.c`, 'expiryNoInteger'],
    [`${good}.${encoded({ exp: -5 })}.c`, 'expiryNotPositive'], [`${good}.${encoded({ nbf: null })}.c`, 'notBeforeNoInteger'], [`${good}.${encoded({ iat: -1 })}.c`, 'issuedNotPositive'],
    [`${good}.${encoded({ jti: 1 })}.c`, 'tokenIdNoString'], [`${good}.${encoded({ aud: [1] })}.c`, 'audienceNoString'], [`${good}.${body}.c+d=`, 'signatureBadBase64'],
  ];
  for (const [token, name] of cases) {
    const parsed = parseJwt(token);
    assert.equal(parsed.ok ? null : parsed.error, jwtStatus[name as keyof typeof jwtStatus], `${token.slice(0, 60)} → ${name}`);
  }
});

test('no text makes the parser throw, and none that was changed verifies', () => {
  const set = keys(keySetOf(rsa));
  const token = rsa.token(claims);
  const changed = fc.tuple(fc.nat(token.length - 1), fc.string({ maxLength: 3 }), fc.nat(3)).map(([at, text, cut]) => token.slice(0, at) + text + token.slice(at + cut));
  fc.assert(fc.property(fc.oneof(changed, fc.string(), fc.json().map((json) => `${Buffer.from(json).toString('base64url')}.${Buffer.from(json).toString('base64url')}.AAAA`)), (text) => {
    const outcome = verified(set, text);
    assert.ok(text === token || outcome !== 'ok', text);
  }), { numRuns: 300 });
});
