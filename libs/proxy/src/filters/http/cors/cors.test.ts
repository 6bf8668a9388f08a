import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';

test('a shadow policy only looks at origins and counts them', () => {
  const policy = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy', allowOriginStringMatch: [{ exact: 'https://shop' }], filterEnabled: { defaultValue: { numerator: 0 } }, shadowEnabled: { defaultValue: { numerator: 100 } } };
  const world = new Served({ filters: [filterJson('envoy.filters.http.cors', 'envoy.extensions.filters.http.cors.v3.Cors')], routes: [routeToApp({ typedPerFilterConfig: { 'envoy.filters.http.cors': policy } })] });
  const { wire } = world.connect();
  wire.receive(requestText('/', ['origin: https://shop', 'access-control-request-method: GET'], 'OPTIONS'));
  world.backend.requests[0]?.respond();
  assert.doesNotMatch(wire.sent, /access-control/);
  assert.equal(world.backend.requests.length, 1);
  assert.equal(world.stats.entries().find(({ name }) => name === 'http.test.cors.origin_valid')?.value, 1);
});

/** What a preflight from https://shop is answered by the proxy under `policy`; undefined when it is forwarded. */
function preflight(policy: Record<string, unknown>, directResponse?: Record<string, unknown>): string | undefined {
  const typed = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy', ...policy };
  const perRoute = { typedPerFilterConfig: { 'envoy.filters.http.cors': typed } };
  const route = directResponse ? { match: { prefix: '/' }, directResponse, ...perRoute } : routeToApp(perRoute);
  const world = new Served({ filters: [filterJson('envoy.filters.http.cors', 'envoy.extensions.filters.http.cors.v3.Cors')], routes: [route] });
  const { wire } = world.connect();
  wire.receive(requestText('/', ['origin: https://shop', 'access-control-request-method: PUT', 'access-control-request-headers: x-a'], 'OPTIONS'));
  return world.backend.requests.length > 0 ? undefined : wire.sent;
}

test('the exact origin "*" is every origin, and "*" for methods and headers is whatever is asked for', () => {
  const answer = preflight({ allowOriginStringMatch: [{ exact: '*' }], allowMethods: '*', allowHeaders: '*' });
  assert.match(answer ?? '', /access-control-allow-origin: https:\/\/shop/);
  assert.match(answer ?? '', /access-control-allow-methods: PUT/);
  assert.match(answer ?? '', /access-control-allow-headers: x-a/);
});

test('a preflight of another origin is forwarded, or answered without naming the origin', () => {
  const policy = { allowOriginStringMatch: [{ exact: 'https://else' }], allowMethods: 'GET' };
  assert.equal(preflight(policy), undefined);
  const answer = preflight({ ...policy, forwardNotMatchingPreflights: false }) ?? '';
  assert.match(answer, /^HTTP\/1.1 200[^]*access-control-allow-methods: GET/);
  assert.doesNotMatch(answer, /access-control-allow-origin/);
});

test('what a route\'s policy does not say its virtual host\'s does', () => {
  const typed = (policy: Record<string, unknown>) => ({ typedPerFilterConfig: { 'envoy.filters.http.cors': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy', ...policy } } });
  const host = { allowOriginStringMatch: [{ exact: 'https://shop' }], allowMethods: 'GET', maxAge: '60', exposeHeaders: 'x-host', allowCredentials: true };
  const own = { allowMethods: 'PUT', allowCredentials: false };
  for (const [routes, more] of [
    [[routeToApp(typed(own))], typed(host)],
    [[routeToApp({}, { cors: own })], { cors: host }],
  ] as const) {
    const world = new Served({ filters: [filterJson('envoy.filters.http.cors', 'envoy.extensions.filters.http.cors.v3.Cors')], hcm: { routeConfig: { name: 'inline', virtualHosts: [{ name: 'all', domains: ['*'], routes, ...more }] } } });
    const { wire } = world.connect();
    wire.receive(requestText('/', ['origin: https://shop', 'access-control-request-method: PUT'], 'OPTIONS'));
    for (const field of ['access-control-allow-origin: https://shop', 'access-control-allow-methods: PUT', 'access-control-max-age: 60']) assert.ok(wire.sent.includes(`\r\n${field}\r\n`), `${field} in ${wire.sent}`);
    assert.doesNotMatch(wire.sent, /credentials/);
    wire.sent = '';
    wire.receive(requestText('/', ['origin: https://shop']));
    world.backend.requests[0]?.respond();
    assert.match(wire.sent, /\r\naccess-control-expose-headers: x-host\r\n/);
  }
});

test('what a route answers by itself has no policy', () => {
  const answer = preflight({ allowOriginStringMatch: [{ exact: '*' }] }, { status: 204 });
  assert.match(answer ?? '', /^HTTP\/1.1 204/);
  assert.doesNotMatch(answer ?? '', /access-control/);
});
