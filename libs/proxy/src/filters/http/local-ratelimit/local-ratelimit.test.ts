import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;

const name = 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit';
const all = { defaultValue: { numerator: 100 } };
const limit = (maxTokens: number, more: Json = {}): Json => ({ statPrefix: 'lim', tokenBucket: { maxTokens, fillInterval: '10s' }, filterEnabled: all, filterEnforced: all, ...more });
const perRoute = (config: Json): Json => ({ typedPerFilterConfig: { 'envoy.filters.http.local_ratelimit': { '@type': `type.googleapis.com/${name}`, ...config } } });

function served(config: Json, routes: readonly Json[] = [routeToApp()], hcm: Json = {}): Served {
  return new Served({ filters: [filterJson('envoy.filters.http.local_ratelimit', name, config)], routes, hcm });
}

/** The answer to one request on a connection of its own. */
function ask(world: Served, path = '/', fields: readonly string[] = []): string {
  const { wire } = world.connect();
  wire.receive(requestText(path, fields));
  world.backend.requests.shift()?.respond(200, ['content-length', '2']);
  return wire.sent;
}

const status = (...args: Parameters<typeof ask>) => Number(ask(...args).slice(9, 12));
const statuses = (world: Served, times: number, ...args: Parameters<typeof ask> extends [Served, ...infer R] ? R : never) => Array.from({ length: times }, () => status(world, ...args));
const counts = (world: Served, prefix = 'lim') => ['enabled', 'ok', 'rate_limited', 'enforced'].map((stat) => world.stats.entries().find((entry) => entry.name === `${prefix}.http_local_rate_limit.${stat}`)?.value);

test('what is beyond the bucket is answered with 429, flag and details, until tokens come back', () => {
  const world = served(limit(2, { responseHeadersToAdd: [{ header: { key: 'x-limited', value: 'yes' } }] }));
  assert.deepEqual(statuses(world, 2), [200, 200]);
  assert.match(ask(world), /^HTTP\/1\.1 429 [\s\S]*x-limited: yes\r\n[\s\S]*local_rate_limited$/);
  const refused = world.done.at(-1);
  assert.deepEqual([refused?.responseCodeDetails, refused?.responseFlags], ['local_rate_limited', 1 << 11]);
  world.clock.advance(10_000);
  assert.deepEqual(statuses(world, 2), [200, 429]);
  assert.deepEqual(counts(world), [5, 3, 2, 2]);
});

test('unless enforced, requests beyond it pass, marked', () => {
  const world = served(limit(1, { filterEnforced: { defaultValue: { numerator: 0 } }, requestHeadersToAddWhenNotEnforced: [{ header: { key: 'x-beyond', value: '1' } }] }));
  assert.equal(status(world), 200);
  world.connect().wire.receive(requestText());
  assert.equal(world.backend.requests[0]?.head.headers.get('x-beyond'), '1');
  assert.deepEqual(counts(world), [2, 1, 1, 0]);
});

test('nothing is limited while the filter is not switched on', () => {
  const { filterEnabled: _on, ...off } = limit(1);
  assert.deepEqual(statuses(served(off), 3), [200, 200, 200]);
});

test("a route has a bucket of its own, whoever shares the chain's", () => {
  const world = served(limit(1), [{ ...routeToApp(perRoute(limit(2, { statPrefix: 'own', status: { code: 'ServiceUnavailable' } }))), match: { prefix: '/own' } }, routeToApp()]);
  assert.deepEqual(statuses(world, 2), [200, 429]);
  assert.deepEqual(statuses(world, 3, '/own'), [200, 200, 503]);
  assert.deepEqual(counts(world, 'own'), [3, 2, 1, 1]);
});

test('descriptors of the stage have buckets of their own beside the common one', () => {
  const user = (stage = 0): Json => ({ stage, actions: [{ requestHeaders: { headerName: 'x-user', descriptorKey: 'user' } }] });
  const config = (more: Json = {}) => limit(10, { descriptors: [{ entries: [{ key: 'user', value: 'ann' }], tokenBucket: { maxTokens: 1, fillInterval: '10s' } }], ...more });
  const world = served(config(), [routeToApp({}, { rateLimits: [user()] })]);
  assert.deepEqual(statuses(world, 2, '/', ['x-user: ann']), [200, 429]);
  assert.deepEqual(statuses(world, 3, '/', ['x-user: bob']), [200, 200, 200]);
  assert.deepEqual(statuses(served(config({ stage: 1 }), [routeToApp({}, { rateLimits: [user()] })]), 2, '/', ['x-user: ann']), [200, 200], 'another stage');
});

