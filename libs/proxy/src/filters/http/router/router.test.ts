import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatResponseFlags } from '@meltemi/http';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';
import { StepBackend } from '../../../testing/step-backend.ts';

type Json = Record<string, unknown>;

/** A route to a cluster that does as the test says, and one client. */
function routed(action: Json = {}, more: { route?: Json; cluster?: Json; hcm?: Json; routerConfig?: Json } = {}) {
  const router = filterJson('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', more.routerConfig ?? {});
  const served = new Served({ routes: [routeToApp(more.route ?? {}, action)], backend: (clock) => new StepBackend('app', clock, more.cluster ?? {}), hcm: { httpFilters: [router], ...more.hcm } });
  const backend = served.backend as StepBackend;
  const { wire } = served.connect();
  const ended = () => {
    const info = served.done.at(-1);
    return info === undefined ? null : [info.responseCode, formatResponseFlags(info.responseFlags), info.responseCodeDetails];
  };
  const count = (name: string) => backend.flat.counter(name).value;
  const idle = () => {
    const { limits, host, stats } = backend;
    assert.deepEqual([limits.default.requests, limits.default.retries, host.state.activeRequests, stats.rqActive.value], [0, 0, 0, 0]);
    assert.deepEqual(served.bugs, []);
  };
  return { served, backend, wire, ended, count, idle, get: (fields: string[] = [], method = 'GET') => wire.receive(requestText('/', fields, method)) };
}

const retry = (retryOn: string, more: Json = {}) => ({ retryPolicy: { retryOn, retryBackOff: { baseInterval: '0.010s' }, ...more } });
const inside = ['x-forwarded-for: 10.0.0.1'];

test('how an attempt failed is told by status, flag, details and body', () => {
  for (const [failure, expected, body] of [
    [{ kind: 'termination' }, [503, 'UC', 'upstream_reset_before_response_started{connection_termination}'], 'connection termination'],
    [{ kind: 'remote' }, [503, 'UR', 'upstream_reset_before_response_started{remote_reset}'], 'remote reset'],
    [{ kind: 'local' }, [503, 'LR', 'upstream_reset_before_response_started{local_reset}'], 'local reset'],
    [{ kind: 'protocol' }, [502, 'UPE', 'upstream_reset_before_response_started{protocol_error}'], 'protocol error'],
  ] as const) {
    const { backend, wire, ended, get, idle } = routed();
    get();
    backend.last.ready();
    backend.last.break(failure);
    assert.deepEqual(ended(), expected);
    assert.ok(wire.sent.endsWith(`upstream connect error or disconnect/reset before headers. reset reason: ${body}`));
    idle();
  }
});

test('no connection: UF, and UO at once with x-envoy-overloaded when a circuit breaker says no', () => {
  for (const [kind, flag, details] of [['connect', 'UF', 'remote_connection_failure'], ['timeout', 'UF', 'connection_timeout'], ['overflow', 'UO', 'overflow']] as const) {
    const { backend, wire, ended, get, idle } = routed(retry('5xx', { numRetries: 0 }));
    get();
    backend.last.fail(kind);
    assert.deepEqual(ended(), [503, kind === 'overflow' ? flag : `${flag},URX`, `upstream_reset_before_response_started{${details}}`]);
    assert.equal(wire.sent.includes('x-envoy-overloaded: true'), kind === 'overflow');
    idle();
  }
});

test('an answer that breaks off resets the stream with its reason', () => {
  const { backend, wire, ended, get, idle } = routed();
  get();
  backend.last.ready();
  backend.last.respond(200);
  backend.last.break({ kind: 'remote' });
  assert.deepEqual([ended(), wire.closed], [[200, 'UR', 'upstream_reset_after_response_started{remote_reset}'], true]);
  idle();
});

test('what the route adds to responses is on answers of our own, and the number of attempts', () => {
  const { backend, wire, get } = routed(retry('connect-failure'), { route: { responseHeadersToAdd: [{ header: { key: 'x-route', value: 'mine' } }] } });
  get();
  backend.last.fail();
  assert.match(wire.sent, /^$/);
  assert.equal(backend.streams.length, 1);
  const { wire: second, backend: other, get: ask } = routed({}, { route: { responseHeadersToAdd: [{ header: { key: 'x-route', value: 'mine' } }] } });
  ask();
  other.last.fail();
  assert.match(second.sent, /x-route: mine/);
});

