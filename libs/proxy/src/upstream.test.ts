import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { FlatStats } from '@meltemi/observe';
import type { CircuitBreaker } from '@meltemi/snapshot';
import { AtomicRows, sharedRowsBuffer } from './atomic-rows.ts';
import { ClusterLimits } from './upstream.ts';

const breaker: CircuitBreaker = { maxConnections: 2, maxPendingRequests: 1, maxRequests: 10, maxRetries: 3, trackRemaining: false, retryBudget: null };

function limited(more: Partial<CircuitBreaker> = {}) {
  const stats = new FlatStats();
  const limits = new ClusterLimits({ ...breaker, ...more }, { stats, prefix: 'cluster.app.circuit_breakers.default' });
  return { limits, gauge: gaugesOf(limits, stats) };
}

/** Gauges as they are read: brought up to date before. */
function gaugesOf(limits: ClusterLimits, stats: FlatStats) {
  return (name: string) => {
    limits.show();
    return stats.gauge(`cluster.app.circuit_breakers.default.${name}`).value;
  };
}

/** The limits of one cluster in each worker of a process. */
function workers(count: number, more: Partial<CircuitBreaker> = {}, clock = new ManualClock()) {
  const buffer = sharedRowsBuffer(count);
  const view = (worker: number) => new AtomicRows(buffer, { workers: count, worker, offsetMs: 0 });
  const begin = (worker: number) => {
    const stats = new FlatStats();
    const limits = new ClusterLimits({ ...breaker, ...more }, { stats, prefix: 'cluster.app.circuit_breakers.default', row: view(worker).hold('app'), clock });
    return { limits, gauge: gaugesOf(limits, stats) };
  };
  return { control: view(count), begin, all: Array.from({ length: count }, (_, worker) => begin(worker)) as [ReturnType<typeof begin>, ReturnType<typeof begin>] };
}

test('gauges say which circuit breaker is at its limit, as long as it is', () => {
  const { limits, gauge } = limited();
  limits.connections++;
  assert.deepEqual([gauge('cx_open'), limits.canConnect], [0, true]);
  limits.connections++;
  limits.pending++;
  assert.deepEqual([gauge('cx_open'), gauge('rq_pending_open'), gauge('rq_open'), limits.canConnect, limits.canPend], [1, 1, 0, false, false]);
  limits.connections--;
  limits.pending--;
  assert.deepEqual([gauge('cx_open'), gauge('rq_pending_open')], [0, 0]);
});

test('track_remaining: gauges say what is left', () => {
  const { limits, gauge } = limited({ trackRemaining: true });
  limits.requests += 3;
  limits.retries++;
  assert.deepEqual(['remaining_cx', 'remaining_pending', 'remaining_rq', 'remaining_retries'].map(gauge), [2, 1, 7, 2]);
});

test('new limits count what is in use already', () => {
  const { limits, gauge } = limited();
  limits.requests = 5;
  limits.limits = { ...breaker, maxRequests: 5 };
  assert.deepEqual([gauge('rq_open'), limits.canRequest], [1, false]);
  limits.limits = breaker;
  assert.deepEqual([gauge('rq_open'), limits.canRequest], [0, true]);
});

test('a retry budget is a share of active and pending requests, and never less than its minimum', () => {
  const limits = new ClusterLimits({ ...breaker, retryBudget: { percent: 20, minConcurrency: 3, intervalMs: 0 } });
  limits.retries = 2;
  assert.equal(limits.canRetry, true);
  limits.retries = 3;
  assert.equal(limits.canRetry, false);
  limits.requests = 15;
  limits.pending = 5;
  assert.equal(limits.canRetry, true);
});

test('a limit holds for all workers together', () => {
  const [one, two] = workers(2).all;
  one.limits.connections++;
  assert.equal(two.limits.canConnect, true);
  two.limits.connections++;
  one.limits.pending++;
  assert.deepEqual([one.limits.canConnect, two.limits.canConnect, two.limits.canPend], [false, false, false]);
  one.limits.connections--;
  assert.deepEqual([one.limits.canConnect, two.limits.canConnect, one.limits.connections, two.limits.connections], [true, true, 0, 1]);
});

