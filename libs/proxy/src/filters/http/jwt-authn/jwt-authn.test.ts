import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { err, ok } from '@meltemi/base';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';
import { filterExtensions } from '../../registry.ts';
import { jwtAuthnFilter } from './jwt-authn.ts';
import { Issuer, keySetOf } from '@meltemi/identity/jwt/testing';

type Json = Record<string, unknown>;
const typeName = 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication';
const idp = new Issuer('ES256');
const other = new Issuer('ES256', 'k2');
const localJwks = { inlineString: keySetOf(idp) };
const claims = { iss: 'idp', sub: 'ann', aud: 'shop', exp: 600 };
const bearer = (token: string) => `authorization: Bearer ${token}`;
const good = bearer(idp.token(claims));

/** The clock of a Served stands at one second. */
function served(config: Json, route: Json = {}): Served {
  return new Served({ filters: [filterJson('envoy.filters.http.jwt_authn', typeName, config)], routes: [routeToApp(route)] });
}

const oneProvider = (more: Json = {}, requires: Json = { providerName: 'p' }): Json => ({ providers: { p: { issuer: 'idp', localJwks, ...more } }, rules: [{ match: { prefix: '/' }, requires }] });

function ask(world: Served, fields: readonly string[] = [], path = '/') {
  const { wire } = world.connect();
  wire.receive(requestText(path, fields));
  const request = world.backend.requests.at(-1);
  request?.respond();
  return { request, info: world.done.at(-1), sent: wire.sent, status: Number(/^HTTP\/1.1 (\d+)/.exec(wire.sent)?.[1] ?? 0), body: wire.sent.split('\r\n\r\n')[1] };
}

test('a request without a token is asked for one', () => {
  const world = served(oneProvider());
  const { status, body, sent, info } = ask(world, [], '/cart?access_toke=x');
  assert.deepEqual([status, body], [401, 'Jwt is missing']);
  assert.match(sent, /www-authenticate: Bearer realm="http:\/\/reviews:9080\/cart"\r\n/i);
  assert.equal(info?.responseCodeDetails, 'jwt_authn_access_denied{Jwt_is_missing}');
  assert.equal(world.stats.counter('http.test.jwt_authn.denied').value, 1);
});

test('a good token passes and does not reach the upstream, unless it is to be forwarded', () => {
  const world = served(oneProvider());
  const { status, request } = ask(world, [good]);
  assert.deepEqual([status, request?.head.headers.get('authorization')], [200, null]);
  assert.equal(world.stats.counter('http.test.jwt_authn.allowed').value, 1);
  const forwarded = ask(served(oneProvider({ forward: true })), [good]);
  assert.equal(`authorization: ${forwarded.request?.head.headers.get('authorization')}`, good);
});

