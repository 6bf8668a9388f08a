import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFieldErrors } from '@meltemi/base';
import { formatSpiffeId } from '@meltemi/identity';
import { encoded, Issuer, keySetOf } from '@meltemi/identity/jwt/testing';
import { OidcCallers } from './oidc-callers.ts';
import { parseOidcIssuers } from './oidc-issuers.ts';

const now = Date.UTC(2026, 0, 1);
const seconds = now / 1000;
const idp = new Issuer('RS256');
const url = 'https://idp.example';
const good = { iss: url, sub: 'machine-7', aud: ['meltemi'], iat: seconds - 10, exp: seconds + 600, app: 'cart' };
const anyToken = { when: {}, namespace: 'shop', serviceAccount: '{app}' };

function callersWith(changes: object, fetchedKeys: () => string | undefined = () => undefined): OidcCallers {
  const issuers = parseOidcIssuers(JSON.stringify({ issuers: [{ issuer: url, audiences: ['meltemi'], jwks: JSON.parse(keySetOf(idp)) as object, identities: [anyToken], ...changes }] }));
  assert.ok(issuers.ok, JSON.stringify(issuers));
  return new OidcCallers({ trustDomain: 'cluster.local', issuers: () => issuers.value, fetchedKeys });
}

async function outcome(callers: OidcCallers, token: string): Promise<string> {
  if (!callers.recognizes(token)) return 'not recognized';
  const caller = await callers.authenticate(token, now);
  return caller.ok ? caller.value.ids.map((id) => formatSpiffeId(id).replace('spiffe://cluster.local/', '')).join(' ') : `${caller.error.code}: ${caller.error.message}`;
}

test('a token is taken only when the issuer signed it, for us, for now and not for long', async () => {
  const callers = callersWith({});
  const ask = (claims: object): Promise<string> => outcome(callers, idp.token({ ...good, ...claims }));
  assert.equal(await ask({}), 'ns/shop/sa/cart');
  const refusals: readonly (readonly [object, RegExp])[] = [
    [{ iss: 'https://other.example' }, /not recognized/],
    [{ aud: 'vault' }, /audience \(aud\) must be meltemi/],
    [{ aud: undefined }, /audience/],
    [{ aud: 'https://meltemi/' }, /audience/],
    [{ exp: undefined }, /never expires/],
    [{ exp: seconds - 61 }, /expired at 2025-12-31/],
    [{ nbf: seconds + 61 }, /not valid before/],
    [{ iat: undefined }, /since when it is valid/],
    [{ iat: seconds + 61, exp: seconds + 100 }, /issued in the future/],
    [{ exp: seconds + 3600 }, /was made for 3610 s; tokens for longer than 3600 s/],
    [{ iat: 1, nbf: seconds, exp: seconds + 60 }, /made for/],
  ];
  for (const [claims, expected] of refusals) assert.match(await ask(claims), expected, JSON.stringify(claims));
  assert.equal(await ask({ iat: undefined, nbf: seconds }), 'ns/shop/sa/cart');
});