test('a retry budget is a share of what all workers do', () => {
  const [one, two] = workers(2, { retryBudget: { percent: 20, minConcurrency: 1, intervalMs: 0 } }).all;
  one.limits.requests = 10;
  two.limits.retries = 1;
  assert.deepEqual([one.limits.canRetry, two.limits.canRetry], [true, true]);
  one.limits.retries = 1;
  assert.deepEqual([one.limits.canRetry, two.limits.canRetry], [false, false]);
  one.limits.requests = 15;
  assert.equal(two.limits.canRetry, true);
});

test('with an interval a budget counts requests for that long after their end, of all workers', () => {
  const clock = new ManualClock();
  const [one, two] = workers(2, { retryBudget: { percent: 10, minConcurrency: 0, intervalMs: 10_000 } }, clock).all;
  for (let sent = 0; sent < 20; sent++) {
    one.limits.requests++;
    one.limits.requests--;
    if (sent === 9) clock.advance(5000);
  }
  two.limits.retries = 1;
  assert.deepEqual([one.limits.canRetry, two.limits.canRetry], [true, true]);
  two.limits.retries = 2;
  assert.deepEqual([one.limits.canRetry, two.limits.canRetry], [false, false], 'twenty requests pay for two retries at once');
  two.limits.retries = 1;
  clock.advance(5000);
  assert.equal(one.limits.canRetry, false, 'the first ten are forgotten');
  two.limits.retries = 0;
  assert.equal(one.limits.canRetry, true);
  clock.advance(5000);
  assert.equal(one.limits.canRetry, false, 'all are');
});

test('a cluster that is gone takes its past requests with it', () => {
  const clock = new ManualClock();
  const [one, two] = workers(2, { retryBudget: { percent: 100, minConcurrency: 0, intervalMs: 10_000 } }, clock).all;
  one.limits.requests++;
  one.limits.requests--;
  assert.equal(two.limits.canRetry, true);
  one.limits.release();
  assert.equal(two.limits.canRetry, false);
});

test('gauges of all workers add up to what is true of the process', () => {
  const [one, two] = workers(2, { trackRemaining: true }).all;
  const sum = (name: string) => one.gauge(name) + two.gauge(name);
  one.limits.connections++;
  two.limits.connections++;
  two.limits.requests = 3;
  assert.deepEqual(['cx_open', 'rq_open', 'remaining_cx', 'remaining_rq'].map(sum), [1, 0, 0, 7]);
  one.limits.release();
  assert.deepEqual(['cx_open', 'rq_open', 'remaining_cx', 'remaining_rq'].map(two.gauge), [0, 0, 1, 7], 'another tells when the first has left');
});

test('a worker that dies gives back what it held, and its successor counts from nothing', () => {
  const { control, begin, all: [one, two] } = workers(2);
  one.limits.connections = 2;
  two.limits.requests = 1;
  assert.equal(two.limits.canConnect, false);
  control.forget(0);
  assert.equal(two.limits.canConnect, true);
  const successor = begin(0);
  two.limits.connections = 2;
  assert.deepEqual([successor.limits.canConnect, successor.limits.connections], [false, 0]);
});

test('a cluster that is removed and comes back while requests of the old one run counts both, and is forgotten with the last', () => {
  const { control, begin, all: [one, two] } = workers(2);
  two.limits.release();
  one.limits.connections = 1;
  const again = begin(0);
  again.limits.connections++;
  assert.equal(again.limits.canConnect, false);
  one.limits.connections--;
  one.limits.release();
  assert.deepEqual([again.limits.canConnect, control.size], [true, 1]);
  one.limits.connections++;
  assert.equal(again.limits.canConnect, true, 'who was late counts alone');
  again.limits.release();
  assert.equal(control.size, 0);
});