test('retries: their number, their statistics, and the last answer with URX', () => {
  const { served, backend, ended, count, get, idle, wire } = routed(retry('5xx', { numRetries: 2 }));
  get();
  for (let i = 0; i < 3; i++) {
    backend.last.ready();
    backend.last.respond(503, [], true);
    served.pass(30);
  }
  assert.equal(backend.streams.length, 3);
  assert.deepEqual(ended(), [503, 'URX', 'via_upstream']);
  assert.match(wire.sent, /^HTTP\/1\.1 503/);
  assert.deepEqual(['rqRetry', 'rqRetryLimitExceeded', 'rqRetryBackoffExponential', 'rqRetrySuccess', 'retry.upstream_rq_503', 'upstream_rq_503', 'external.upstream_rq_503'].map(count), [2, 1, 2, 0, 2, 1, 1]);
  idle();
});

test('a retry that the circuit breaker forbids ends in what there is, with UO', () => {
  const { backend, ended, count, get, idle } = routed(retry('5xx'), { cluster: { circuitBreakers: { thresholds: [{ maxRetries: 0 }] } } });
  get();
  backend.last.ready();
  backend.last.respond(500, [], true);
  assert.deepEqual([ended(), count('rqRetryOverflow')], [[500, 'UO', 'via_upstream'], 1]);
  idle();
});

test('a retry that succeeds counts as one, and frees the circuit breaker when the answer begins', () => {
  const { served, backend, count, get, idle } = routed(retry('gateway-error'));
  get();
  backend.last.ready();
  backend.last.respond(502, [], true);
  assert.equal(backend.limits.default.retries, 1);
  served.pass(30);
  backend.last.ready();
  backend.last.respond(200);
  assert.deepEqual([count('rqRetrySuccess'), backend.limits.default.retries, count('upstream_rq_200')], [1, 0, 1]);
  backend.last.finish();
  idle();
});

test('callers inside choose retries by header, strangers do not', () => {
  for (const [fields, tries] of [[[...inside, 'x-envoy-retry-on: retriable-status-codes', 'x-envoy-retriable-status-codes: 418', 'x-envoy-max-retries: 3'], 4], [['x-forwarded-for: 9.9.9.9', 'x-envoy-retry-on: 5xx'], 1]] as const) {
    const { served, backend, get } = routed();
    get([...fields]);
    for (let i = 0; i < 6; i++) {
      backend.last.ready();
      backend.last.respond(418, [], true);
      served.pass(1000);
    }
    assert.equal(backend.streams.length, tries);
    assert.equal(backend.streams[0]?.request?.headers.has('x-envoy-retry-on'), false);
  }
});

test('the route timeout starts when the request is complete, and answers as asked', () => {
  for (const [fields, status] of [[[], 504], [[...inside, 'x-envoy-upstream-rq-timeout-alt-response: 1'], 204]] as const) {
    const { served, backend, ended, count, get, wire, idle } = routed({ timeout: '1s' });
    get([...fields, 'content-length: 2'], 'POST');
    backend.last.ready();
    served.pass(5000);
    wire.receive('ab');
    served.pass(999);
    assert.equal(ended(), null);
    served.pass(1);
    assert.deepEqual([ended(), count('rqTimeout'), backend.last.wasReset], [[status, 'UT', 'upstream_response_timeout'], 1, true]);
    idle();
  }
});

test('a try that takes too long is tried again; x-envoy-expected-rq-timeout-ms says what is left', () => {
  const { served, backend, ended, count, get, idle } = routed({ timeout: '1s', ...retry('5xx', { perTryTimeout: '0.6s' }) });
  get();
  backend.last.ready();
  assert.equal(backend.last.request?.headers.get('x-envoy-expected-rq-timeout-ms'), '600');
  served.pass(610);
  backend.last.ready();
  const left = Number(backend.last.request?.headers.get('x-envoy-expected-rq-timeout-ms'));
  assert.ok(left <= 400 && left >= 390, String(left));
  served.pass(400);
  assert.deepEqual([ended(), count('rqPerTryTimeout'), count('rqTimeout')], [[504, 'UT', 'upstream_response_timeout'], 1, 1]);
  idle();
});

test('per-try timeouts: the last one answers, and one that has begun to answer is left alone', () => {
  const { served, backend, ended, get } = routed({ timeout: '0s', ...retry('connect-failure', { perTryTimeout: '1s' }) });
  get();
  backend.last.ready();
  served.pass(1001);
  assert.deepEqual(ended(), [504, 'UT', 'upstream_per_try_timeout']);
  const begun = routed({ timeout: '0s', ...retry('5xx', { perTryTimeout: '1s' }) });
  begun.get();
  begun.backend.last.ready();
  begun.backend.last.respond(200);
  begun.served.pass(5000);
  assert.equal(begun.ended(), null);
});

