import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import { parseRetryOn, type RetryPolicy } from '@meltemi/route';
import type { Host } from '../../../balance/index.ts';
import { noOverrides, type RetryOverrides } from './control-headers.ts';
import { localReset } from './failure-reply.ts';
import { RetryState } from './retry-state.ts';

const policy = (on: string, more: Partial<RetryPolicy> = {}): RetryPolicy => ({
  on: parseRetryOn(on), numRetries: 2, perTryTimeoutMs: 0, perTryIdleTimeoutMs: 0, backoffBaseMs: 25, backoffMaxMs: 250, retriableStatusCodes: [], retriableHeaders: [],
  retriableRequestHeaders: [], avoidPreviousHosts: false, omitCanaryHosts: false, omitMetadata: [], leavePrioritiesAfter: 0, hostSelectionMaxAttempts: 1, rateLimited: null, ...more,
});
const request = new RequestHead('GET', '/');
const state = (on: string, more: Partial<RetryPolicy> = {}, overrides: Partial<RetryOverrides> = {}) => RetryState.create(policy(on, more), request, { ...noOverrides, ...overrides });
const answer = (status: number, headers: Record<string, string> = {}) => new ResponseHead(status, HeaderMap.from(headers));
const connect = { kind: 'pool', failure: { kind: 'connect', transportFailure: null } } as const;
const reset = { kind: 'reset', reset: { kind: 'termination', detail: '', stale: false, refused: false } } as const;
const refused = { kind: 'reset', reset: { kind: 'remote', detail: '', stale: false, refused: true } } as const;
const overflow = { kind: 'pool', failure: { kind: 'overflow', transportFailure: null } } as const;

test('which answers call for a retry', () => {
  for (const [on, status, headers, wanted] of [
    ['5xx', 500, {}, true], ['5xx', 499, {}, false], ['gateway-error', 500, {}, false], ['gateway-error', 503, {}, true], ['retriable-4xx', 409, {}, true],
    ['5xx', 503, { 'x-envoy-ratelimited': 'true' }, false], ['5xx,envoy-ratelimited', 503, { 'x-envoy-ratelimited': 'true' }, true],
    ['unavailable', 200, { 'grpc-status': '14' }, true], ['unavailable', 200, { 'grpc-status': '13' }, false], ['connect-failure', 503, {}, false],
  ] as const)
    assert.equal(state(on)?.wantsAfterResponse(answer(status, headers)), wanted, `${on} ${status}`);
  assert.equal(state('retriable-status-codes', { retriableStatusCodes: [418] })?.wantsAfterResponse(answer(418)), true);
});

test('which failures call for a retry', () => {
  assert.equal(state('connect-failure')?.wantsAfterFailure(connect, false), true);
  assert.equal(state('connect-failure')?.wantsAfterFailure(reset, true), false);
  assert.equal(state('reset-before-request')?.wantsAfterFailure(reset, true), false);
  assert.equal(state('5xx')?.wantsAfterFailure(reset, true), true);
  assert.equal(state('refused-stream')?.wantsAfterFailure(refused, true), true);
  assert.equal(state('refused-stream')?.wantsAfterFailure(reset, true), false);
  assert.equal(state('reset-before-request')?.wantsAfterFailure(reset, false), true);
  assert.equal(state('5xx')?.wantsAfterFailure(overflow, false), false);
  assert.equal(state('5xx')?.wantsAfterFailure(localReset, true), true);
  assert.equal(state('connect-failure')?.wantsAfterFailure(localReset, true), false);
});

test('waits grow, are random, and are capped; what the answer asks wins', () => {
  const half = { next: () => 0.5 };
  const retries = state('5xx', { numRetries: 6 });
  const waits = Array.from({ length: 6 }, () => {
    retries?.spend();
    return retries?.delay(half, null, 0).ms;
  });
  assert.deepEqual(waits, [12.5, 25, 50, 100, 125, 125]);
  assert.equal(retries?.exhausted, true);
  const limited = state('5xx', { rateLimited: { headers: [{ name: 'retry-after', unix: false }], maxMs: 5000 } });
  assert.deepEqual(limited?.delay({ next: () => 0 }, answer(503, { 'retry-after': '2' }), 0), { ms: 2000, asked: true });
});

test('the request may ask for more, and a policy without conditions retries nothing', () => {
  assert.equal(state(''), null);
  assert.equal(state('', {}, { on: parseRetryOn('5xx'), max: 7 })?.wantsAfterResponse(answer(500)), true);
  assert.equal(state('5xx', {}, { max: 0 })?.exhausted, true);
  assert.equal(state('retriable-status-codes', {}, { statusCodes: [418] })?.wantsAfterResponse(answer(418)), true);
  assert.equal(state('retriable-headers', {}, { headerNames: ['x-again'] })?.wantsAfterResponse(answer(200, { 'x-again': '1' })), true);
});

test('priorities are left out once as many attempts failed as the policy says', () => {
  const at = (priority: number) => ({ priority }) as Host;
  const retries = state('5xx', { leavePrioritiesAfter: 2 });
  const left = [0, 1, 1, 2].map((priority) => {
    retries?.tried(at(priority));
    return [...(retries?.triedPriorities ?? [])];
  });
  assert.deepEqual(left, [[], [0, 1], [0, 1], [0, 1, 1, 2]]);
  const plain = state('5xx');
  plain?.tried(at(0));
  assert.deepEqual(plain?.triedPriorities, []);
});
