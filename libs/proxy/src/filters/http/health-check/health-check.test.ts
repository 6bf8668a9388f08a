import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterJson, requestText, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;
const healthz = [{ name: ':path', stringMatch: { exact: '/healthz' } }];

const served = (config: Json): Served => new Served({ filters: [filterJson('envoy.filters.http.health_check', 'envoy.extensions.filters.http.health_check.v3.HealthCheck', { headers: healthz, ...config })] });

function ask(world: Served, path = '/healthz', status = 200, fields: readonly string[] = []) {
  const { wire } = world.connect();
  wire.receive(requestText(path));
  const request = world.backend.requests.shift();
  request?.respond(status, ['content-length', '2', ...fields]);
  return { status: Number(wire.sent.slice(9, 12)), sent: wire.sent, reached: request !== undefined, info: world.done.at(-1) };
}

test('a health check is answered here, everything else by the upstream', () => {
  const world = served({ passThroughMode: false });
  const check = ask(world);
  assert.deepEqual([check.status, check.reached, check.info?.responseCodeDetails, check.info?.healthCheck], [200, false, 'health_check_ok', true]);
  assert.match(check.sent, /x-envoy-upstream-healthchecked-cluster: /);
  assert.equal(ask(world, '/').reached, true);
});

test('a failed proxy fails its checks and tells so on every other answer', () => {
  for (const passThroughMode of [true, false]) {
    const world = served({ passThroughMode });
    world.shared.healthFailed = true;
    const check = ask(world);
    assert.deepEqual([check.status, check.reached, check.info?.responseFlags, check.info?.responseCodeDetails], [503, false, 1, 'health_check_failed']);
    assert.doesNotMatch(check.sent, /immediate-health-check-fail/);
    assert.match(ask(world, '/').sent, /x-envoy-immediate-health-check-fail: true\r\n/);
    world.shared.healthFailed = false;
    assert.doesNotMatch(ask(world, '/').sent, /immediate-health-check-fail/);
  }
});

test("the upstream's answer is kept for the cache time", () => {
  const world = served({ passThroughMode: true, cacheTime: '5s' });
  assert.equal(ask(world, '/healthz', 503, ['x-envoy-degraded', '']).reached, true);
  const kept = ask(world);
  assert.deepEqual([kept.status, kept.reached, kept.info?.responseCodeDetails], [503, false, 'health_check_cached']);
  assert.match(kept.sent, /x-envoy-degraded: \r\n/);
  world.clock.advance(5000);
  assert.deepEqual([ask(world).status, ask(world).reached], [200, false]);
});

test('clusters must have enough healthy hosts', () => {
  const of = (clusterMinHealthyPercentages: Json, failed = false) => {
    const world = served({ passThroughMode: false, clusterMinHealthyPercentages });
    world.backend.host.state.failedHealthCheck = failed;
    const { status, info } = ask(world);
    return [status, info?.responseCodeDetails];
  };
  assert.deepEqual(of({ app: { value: 50 } }), [200, 'health_check_ok_cluster_healthy']);
  assert.deepEqual(of({ app: { value: 50 } }, true), [503, 'health_check_failed_cluster_unhealthy']);
  assert.deepEqual(of({ app: { value: 0 } }, true), [200, 'health_check_ok_cluster_healthy']);
  assert.deepEqual(of({ gone: { value: 1 } }), [503, 'health_check_failed_no_cluster_found']);
});

test('settings that make no sense together are refused by name', () => {
  assert.throws(() => served({}), /pass_through_mode/);
  assert.throws(() => served({ passThroughMode: false, cacheTime: '1s' }), /cache_time/);
  assert.throws(() => served({ passThroughMode: true, clusterMinHealthyPercentages: { app: { value: 1 } } }), /cluster_min_healthy_percentages/);
  assert.throws(() => served({ passThroughMode: false, clusterMinHealthyPercentages: { app: { value: 101 } } }), /cluster_min_healthy_percentages\[app\]/);
});