test('per-try idle timeout: bytes keep the try, silence ends it', () => {
  const { served, backend, ended, count, get, idle } = routed({ timeout: '0s', ...retry('5xx', { numRetries: 0, perTryIdleTimeout: '1s' }) });
  get();
  backend.last.ready();
  served.pass(900);
  backend.last.respond(200);
  served.pass(900);
  backend.last.part('x');
  served.pass(900);
  assert.equal(ended(), null);
  served.pass(200);
  assert.deepEqual([ended(), count('rqPerTryIdleTimeout')], [[200, 'UT', 'upstream_per_try_idle_timeout'], 1]);
  idle();
});

test("the cluster's max_stream_duration: UMSDR", () => {
  const options = { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicitHttpConfig: { httpProtocolOptions: {} }, commonHttpProtocolOptions: { maxStreamDuration: '2s' } };
  const { served, backend, ended, count, get, idle } = routed({}, { cluster: { typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': options } } });
  get();
  backend.last.ready();
  served.pass(2000);
  assert.deepEqual([ended(), count('rqMaxDuration')], [[504, 'UMSDR', 'upstream_max_stream_duration_reached'], 1]);
  idle();
});

test("the route's max_stream_duration stands in for its timeout; 0 lifts the connection manager's", () => {
  const bounded = routed({ timeout: '1s', maxStreamDuration: { maxStreamDuration: '3s' } });
  bounded.get();
  bounded.served.pass(2999);
  assert.equal(bounded.ended(), null);
  bounded.served.pass(1);
  assert.deepEqual(bounded.ended(), [504, 'DT', 'max_duration_timeout']);
  const free = routed({ maxStreamDuration: { maxStreamDuration: '0s' } }, { hcm: { commonHttpProtocolOptions: { maxStreamDuration: '1s' } } });
  free.get();
  free.served.pass(20_000);
  assert.equal(free.ended(), null);
});

test('gRPC deadlines bound the stream where the route says so, and go on less the offset', () => {
  const { served, backend, wire, get } = routed({ maxStreamDuration: { grpcTimeoutHeaderMax: '10s', grpcTimeoutHeaderOffset: '0.5s' } });
  get(['content-type: application/grpc', 'grpc-timeout: 2S']);
  backend.last.ready();
  assert.equal(backend.last.request?.headers.get('grpc-timeout'), '1500m');
  served.pass(1500);
  assert.match(wire.sent, /grpc-status: 4\r\n/);
});

test('max_grpc_timeout: the deadline is the timeout, and what is left of it goes on', () => {
  const { served, backend, wire, get } = routed({ maxGrpcTimeout: '1s' });
  get(['content-type: application/grpc', 'grpc-timeout: 5S']);
  backend.last.ready();
  assert.equal(backend.last.request?.headers.get('grpc-timeout'), '1000m');
  served.pass(1000);
  assert.match(wire.sent, /^HTTP\/1\.1 200 [^]*grpc-status: 14\r\n[^]*grpc-message: upstream request timeout/);
});

test("a sidecar's expected timeout is taken where the router says so", () => {
  for (const respectExpectedRqTimeout of [true, false]) {
    const { served, ended, get } = routed({ timeout: '9s' }, { routerConfig: { respectExpectedRqTimeout } });
    get([...inside, 'x-envoy-expected-rq-timeout-ms: 100']);
    served.pass(200);
    assert.equal(ended()?.[0] ?? 0, respectExpectedRqTimeout ? 504 : 0);
  }
});

test('strict_check_headers: what cannot be read is refused by name', () => {
  const strictCheckHeaders = ['x-envoy-max-retries', 'x-envoy-retry-on'];
  for (const [field, value] of [['x-envoy-max-retries', 'many'], ['x-envoy-retry-on', '5xx,moon']]) {
    const { wire, ended, get } = routed({}, { routerConfig: { strictCheckHeaders } });
    get([...inside, `${field}: ${value}`]);
    assert.deepEqual(ended(), [400, 'IH', `request_headers_failed_strict_check{${field}}`]);
    assert.ok(wire.sent.endsWith(`invalid header '${field}' with value '${value}'`));
  }
  const { backend, get } = routed({}, { routerConfig: { strictCheckHeaders } });
  get([...inside, 'x-envoy-max-retries: 2', 'x-envoy-retry-on: 5xx,reset']);
  assert.equal(backend.streams.length, 1);
});

test('a kept connection that died is replaced at once, for what may be sent twice', () => {
  const { backend, wire, get, idle } = routed();
  get(['content-length: 2'], 'PUT');
  backend.last.ready();
  wire.receive('ab');
  backend.last.break({ stale: true });
  assert.deepEqual([backend.streams.length, backend.last.options.fresh], [2, true]);
  backend.last.ready();
  assert.deepEqual([backend.last.body, backend.last.ended], ['ab', true]);
  backend.last.respond(200, [], true);
  assert.match(wire.sent, /200 OK/);
  idle();
  const post = routed();
  post.get([], 'POST');
  post.backend.last.ready();
  post.backend.last.break({ stale: true });
  assert.equal(post.backend.streams.length, 1);
});

test('what a host has surely not processed is sent once more, whatever it is', () => {
  const { backend, ended, get, idle } = routed();
  get([], 'POST');
  for (let i = 0; i < 2; i++) {
    backend.last.ready();
    backend.last.break({ kind: 'remote', refused: true });
  }
  assert.equal(backend.streams.length, 2);
  assert.deepEqual(ended(), [503, 'UR', 'upstream_reset_before_response_started{remote_refused_stream_reset}']);
  idle();
});

test('hedging: a slow try goes on beside the next, the first good answer wins', () => {
  const hedged = { timeout: '0s', hedgePolicy: { hedgeOnPerTryTimeout: true }, ...retry('5xx', { numRetries: 2, perTryTimeout: '1s' }) };
  for (const winner of [0, 1]) {
    const { served, backend, wire, count, get, idle } = routed(hedged);
    get();
    backend.last.ready();
    served.pass(1020);
    assert.deepEqual([backend.streams.length, backend.streams[0]?.wasReset], [2, false]);
    backend.last.ready();
    backend.streams[winner]?.respond(200, [`x-by: ${winner}`].flatMap((field) => field.split(': ')), true);
    assert.match(wire.sent, new RegExp(`x-by: ${winner}`));
    assert.deepEqual([backend.streams[1 - winner]?.wasReset, count('upstream_rq_200')], [true, 1]);
    idle();
  }
  const both = routed(hedged);
  both.get();
  both.backend.last.ready();
  both.served.pass(1020);
  both.backend.last.ready();
  both.backend.streams[0]?.respond(503, [], true);
  assert.equal(both.ended(), null, 'the other may do better');
  both.backend.streams[1]?.respond(200, [], true);
  assert.deepEqual(both.ended(), [200, '-', 'via_upstream']);
  both.idle();
});

test('a body longer than may be kept gives up retries; between two tries it cannot go on', () => {
  const limited = { ...retry('5xx', { retryBackOff: { baseInterval: '5s' } }) };
  const going = routed(limited, { route: { perRequestBufferLimitBytes: 4 } });
  going.get(['content-length: 6'], 'POST');
  going.backend.last.ready();
  going.wire.receive('abcdef');
  going.backend.last.respond(503, [], true);
  assert.deepEqual([going.ended(), going.backend.last.body, going.count('retryOrShadowAbandoned')], [[503, '-', 'via_upstream'], 'abcdef', 1]);
  const between = routed(limited, { route: { perRequestBufferLimitBytes: 4 } });
  between.get(['content-length: 6'], 'POST');
  between.backend.last.fail();
  assert.equal(between.ended(), null);
});

test('a request whose body is held back goes on once a connection takes it', () => {
  const { backend, wire, get } = routed({}, { route: { perRequestBufferLimitBytes: 4 } });
  get(['content-length: 9'], 'POST');
  wire.receive('abcdef');
  assert.equal(wire.paused, true);
  backend.last.full = true;
  backend.last.ready();
  assert.deepEqual([backend.last.body, wire.paused], ['abcdef', true]);
  backend.last.drain();
  assert.equal(wire.paused, false);
});

test('virtual clusters count their requests, the rest under "other"', () => {
  const virtualClusters = [{ name: 'orders', headers: [{ name: ':path', stringMatch: { prefix: '/orders' } }, { name: ':method', stringMatch: { exact: 'POST' } }] }];
  const served = new Served({ hcm: { routeConfig: { name: 'inline', virtualHosts: [{ name: 'shop', domains: ['*'], virtualClusters, routes: [routeToApp({}, retry('5xx'))] }] } } });
  const { wire } = served.connect();
  wire.receive(requestText('/orders/1', ['content-length: 0'], 'POST'));
  served.backend.requests[0]?.empty(503);
  served.pass(30);
  served.backend.requests[1]?.respond(201);
  wire.receive(requestText('/orders/1'));
  served.backend.requests[2]?.respond(200);
  const value = (name: string) => served.stats.counter(`vhost.shop.vcluster.${name}`).value;
  assert.deepEqual(['orders.upstream_rq_total', 'orders.upstream_rq_201', 'orders.upstream_rq_2xx', 'orders.upstream_rq_retry', 'orders.upstream_rq_retry_success', 'other.upstream_rq_200'].map(value), [1, 1, 1, 1, 1, 1]);
});