test('what is wrong with a token is told', () => {
  const cases: [string, Json, string, number][] = [
    [bearer('x'), {}, 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections', 401],
    [bearer(idp.token({ ...claims, iss: 'x' })), {}, 'Jwt issuer is not configured', 401],
    [bearer(idp.token({ ...claims, exp: 0 })), { clockSkewSeconds: 1 }, '', 200],
    [bearer(idp.token({ ...claims, nbf: 3 })), { clockSkewSeconds: 1 }, 'Jwt not yet valid', 401],
    [bearer(other.token(claims, { kid: 'k1' })), {}, 'Jwt verification fails', 401],
    [bearer(other.token(claims)), {}, "Jwks doesn't have key to match kid or alg from Jwt", 401],
    [good, { audiences: ['cart'] }, 'Audiences in Jwt are not allowed', 403],
    [good, { audiences: ['cart', 'https://shop/'] }, '', 200],
    [good, { subjects: { exact: 'bob' } }, 'Jwt verification fails', 401],
    [good, { maxLifetime: '60s' }, 'Jwt verification fails', 401],
    [bearer(idp.token({ iss: 'idp' })), { requireExpiration: true }, 'Jwt verification fails', 401],
    [bearer(idp.token({ iss: 'idp' })), {}, '', 200],
  ];
  for (const [field, more, text, wanted] of cases) {
    const { status, body, sent } = ask(served(oneProvider(more)), [field]);
    assert.deepEqual([status, wanted === 200 ? '' : body], [wanted, text]);
    if (wanted !== 200) assert.match(sent, /www-authenticate: Bearer realm="http:\/\/reviews:9080\/", error="invalid_token"\r\n/i);
  }
});

test('a token expires while the proxy runs, cached or not', () => {
  const world = served(oneProvider({ jwtCacheConfig: {}, clockSkewSeconds: 1 }));
  assert.equal(ask(world, [good]).status, 200);
  assert.equal(ask(world, [good]).status, 200);
  assert.deepEqual(['hit', 'miss'].map((name) => world.stats.counter(`http.test.jwt_authn.jwt_cache_${name}`).value), [1, 1]);
  world.clock.advance(700_000);
  assert.deepEqual(((answer) => [answer.status, answer.body])(ask(world, [good])), [401, 'Jwt is expired']);
});

test('a remembered token helps no forged one, and forged ones take no place from it', () => {
  const world = served(oneProvider({ jwtCacheConfig: { jwtCacheSize: 1 } }));
  assert.equal(ask(world, [good]).status, 200);
  const [header, payload, signature = ''] = idp.token(claims).split('.');
  const forged = [`${header}.${payload}.${other.token(claims).split('.')[2]}`, `${header}.${payload}.${signature.slice(0, -4)}AAAA`, `${header}.${Buffer.from(JSON.stringify({ ...claims, sub: 'root' })).toString('base64url')}.${signature}`];
  for (const token of forged) assert.equal(ask(world, [bearer(token)]).status, 401);
  assert.equal(ask(world, [good]).status, 200);
  assert.equal(world.stats.counter('http.test.jwt_authn.jwt_cache_hit').value, 1);
});

test('tokens are found in headers, parameters and cookies', () => {
  const token = idp.token(claims);
  const places = { fromHeaders: [{ name: 'X-Token', valuePrefix: 'jwt=' }], fromParams: ['tok'], fromCookies: ['session'] };
  for (const [fields, path] of [[[`x-token: jwt=${token}`], '/'], [[], `/a?b=1&tok=${token}`], [[`cookie: a=b; session="${token}"`], '/']] as const) assert.equal(ask(served(oneProvider(places)), fields, path).status, 200);
  assert.equal(ask(served(oneProvider(places)), [good]).status, 401);
  assert.equal(ask(served(oneProvider({})), [], `/a?access_token=${token}&b=1`).request?.head.path, '/a?b=1');
});

test('of several tokens all must be good', () => {
  assert.equal(ask(served(oneProvider()), [good, bearer('a.b.c')]).status, 401);
  assert.equal(ask(served(oneProvider()), [good], '/?access_token=a.b.c').status, 401);
  const token = idp.token(claims);
  assert.equal(ask(served(oneProvider()), [], `/?access_token=${token}&access_token=a.b.c`).status, 401);
  assert.equal(ask(served(oneProvider({ fromCookies: ['t'] })), [`cookie: t=${token}; t=a.b.c`]).status, 401);
  assert.equal(ask(served(oneProvider({ fromHeaders: [{ name: 'x-t' }] })), [...Array.from({ length: 40 }, () => `x-t: ${token}`), 'x-t: a.b.c']).status, 401);
});

test('what a token says reaches upstream headers and other filters; what a client claims for it does not', () => {
  const provider = { forwardPayloadHeader: 'x-payload', padForwardPayloadHeader: true, payloadInMetadata: 'claims', headerInMetadata: 'head', normalizePayloadInMetadata: { spaceDelimitedClaims: ['scope'] }, claimToHeaders: [{ headerName: 'x-sub', claimName: 'sub' }, { headerName: 'x-org', claimName: 'org.id' }, { headerName: 'x-bad', claimName: 'bad' }] };
  const token = idp.token({ ...claims, scope: 'read write', org: { id: 7 }, bad: 'a\r\nx-admin: 1' });
  const { request, info } = ask(served(oneProvider(provider)), [bearer(token), 'x-sub: root', 'x-payload: forged', 'x-bad: forged']);
  const fields = ['x-sub', 'x-org', 'x-bad', 'x-admin'].map((name) => request?.head.headers.getAll(name));
  assert.deepEqual(fields, ['ann', '7', null, null]);
  assert.equal(request?.head.headers.getAll('x-payload')?.replace(/=+$/, ''), token.split('.')[1]);
  const metadata = info?.dynamicMetadata?.['envoy.filters.http.jwt_authn'] as Record<string, Json>;
  assert.deepEqual([metadata['claims']?.['scope'], metadata['claims']?.['sub'], metadata['head']?.['kid']], [['read', 'write'], 'ann', 'k1']);
});

test('requirements: any, all, missing, failed', () => {
  const providers = { a: { issuer: 'idp', localJwks, failedStatusInMetadata: 'why' }, b: { issuer: 'idp-b', localJwks, fromHeaders: [{ name: 'x-b' }] } };
  const [a, b] = [{ providerName: 'a' }, { providerName: 'b' }];
  const forB = `x-b: ${idp.token({ ...claims, iss: 'idp-b' })}`;
  const broken = bearer(other.token(claims));
  const answers = (requires: Json) => [[], [good], [forB], [good, forB], [broken]].map((fields) => ask(served({ providers, rules: [{ match: { prefix: '/' }, requires }] }), fields).status);
  assert.deepEqual(answers({ requiresAny: { requirements: [a, b] } }), [401, 200, 200, 200, 401]);
  assert.deepEqual(answers({ requiresAll: { requirements: [a, b] } }), [401, 401, 401, 200, 401]);
  assert.deepEqual(answers({ requiresAny: { requirements: [a, { allowMissing: {} }] } }), [200, 200, 200, 200, 401]);
  assert.deepEqual(answers({ allowMissing: {} }), [200, 200, 200, 200, 401]);
  assert.deepEqual(answers({ allowMissingOrFailed: {} }), [200, 200, 200, 200, 200]);
  assert.deepEqual(answers({}), [200, 200, 200, 200, 200]);
  assert.deepEqual(answers({ providerAndAudiences: { providerName: 'a', audiences: ['cart'] } }), [401, 403, 401, 403, 403]);
  const { info } = ask(served({ providers, rules: [{ match: { prefix: '/' }, requires: a }] }), [broken]);
  assert.deepEqual(info?.dynamicMetadata?.['envoy.filters.http.jwt_authn'], { why: { code: '32', message: "Jwks doesn't have key to match kid or alg from Jwt" } });
});

test('the first rule that matches counts, and a route may say otherwise', () => {
  const config = { providers: { p: { localJwks } }, requirementMap: { strict: { providerName: 'p' } }, rules: [{ match: { prefix: '/open' } }, { match: { prefix: '/' }, requirementName: 'strict' }] };
  assert.deepEqual(['/open/a', '/shut', '/'].map((path) => ask(served(config), [], path).status), [200, 401, 401]);
  const route = (settings: Json) => ({ typedPerFilterConfig: { 'envoy.filters.http.jwt_authn': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig', ...settings } } });
  assert.equal(ask(served(config, route({ disabled: true }))).status, 200);
  assert.equal(ask(served(config, route({ requirementName: 'strict' })), [], '/open').status, 401);
  const wrong = ask(served(config, route({ requirementName: 'lax' })));
  assert.deepEqual([wrong.status, wrong.body], [403, 'Failed JWT authentication: Wrong requirement_name: lax. It should be one of [strict]']);
});

test('preflights pass without a token, and answers tell nothing where asked so', () => {
  const world = served({ ...oneProvider(), bypassCorsPreflight: true, stripFailureResponse: true });
  const { wire } = world.connect();
  wire.receive(requestText('/', ['origin: https://shop', 'access-control-request-method: GET'], 'OPTIONS'));
  assert.equal(world.backend.requests.length, 1);
  assert.equal(world.stats.counter('http.test.jwt_authn.cors_preflight_bypassed').value, 1);
  const { status, sent } = ask(served({ ...oneProvider(), stripFailureResponse: true }));
  assert.equal(status, 401);
  assert.doesNotMatch(sent, /www-authenticate|Jwt/);
});

const remote = (more: Json = {}) => ({ remoteJwks: { httpUri: { uri: 'https://idp.test/keys?v=1', cluster: 'app', timeout: '1s' }, cacheDuration: '100s', ...more } });
const remoteProvider = (more: Json = {}): Json => ({ providers: { p: { issuer: 'idp', ...remote(more) } }, rules: [{ match: { prefix: '/' }, requires: { providerName: 'p' } }] });

test('remote keys are fetched once for all who wait, kept, and fetched anew when old', () => {
  const world = served(remoteProvider());
  const [first, second] = [world.connect(), world.connect()];
  for (const { wire } of [first, second]) wire.receive(requestText('/', [good]));
  const [fetch] = world.backend.requests;
  assert.deepEqual([fetch?.head.path, fetch?.head.authority, world.backend.requests.length], ['/keys?v=1', 'idp.test', 1]);
  fetch?.respond(200, [], keySetOf(idp));
  assert.equal(world.backend.requests.length, 3);
  assert.equal(ask(world, [good]).status, 200);
  assert.equal(world.backend.requests.length, 4);
  // The issuer signs with another key from now on.
  world.clock.advance(100_000);
  const { wire } = world.connect();
  wire.receive(requestText('/', [bearer(other.token(claims))]));
  world.backend.requests[4]?.respond(200, [], keySetOf(other));
  assert.equal(world.backend.requests.length, 6);
  assert.equal(ask(world, [good]).body, "Jwks doesn't have key to match kid or alg from Jwt");
  assert.equal(world.stats.counter('http.test.jwt_authn.jwks_fetch_success').value, 2);
});

test('keys that cannot be had deny, once retries are used up', () => {
  const world = served(remoteProvider({ retryPolicy: { numRetries: 1 } }));
  const { wire } = world.connect();
  wire.receive(requestText('/', [good]));
  world.backend.requests[0]?.respond(503);
  world.clock.advance(1000);
  assert.equal(world.backend.requests.length, 2);
  world.backend.requests[1]?.respond(200, [], 'no keys');
  assert.match(wire.sent, /^HTTP\/1.1 401 [\s\S]*Jwks remote fetch is failed$/);
  assert.equal(world.stats.counter('http.test.jwt_authn.jwks_fetch_failed').value, 1);
  assert.equal(ask(world, [good]).request, world.backend.requests[2], 'the next request tries again');
});

test('a client that leaves while keys are fetched is forgotten', () => {
  const world = served(remoteProvider());
  const { wire } = world.connect();
  wire.receive(requestText('/', [good]));
  wire.destroy();
  world.backend.requests[0]?.respond(200, [], keySetOf(idp));
  assert.equal(world.backend.requests.length, 1);
  assert.deepEqual(world.bugs, []);
});

test('keys fetched ahead are there before requests, and stay when the issuer is away', () => {
  const world = served(remoteProvider({ asyncFetch: { failedRefetchDuration: '10s' } }));
  world.clock.advance(0);
  world.backend.requests[0]?.respond(200, [], keySetOf(idp));
  assert.equal(ask(world, [good]).status, 200);
  world.clock.advance(96_000);
  const { wire } = world.connect();
  wire.receive(requestText('/', [good]));
  assert.equal(world.backend.requests.length, 4, 'the refresh and the request go out side by side');
  world.backend.requests[2]?.respond(500);
  world.clock.advance(9_000);
  assert.equal(ask(world, [good]).status, 200);
  assert.equal(world.backend.requests.length, 5, 'no new try yet');
  world.clock.advance(2_000);
  ask(world, [good]);
  assert.equal(world.backend.requests.length, 7);
});

test('inline keys that cannot be used refuse tokens, and nothing else', () => {
  const hmac = JSON.stringify({ keys: [{ kty: 'oct', k: 'AQAB', alg: 'HS256' }] });
  for (const [inlineString, reason] of [['{}', 'Jwks does not have [keys] field'], ['no json', 'Jwks is an invalid JSON'], [hmac, "Jwks doesn't have any valid public key"]] as const) {
    const world = served(oneProvider({ localJwks: { inlineString } }, { requiresAny: { requirements: [{ providerName: 'p' }, { allowMissing: {} }] } }));
    assert.deepEqual([ask(world).status, ask(world, [good]).status, ask(world, [good]).body], [200, 401, reason]);
  }
});

test('configs that would let tokens pass unverified, or cannot be run, are refused by path', () => {
  const parse = (json: Json, readFile?: (path: string) => ReturnType<typeof ok<Buffer>> | ReturnType<typeof err<string>>) =>
    jwtAuthnFilter.parse(jsonToBinary(typeName, json), { path: 'f', typeUrl: '', warn: () => {}, extensions: { ...filterExtensions(), ...(readFile === undefined ? {} : { readFile }) } });
  const refused = (json: Json): string[] => ((result) => (result.ok ? [] : result.error.map(({ path }) => path)))(parse(json));
  assert.deepEqual(refused({ providers: { p: {} } }), ['f.providers["p"]']);
  assert.deepEqual(refused({ providers: { p: { remoteJwks: { httpUri: { uri: 'ftp://x' } } } } }), ['uri', 'cluster', 'timeout'].map((field) => `f.providers["p"].remote_jwks.http_uri.${field}`));
  assert.deepEqual(refused({ filterStateRules: { name: 'a' } }), ['f.filter_state_rules']);
  assert.deepEqual(refused({ rules: [{ match: { prefix: '/' }, requires: { providerName: 'x' } }, {}, { match: {} }, { match: { prefix: '/' }, requirementName: 'y' }, { match: { prefix: '/' }, requires: { requiresAny: {} } }] }),
    ['f.rules[0].requires.provider_name', 'f.rules[1].match', 'f.rules[2].match', 'f.rules[3].requirement_name', 'f.rules[4].requires.requires_any.requirements']);
  const named = { providers: { p: { localJwks: { filename: '/keys.json' } } } };
  assert.deepEqual(refused(named), ['f.providers["p"].local_jwks.filename']);
  assert.equal(parse(named, () => ok(Buffer.from(keySetOf(idp)))).ok, true);
  assert.equal(parse(named, () => err('gone')).ok, false);
});
