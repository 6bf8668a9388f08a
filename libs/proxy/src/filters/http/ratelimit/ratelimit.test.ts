import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateLimitRequest, RateLimitResponse } from '@meltemi/api/gen/envoy/service/ratelimit/v3/rls.ts';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;

const type = 'envoy.extensions.filters.http.ratelimit.v3.RateLimit';
const base = { domain: 'shop', rateLimitService: { grpcService: { envoyGrpc: { clusterName: 'app' } }, transportApiVersion: 'V3' } };
const actions = (descriptorValue: string, more: Json = {}): Json => ({ actions: [{ genericKey: { descriptorValue } }], ...more });
const limited = routeToApp({}, { rateLimits: [actions('route')] });
const perRoute = (settings: Json): Json => ({ typedPerFilterConfig: { 'envoy.filters.http.ratelimit': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute', ...settings } } });

const empty: RateLimitResponse = { overallCode: 1, statuses: [], responseHeadersToAdd: [], requestHeadersToAdd: [], rawBody: Buffer.alloc(0) };
const header = (key: string, value: string) => ({ key, value, rawValue: Buffer.alloc(0) });

/** A request on its way: the service is the one cluster, too. */
function asked(config: Json = {}, options: { routes?: readonly Json[]; hcm?: Json; fields?: readonly string[] } = {}) {
  const world = new Served({ filters: [filterJson('envoy.filters.http.ratelimit', type, { ...base, ...config })], routes: options.routes ?? [limited], hcm: options.hcm ?? {} });
  const { wire } = world.connect();
  wire.receive(requestText('/', options.fields));
  const first = world.backend.requests.shift();
  const call = first?.head.path.startsWith('/envoy.service.ratelimit') === true ? first : null;
  const answer = (response: Partial<RateLimitResponse>) => {
    const message = RateLimitResponse.encode({ ...empty, ...response }).finish();
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    call?.begin(200, ['content-type', 'application/grpc']);
    call?.part(Buffer.concat([frame, message]));
    call?.end(['grpc-status', '0']);
  };
  const sent = call === null ? null : RateLimitRequest.decode(Buffer.from(call.body, 'latin1').subarray(5));
  return { world, wire, call, answer, sent, passed: () => (call === null ? first : world.backend.requests[0]) };
}

const keys = (sent: RateLimitRequest | null) => sent?.descriptors.map(({ entries }) => entries.map(({ key, value }) => `${key}=${value}`).join()) ?? null;
const count = (world: Served, name: string) => world.stats.entries().find((entry) => entry.name === `cluster.app.ratelimit.${name}`)?.value ?? 0;

test('the service is asked with domain and descriptors, and its yes lets the request pass with what it adds', () => {
  const { world, wire, sent, answer, passed } = asked();
  assert.deepEqual([sent?.domain, keys(sent)], ['shop', ['generic_key=route']]);
  assert.equal(passed(), undefined);
  answer({ requestHeadersToAdd: [header('X-Tier', 'gold'), header('content-length', '7'), header('x-bad', 'a\r\nb: c')], responseHeadersToAdd: [header('x-left', '3')] });
  assert.deepEqual(['x-tier', 'content-length', 'x-bad'].map((name) => passed()?.head.headers.get(name)), ['gold', null, null]);
  passed()?.respond();
  assert.match(wire.sent, /^HTTP\/1\.1 200 [\s\S]*x-left: 3\r\n/);
  assert.equal(count(world, 'ok'), 1);
});

test('limits of the filter for one route stand in place of those of the route, whatever the stage', () => {
  const routes = [routeToApp(perRoute({ rateLimits: [actions('own'), { actions: [{ requestHeaders: { headerName: 'x-user', descriptorKey: 'user' } }] }] }), { rateLimits: [actions('route')] })];
  assert.deepEqual(keys(asked({ stage: 3 }, { routes, fields: ['x-user: ann'] }).sent), ['generic_key=own', 'user=ann']);
  assert.deepEqual(keys(asked({}, { routes }).sent), ['generic_key=own']);
});

test('what is over the limit is answered with 429, marked and flagged', () => {
  const { world, wire, answer, passed } = asked({ responseHeadersToAdd: [{ header: { key: 'x-own', value: '1' } }], statPrefix: 'edge' });
  answer({ overallCode: 2, responseHeadersToAdd: [header('content-type', 'application/json')], rawBody: Buffer.from('{"slow":"down"}') });
  assert.match(wire.sent, /^HTTP\/1\.1 429 [\s\S]*x-own: 1\r\nx-envoy-ratelimited: true\r\ncontent-type: application\/json\r\n[\s\S]*\{"slow":"down"\}$/);
  assert.equal(passed(), undefined);
  assert.deepEqual([world.done[0]?.responseFlags, world.done[0]?.responseCodeDetails, count(world, 'edge.over_limit')], [1 << 11, 'request_rate_limited', 1]);
});

test('the answer is what the config says', () => {
  const other = asked({ rateLimitedStatus: { code: 'ServiceUnavailable' }, disableXEnvoyRatelimitedHeader: true });
  other.answer({ overallCode: 2 });
  assert.match(other.wire.sent, /^HTTP\/1\.1 503 /);
  assert.doesNotMatch(other.wire.sent, /x-envoy-ratelimited/);
  const grpc = asked({ rateLimitedAsResourceExhausted: true }, { fields: ['content-type: application/grpc'] });
  grpc.answer({ overallCode: 2 });
  assert.match(grpc.wire.sent, /grpc-status: 8\r\n/);
});

test('a service that fails or is slow lets requests pass, or denies them when told so', () => {
  const fail: readonly ((call: ReturnType<typeof asked>) => void)[] = [({ call }) => call?.respond(503), ({ world }) => world.clock.advance(20), ({ answer }) => answer({ overallCode: 0 })];
  for (const act of fail) {
    const open = asked();
    act(open);
    assert.ok(open.passed(), act.toString());
    assert.deepEqual([count(open.world, 'error'), count(open.world, 'failure_mode_allowed')], [1, 1]);
    const closed = asked({ failureModeDeny: true, statusOnError: { code: 'ServiceUnavailable' } });
    act(closed);
    assert.match(closed.wire.sent, /^HTTP\/1\.1 503 /);
    assert.deepEqual([closed.world.done[0]?.responseFlags, closed.world.done[0]?.responseCodeDetails], [1 << 13, 'rate_limiter_error']);
  }
});

test('x-ratelimit fields tell of the nearest limit', () => {
  const { wire, answer, passed } = asked({ enableXRatelimitHeaders: 'DRAFT_VERSION_03' });
  const status = (limitRemaining: number, requestsPerUnit: number, unit: 1 | 2, name: string) => ({ code: 1, limitRemaining, currentLimit: { name, requestsPerUnit, unit }, durationUntilReset: { seconds: BigInt(requestsPerUnit), nanos: 0 } }) as RateLimitResponse['statuses'][number];
  answer({ statuses: [status(5, 10, 1, ''), status(2, 30, 2, 'a"b')] });
  passed()?.respond();
  assert.match(wire.sent, /x-ratelimit-limit: 30, 10;w=1, 30;w=60;name="ab"\r\nx-ratelimit-remaining: 2\r\nx-ratelimit-reset: 30\r\n/);
});

test('only requests of the right kind and stage, to a cluster there is, are asked about', () => {
  const isAsked = (...args: Parameters<typeof asked>) => asked(...args).call !== null;
  assert.equal(isAsked({ requestType: 'internal' }), false);
  assert.equal(isAsked({ requestType: 'external' }), true);
  assert.equal(isAsked({ stage: 1 }), false);
  assert.equal(isAsked({}, { routes: [routeToApp()] }), false);
  assert.equal(isAsked({}, { routes: [routeToApp({}, { cluster: 'gone', rateLimits: [actions('a')] })] }), false);
});

test("a route's settings choose the domain and what its virtual host's limits count for", () => {
  const with_ = (settings: Json, own = true) => {
    const route = routeToApp(perRoute(settings), own ? { rateLimits: [actions('route')] } : {});
    const { sent } = asked({}, { hcm: { routeConfig: { name: 'inline', virtualHosts: [{ name: 'all', domains: ['*'], rateLimits: [actions('host')], routes: [route] }] } } });
    return keys(sent);
  };
  assert.deepEqual(with_({}), ['generic_key=route']);
  assert.deepEqual(with_({}, false), ['generic_key=host']);
  assert.deepEqual(with_({ vhRateLimits: 'INCLUDE' }), ['generic_key=route', 'generic_key=host']);
  assert.equal(with_({ vhRateLimits: 'IGNORE' }, false), null);
  assert.deepEqual(with_({ vhRateLimits: 'IGNORE', overrideOption: 'INCLUDE_POLICY' }), ['generic_key=route', 'generic_key=host']);
  assert.equal(asked({}, { routes: [routeToApp(perRoute({ domain: 'other' }), { rateLimits: [actions('a')] })] }).sent?.domain, 'other');
});

test('a client that leaves takes the call along', () => {
  const { wire, call, world } = asked();
  wire.destroy();
  assert.equal(call?.wasReset, true);
  world.clock.advance(1000);
  assert.deepEqual(world.bugs, []);
});

test('what it cannot do is refused by name', () => {
  const refused = (config: Json, path: RegExp) => assert.throws(() => asked(config), path);
  refused({ domain: '' }, /\.domain/);
  refused({ requestType: 'some' }, /\.request_type/);
  refused({ rateLimitService: { grpcService: { googleGrpc: { targetUri: 'a', statPrefix: 'b' } }, transportApiVersion: 'V3' } }, /rate_limit_service\.grpc_service\.google_grpc/);
  refused({ rateLimitService: { ...base.rateLimitService, transportApiVersion: 'V2' } }, /transport_api_version/);
  for (const more of [{ stage: 1 }, { disableKey: 'off' }, { actions: [] }]) assert.throws(() => asked({}, { routes: [routeToApp(perRoute({ rateLimits: [actions('a', more)] }))] }), /rate_limits\[0\]/);
});
