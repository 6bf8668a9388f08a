import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlatStats } from '@meltemi/observe';
import { ClusterLimits } from './upstream.ts';

const breaker = { maxConnections: 2, maxPendingRequests: 1, maxRequests: 10, maxRetries: 3, trackRemaining: false, retryBudget: null };

function limited(more: Partial<typeof breaker> = {}) {
  const stats = new FlatStats();
  const limits = new ClusterLimits({ ...breaker, ...more }, stats, 'cluster.app.circuit_breakers.default');
  return { limits, gauge: (name: string) => stats.gauge(`cluster.app.circuit_breakers.default.${name}`).value };
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
  const limits = new ClusterLimits({ ...breaker, retryBudget: { percent: 20, minConcurrency: 3 } });
  limits.retries = 2;
  assert.equal(limits.canRetry, true);
  limits.retries = 3;
  assert.equal(limits.canRetry, false);
  limits.requests = 15;
  limits.pending = 5;
  assert.equal(limits.canRetry, true);
});