test('the common bucket is spared by requests with descriptors when it says so', () => {
  const one = { maxTokens: 1, fillInterval: '10s' };
  const config = limit(1, { descriptors: [{ entries: [{ key: 'generic_key', value: 'a' }], tokenBucket: { ...one, maxTokens: 5 } }], alwaysConsumeDefaultTokenBucket: false });
  const world = served(config, [{ ...routeToApp({}, { rateLimits: [{ actions: [{ genericKey: { descriptorValue: 'a' } }] }] }), match: { prefix: '/a' } }, routeToApp()]);
  assert.deepEqual(statuses(world, 3, '/a'), [200, 200, 200]);
  assert.deepEqual(statuses(world, 2), [200, 429]);
});

test("a virtual host's limits count when its route has none, or is told to include them", () => {
  const actions = (descriptorValue: string) => [{ actions: [{ genericKey: { descriptorValue } }] }];
  const config = (vhRateLimits: string) => limit(10, { vhRateLimits, descriptors: [{ entries: [{ key: 'generic_key', value: 'host' }], tokenBucket: { maxTokens: 1, fillInterval: '10s' } }] });
  const seen = (vhRateLimits: string, route: Json) => statuses(served(config(vhRateLimits), [], { routeConfig: { name: 'inline', virtualHosts: [{ name: 'all', domains: ['*'], rateLimits: actions('host'), routes: [routeToApp({}, route)] }] } }), 2);
  const own = { rateLimits: actions('route') };
  assert.deepEqual(seen('OVERRIDE', {}), [200, 429]);
  assert.deepEqual(seen('OVERRIDE', own), [200, 200]);
  assert.deepEqual(seen('INCLUDE', own), [200, 429]);
  assert.deepEqual(seen('IGNORE', {}), [200, 200]);
  assert.deepEqual(seen('OVERRIDE', { ...own, includeVhRateLimits: true }), [200, 429]);
});

test('each connection has its own bucket when asked', () => {
  const world = served(limit(1, { localRateLimitPerDownstreamConnection: true }));
  const { wire } = world.connect();
  const again = () => {
    wire.sent = '';
    wire.receive(requestText());
    world.backend.requests.shift()?.respond(200, ['content-length', '2']);
    return Number(wire.sent.slice(9, 12));
  };
  assert.deepEqual([again(), again(), status(world)], [200, 429, 200]);
});

test('x-ratelimit headers tell what is left and when there is more', () => {
  const world = served(limit(1, { enableXRatelimitHeaders: 'DRAFT_VERSION_03' }));
  assert.match(ask(world), /x-ratelimit-limit: 1\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: 10\r\n/);
});

test('a gRPC client is told UNAVAILABLE, or RESOURCE_EXHAUSTED when asked', () => {
  for (const [more, expected] of [[{}, 14], [{ rateLimitedAsResourceExhausted: true }, 8]] as const) {
    const world = served(limit(1, more));
    ask(world);
    assert.match(ask(world, '/', ['content-type: application/grpc']), new RegExp(`^HTTP/1\\.1 200 [\\s\\S]*grpc-status: ${expected}\r\n`));
  }
});

test('what it cannot do or makes no sense is refused by name', () => {
  const refused = (config: Json, path: RegExp) => assert.throws(() => served(config), path);
  refused(limit(0), /token_bucket\.max_tokens/);
  refused(limit(1, { tokenBucket: { maxTokens: 1, fillInterval: '0.01s' } }), /token_bucket\.fill_interval/);
  refused(limit(1, { localClusterRateLimit: {} }), /local_cluster_rate_limit/);
  refused(limit(1, { descriptors: [{ entries: [{ key: 'a', value: 'b' }] }] }), /descriptors\[0\]\.token_bucket/);
  const { tokenBucket: _none, ...without } = limit(1);
  assert.throws(() => served(limit(1), [routeToApp(perRoute(without))]), /token_bucket/);
});
