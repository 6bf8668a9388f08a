import assert from 'node:assert/strict';
import { test } from 'node:test';
import { binaryToJson, jsonToBinary } from './json.ts';
import { mergeBinary, type MergeOptions } from './merge.ts';

const cluster = 'envoy.config.cluster.v3.Cluster';

function merged(typeName: string, base: object, patch: object, options?: MergeOptions): unknown {
  return binaryToJson(typeName, mergeBinary(typeName, jsonToBinary(typeName, base), jsonToBinary(typeName, patch), options));
}

test('a scalar of the patch wins, what the patch does not name stays', () => {
  assert.deepEqual(merged(cluster, { name: 'a', alt_stat_name: 'x' }, { alt_stat_name: 'y' }), { name: 'a', alt_stat_name: 'y' });
});

test('a duration and a wrapper are replaced whole, also by zero', () => {
  assert.deepEqual(merged(cluster, { connect_timeout: '1.5s' }, { connect_timeout: '2s' }), { connect_timeout: '2s' });
  assert.deepEqual(merged(cluster, { per_connection_buffer_limit_bytes: 9 }, { per_connection_buffer_limit_bytes: 0 }), { per_connection_buffer_limit_bytes: 0 });
});

test('messages merge, lists grow or are replaced, map entries are replaced', () => {
  const base = { common_lb_config: { update_merge_window: '1s' }, health_checks: [{ timeout: '1s' }], metadata: { filter_metadata: { a: { x: 1 }, b: { y: 1 } } } };
  const patch = { common_lb_config: { ignore_new_hosts_until_first_hc: true }, health_checks: [{ timeout: '2s' }], metadata: { filter_metadata: { a: { z: 2 } } } };
  const metadata = { filter_metadata: { a: { z: 2 }, b: { y: 1 } } };
  assert.deepEqual(merged(cluster, base, patch), { common_lb_config: { update_merge_window: '1s', ignore_new_hosts_until_first_hc: true }, health_checks: [{ timeout: '1s' }, { timeout: '2s' }], metadata });
  assert.deepEqual(merged(cluster, base, patch, { replaceLists: true }), { common_lb_config: { update_merge_window: '1s', ignore_new_hosts_until_first_hc: true }, health_checks: [{ timeout: '2s' }], metadata });
});

test('another member of a oneof takes the place of the first', () => {
  const route = 'envoy.config.route.v3.RouteAction';
  assert.deepEqual(merged(route, { cluster: 'a', timeout: '1s' }, { cluster_header: 'x' }), { cluster_header: 'x', timeout: '1s' });
});
