import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { jwtAuthority, formatJwtAuthorities, parseJwtAuthorities } from './jwt-authorities.ts';
import { signJwtSvid, verifyJwtSvid } from './jwt-svid.ts';
import { KeySet } from './key-set.ts';
import { Issuer, keySetOf } from './testing/issuer.ts';

const now = 1_800_000_000_000;
const seconds = now / 1000;
const cart = 'spiffe://a.example/ns/shop/sa/cart';
const issuer = new Issuer('ES256', 'key-1');
const good = { sub: cart, aud: ['bank'], exp: seconds + 60, iat: seconds };

function keys(text: string): KeySet {
  const parsed = KeySet.parse(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

const ours = keys(keySetOf(issuer));
const verify = (token: string, audience = 'bank') => verifyJwtSvid(token, { audience, now, keysOf: (trustDomain) => (trustDomain === 'a.example' ? ours : undefined) });
const refused = (token: string, audience?: string): string => {
  const outcome = verify(token, audience);
  return outcome.ok ? 'accepted' : outcome.error;
};

test('what is signed is verified, for its audiences and until its end alone', () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const token = signJwtSvid({ spiffeId: cart, audiences: ['bank', 'post'], issuedAt: seconds, expires: seconds + 60, id: 'j' }, { keyId: 'k', key: pair.privateKey });
  const own = keys(JSON.stringify({ keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'k' }] }));
  const at = (audience: string, when: number) => verifyJwtSvid(token, { audience, now: when, keysOf: () => own });
  const outcome = at('post', now);
  assert.ok(outcome.ok);
  assert.deepEqual(outcome.value, { spiffeId: cart, claims: { aud: ['bank', 'post'], exp: seconds + 60, iat: seconds, jti: 'j', sub: cart } });
  assert.ok(at('bank', now + 59_999).ok);
  assert.ok(!at('bank', now + 60_000).ok);
  assert.ok(!at('shop', now).ok);
});

test('forged, foreign, endless and misused tokens are refused, each with its reason', () => {
  assert.ok(verify(issuer.token(good)).ok);
  const other = new Issuer('ES256', 'key-1');
  const edwards = new Issuer('EdDSA', 'key-2');
  const cases: readonly (readonly [token: string, reason: RegExp])[] = [
    [other.token(good), /signature is not of a key/],
    [issuer.confused(good), /alg\] is not supported/],
    [issuer.token(good).replace(/[^.]*$/, ''), /3 sections/],
    [issuer.token(good, { alg: 'none' }), /alg\] is not supported/],
    [edwards.token(good), /EdDSA is none of a JWT-SVID/],
    [issuer.token(good, { kid: undefined }), /kid is missing/],
    [issuer.token(good, { kid: 'key-9' }), /signature is not of a key/],
    [issuer.token(good, { crit: ['exp'] }), /crit/],
    [issuer.token(good, { typ: 'at+jwt' }), /typ must be/],
    [issuer.token({ ...good, sub: 'spiffe://b.example/ns/shop/sa/cart' }), /no keys of trust domain b\.example/],
    [issuer.token({ ...good, sub: 'spiffe://a.example' }), /no SPIFFE id/],
    [issuer.token({ ...good, sub: 'cart' }), /no SPIFFE id/],
    [issuer.token({ ...good, sub: undefined }), /no SPIFFE id/],
    [issuer.token({ ...good, aud: undefined }), /aud does not name/],
    [issuer.token({ ...good, aud: 'Bank' }), /aud does not name/],
    [issuer.token({ ...good, exp: undefined }), /exp is missing/],
    [issuer.token({ ...good, exp: seconds }), /expired/],
    [issuer.token({ ...good, exp: 1e18 }), /accepted/],
    [issuer.token({ ...good, nbf: seconds + 1 }), /not valid yet/],
  ];
  for (const [token, reason] of cases) assert.match(refused(token), reason);
});

test('keys of a bundle have a kid each and nothing private, and come in one spelling', () => {
  const [first, second] = [new Issuer('ES256', 'a').jwk, new Issuer('RS256', 'b').jwk];
  const set = (...all: unknown[]) => parseJwtAuthorities(JSON.stringify({ keys: all }));
  const parsed = set(first, second);
  assert.ok(parsed.ok);
  assert.equal(parsed.value, formatJwtAuthorities([jwtAuthority(first) ?? {}, jwtAuthority(second) ?? {}]));
  assert.doesNotMatch(parsed.value, /"use"/);
  assert.deepEqual(parseJwtAuthorities(parsed.value), parsed);
  const secret = createPrivateKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })).export({ format: 'jwk' });
  for (const bad of [{ ...first, kid: undefined }, { ...first, kid: '' }, { ...first, x: 'AA' }, { ...secret, kid: 'c' }, { kty: 'oct', k: 'AAAA', kid: 'd' }, null]) assert.ok(!set(first, bad).ok, JSON.stringify(bad));
  assert.ok(!set(first, { ...second, kid: 'a' }).ok);
  assert.ok(!parseJwtAuthorities('{').ok && !parseJwtAuthorities('{"keys":5}').ok);
  assert.deepEqual(parseJwtAuthorities('{"keys":[]}'), { ok: true, value: '{"keys":[]}' });
});