test('forged tokens are refused, all with one text', async () => {
  const callers = callersWith({});
  const stranger = new Issuer('RS256');
  const [header = '', , signature = ''] = idp.token(good).split('.');
  const forged = {
    'another key': stranger.token(good),
    'another key that names an unknown one': new Issuer('RS256', 'other').token(good),
    'the public key as a shared secret': idp.confused(good),
    'alg none': `${encoded({ alg: 'none' })}.${encoded(good)}.AAAA`,
    'other claims under the signature': `${header}.${encoded({ ...good, app: 'payments' })}.${signature}`,
  };
  for (const [what, token] of Object.entries(forged)) assert.match(await outcome(callers, token), /^unauthenticated: the token is not accepted: (it cannot be read|its signature is not of one of the issuer's keys)$/, what);
  assert.equal(await outcome(callers, `${encoded({ alg: 'none' })}.${encoded(good)}.`), 'not recognized');
  assert.equal(await outcome(callers, idp.token({ ...good, padding: 'x'.repeat(20_000) })), 'not recognized');
});

test('keys that are fetched are waited for, and replaced when the issuer replaces them', async () => {
  let text: string | undefined;
  const callers = callersWith({ jwks: undefined, jwksUri: 'https://idp.example/keys' }, () => text);
  assert.match(await outcome(callers, idp.token(good)), /^unavailable: the issuer's keys are not known yet/);
  text = keySetOf(idp);
  assert.equal(await outcome(callers, idp.token(good)), 'ns/shop/sa/cart');
  const next = new Issuer('ES256', 'k2');
  text = keySetOf(next);
  assert.match(await outcome(callers, idp.token(good)), /^unauthenticated/);
  assert.equal(await outcome(callers, next.token(good)), 'ns/shop/sa/cart');
});

test('claims choose identities by the rules, and cannot escape their templates', async () => {
  const identities = [
    { when: { role: ['admin', 'root'] }, namespace: 'ops', serviceAccount: 'admin' },
    { when: { groups: 'web', level: 3 }, namespace: 'web', serviceAccount: 'front' },
    { when: { '/kubernetes.io/pod': 'p1' }, namespace: '{/kubernetes.io/namespace}', serviceAccount: 'pod-{app}' },
  ];
  const callers = callersWith({ identities });
  const ask = (claims: object): Promise<string> => outcome(callers, idp.token({ ...good, ...claims }));
  assert.match(await ask({}), /^denied: the token is good, but gives its holder no identity here$/);
  assert.equal(await ask({ role: 'root' }), 'ns/ops/sa/admin');
  assert.equal(await ask({ role: 'root', groups: ['x', 'web'], level: 3 }), 'ns/ops/sa/admin ns/web/sa/front');
  assert.match(await ask({ groups: ['web'], level: '3' }), /^denied/);
  const pod = (namespace: unknown, app: unknown = 'cart'): Promise<string> => ask({ 'kubernetes.io': { pod: 'p1', namespace }, app });
  assert.equal(await pod('shop'), 'ns/shop/sa/pod-cart');
  for (const name of ['istio-system', 'Shop', 'shop/sa/x', '../bank', '*', '', 'a.b', '-a', 'a'.repeat(64), 'ｓhop', 'shop\n', 7, null, ['shop'], { a: 1 }]) assert.match(await pod(name), /^denied/, JSON.stringify(name));
  for (const app of ['x/../y', 'a_b', 'a.b', '', 'a'.repeat(300), ['cart']]) assert.match(await pod('shop', app), /^denied/, JSON.stringify(app));
  assert.match(await ask({ ['__proto__']: { role: 'root' } }), /^denied/);
});

test('an issuers file that is wrong says where', () => {
  const problem = (changes: object): string => {
    const parsed = parseOidcIssuers(JSON.stringify({ issuers: [{ issuer: url, audiences: ['meltemi'], identities: [anyToken], ...changes }] }));
    return parsed.ok ? 'fine' : formatFieldErrors(parsed.error);
  };
  const rule = (changes: object): string => problem({ identities: [{ ...anyToken, ...changes }] });
  assert.equal(problem({}), 'fine');
  assert.match(problem({ audiences: [] }), /^issuers\[0\]\.audiences: is required/);
  assert.match(problem({ issuer: 'accounts' }), /issuers\[0\]\.issuer: must be an https URL/);
  assert.match(problem({ issuer: 'http://idp.example' }), /must be an https URL/);
  assert.match(problem({ jwksUri: 'http://idp.example/keys' }), /jwksUri: must be an https URL/);
  assert.equal(problem({ jwksUri: 'http://127.0.0.1:99/keys' }), 'fine');
  assert.match(problem({ jwks: { keys: [] } }), /issuers\[0\]\.jwks: Jwks doesn't have any valid public key/);
  assert.match(problem({ jwks: JSON.parse(keySetOf(idp)) as object, jwksUri: 'https://idp.example/keys' }), /exclude each other/);
  assert.match(problem({ maxLifetimeSeconds: 100_000 }), /must be 1 to 86400/);
  assert.match(problem({ maxLifetime: 1 }), /maxLifetime: is unknown here/);
  assert.match(rule({ when: undefined }), /identities\[0\]\.when: is required/);
  assert.match(rule({ namespace: '{a}-{b}' }), /namespace: .*at most one \{claim\}/);
  assert.match(rule({ namespace: 'Shop' }), /can never be a name/);
  assert.match(rule({ namespace: 'istio-system' }), /serviceAccount: must be written out in namespace istio-system/);
  assert.equal(rule({ namespace: 'istio-system', serviceAccount: 'meltemi-pilot' }), 'fine');
  assert.match(formatFieldErrors(((parsed) => (parsed.ok ? [] : parsed.error))(parseOidcIssuers('{'))), /is not JSON/);
});
