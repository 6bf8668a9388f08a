import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom, type Result } from '@meltemi/base';
import { RequestHead } from '@meltemi/http';
import { Backend } from '../testing/backend.ts';
import { sendAsync, type AsyncAnswer, type AsyncFailure, type AsyncRequest } from './async-request.ts';

function started(more: Partial<AsyncRequest> = {}, { known = true, full = false } = {}) {
  const clock = new ManualClock();
  const backend = new Backend('keys', clock);
  if (full) backend.limits.default.requests = 1024;
  const results: Result<AsyncAnswer, AsyncFailure>[] = [];
  const call = sendAsync(
    { cluster: 'keys', head: new RequestHead('GET', '/jwks', 'idp'), body: null, timeoutMs: 1000, maxBytes: 10, ...more },
    { clock, random: seededRandom(1), clusters: { get: () => (known ? backend : null) } },
    (result) => results.push(result),
  );
  const kind = () => results.map((result) => (result.ok ? result.value.status : result.error.kind));
  return { clock, backend, results, call, kind };
}

test('the whole answer comes at once, and the cluster has nothing under way afterwards', () => {
  const { backend, results } = started();
  const [request] = backend.requests;
  request?.begin(200, ['content-type', 'application/json']);
  request?.part('{"a"');
  assert.equal(results.length, 0);
  request?.part(':1}');
  request?.end(['x-end', 'y']);
  const [result] = results;
  assert.ok(result?.ok);
  assert.deepEqual([result.value.status, result.value.body.toString(), result.value.trailers?.get('x-end')], [200, '{"a":1}', 'y']);
  assert.deepEqual([backend.limits.default.requests, backend.host.state.activeRequests, backend.stats.rqActive.value, backend.stats.rqCompleted.value], [0, 0, 0, 1]);
});

test('a body is sent with its length', () => {
  const { backend } = started({ head: new RequestHead('POST', '/check', 'authz'), body: Buffer.from('hello') });
  const [request] = backend.requests;
  assert.deepEqual([request?.head.headers.get('content-length'), request?.body, request?.ended], ['5', 'hello', true]);
});

test('an answer larger than allowed is given up', () => {
  const { backend, kind } = started();
  backend.requests[0]?.begin();
  backend.requests[0]?.part('x'.repeat(11));
  assert.deepEqual(kind(), ['too-large']);
  assert.equal(backend.requests[0]?.wasReset, true);
});

test('an answer that is late is given up, also when it has begun', () => {
  const { backend, clock, kind } = started();
  backend.requests[0]?.begin();
  clock.advance(1000);
  assert.deepEqual(kind(), ['timeout']);
  assert.equal(backend.requests[0]?.wasReset, true);
  assert.equal(backend.limits.default.requests, 0);
});

test('failures at once are told after the call returned', () => {
  for (const [options, wanted] of [[{ known: false }, 'no-cluster'], [{ full: true }, 'overflow']] as const) {
    const { clock, kind } = started({}, options);
    assert.deepEqual(kind(), []);
    clock.advance(0);
    assert.deepEqual(kind(), [wanted]);
    clock.advance(5000);
    assert.equal(kind().length, 1);
  }
});

test('a cancelled call tells nothing and lets go of its stream', () => {
  const { backend, clock, call, kind } = started();
  call.cancel();
  call.cancel();
  clock.advance(5000);
  assert.deepEqual(kind(), []);
  assert.deepEqual([backend.requests[0]?.wasReset, backend.limits.default.requests, backend.stats.rqActive.value], [true, 0, 0]);
});

test('a reused connection that was dead already costs a repeatable request nothing, and others their answer', () => {
  const get = started();
  get.backend.requests[0]?.break(true);
  get.backend.requests[1]?.respond(204);
  assert.deepEqual(get.kind(), [204]);
  const post = started({ head: new RequestHead('POST', '/', 'a'), body: Buffer.from('x') });
  post.backend.requests[0]?.break(true);
  assert.deepEqual(post.kind(), ['reset']);
  const check = started({ head: new RequestHead('POST', '/', 'a'), body: Buffer.from('x'), repeatable: true });
  check.backend.requests[0]?.break(true);
  check.backend.requests[1]?.break(true);
  assert.deepEqual(check.kind(), ['reset']);
  assert.equal(check.backend.requests[1]?.body, 'x');
});
