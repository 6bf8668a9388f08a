import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Report } from '@meltemi/route';
import { compileBalancing } from './lb-policy.ts';

function compile(json: object) {
  const report = new Report();
  const value = compileBalancing(Cluster.decode(jsonToBinary('envoy.config.cluster.v3.Cluster', { name: 'c', ...json })), report);
  return { ...value, errors: report.errors.map(({ path }) => path), warnings: report.warnings.map(({ path }) => path) };
}

const extension = (name: string, config: object = {}) => ({ typed_extension_config: { name, typed_config: { '@type': `type.googleapis.com/envoy.extensions.load_balancing_policies.${name}`, ...config } } });
const policies = (...list: object[]) => ({ load_balancing_policy: { policies: list } });
const base = 'load_balancing_policy.policies[0].typed_extension_config.typed_config';

test('every lb_policy compiles with Envoy\'s defaults', () => {
  assert.deepEqual(compile({}).lbPolicy, { kind: 'round_robin', slowStart: null });
  assert.deepEqual(compile({ lb_policy: 'RING_HASH' }).lbPolicy, { kind: 'ring_hash', minRingSize: 1024, maxRingSize: 8_388_608, hashFunction: 'xx', useHostname: false, balanceFactor: 0 });
  assert.deepEqual(compile({ lb_policy: 'MAGLEV' }).lbPolicy, { kind: 'maglev', tableSize: 65_537, useHostname: false, balanceFactor: 0 });
  assert.deepEqual(compile({ lb_policy: 'RANDOM' }).lbPolicy, { kind: 'random' });
});

test('settings of hashing and slow start are taken', () => {
  const ring = compile({
    lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 10, maximum_ring_size: 100, hash_function: 'MURMUR_HASH_2' },
    common_lb_config: { consistent_hashing_lb_config: { use_hostname_for_hashing: true, hash_balance_factor: 150 } },
  });
  assert.deepEqual(ring.lbPolicy, { kind: 'ring_hash', minRingSize: 10, maxRingSize: 100, hashFunction: 'murmur2', useHostname: true, balanceFactor: 150 });
  const slow = compile({ round_robin_lb_config: { slow_start_config: { slow_start_window: '60s', aggression: { default_value: 2, runtime_key: 'a' }, min_weight_percent: { value: 5 } } } });
  assert.deepEqual(slow.lbPolicy, { kind: 'round_robin', slowStart: { windowMs: 60_000, aggression: 2, minWeight: 0.05 } });
});

test('extensions mean the same; the first known one wins', () => {
  const unknown = { typed_extension_config: { name: 'x', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1s' } } };
  const ring = compile(policies(unknown, extension('ring_hash.v3.RingHash', { hash_function: 'MURMUR_HASH_2', minimum_ring_size: 8, locality_weighted_lb_config: {} })));
  assert.deepEqual(ring.lbPolicy, { kind: 'ring_hash', minRingSize: 8, maxRingSize: 8_388_608, hashFunction: 'murmur2', useHostname: false, balanceFactor: 0 });
  assert.deepEqual([ring.localityWeighted, ring.warnings], [true, [base]]);
  assert.deepEqual(compile(policies(extension('maglev.v3.Maglev', { table_size: 7 }))).lbPolicy, { kind: 'maglev', tableSize: 7, useHostname: false, balanceFactor: 0 });
  const wrr = compile(policies(extension('wrr_locality.v3.WrrLocality', { endpoint_picking_policy: { policies: [extension('least_request.v3.LeastRequest', { selection_method: 'FULL_SCAN' })] } })));
  assert.deepEqual([wrr.lbPolicy, wrr.localityWeighted], [{ kind: 'least_request', choiceCount: 2, activeRequestBias: 1, fullScan: true, slowStart: null }, true]);
  const subset = compile(policies(extension('subset.v3.Subset', { subset_selectors: [{ keys: ['v'] }], panic_mode_any: true, subset_lb_policy: { policies: [extension('random.v3.Random')] } })));
  assert.deepEqual([subset.lbPolicy, subset.subsets?.panicModeAny, subset.errors], [{ kind: 'random' }, true, []]);
  assert.deepEqual(compile(policies(extension('round_robin.v3.RoundRobin', { locality_lb_config: { zone_aware_lb_config: { fail_traffic_on_panic: true } } }))).failTrafficOnPanic, true);
});

test('what cannot be is refused by its path', () => {
  assert.deepEqual(compile({ lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 65_536 } }).errors, ['maglev_lb_config.table_size']);
  assert.deepEqual(compile({ lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 10, maximum_ring_size: 5 } }).errors, ['ring_hash_lb_config.minimum_ring_size']);
  assert.deepEqual(compile({ lb_policy: 'LOAD_BALANCING_POLICY_CONFIG' }).errors, ['load_balancing_policy']);
  assert.deepEqual(compile({ ...policies(extension('random.v3.Random')), lb_subset_config: { subset_selectors: [{ keys: ['a'] }] }, common_lb_config: { locality_weighted_lb_config: {} } }).errors, ['lb_subset_config', 'common_lb_config']);
  assert.deepEqual(compile(policies(extension('wrr_locality.v3.WrrLocality'))).errors, [`${base}.endpoint_picking_policy`]);
  assert.deepEqual(compile({ lb_subset_config: { subset_selectors: [{ keys: ['a', 'b'], single_host_per_subset: true }, { keys: ['a'], fallback_policy: 'KEYS_SUBSET', fallback_keys_subset: ['a'] }] } }).errors,
    ['lb_subset_config.subset_selectors[0].single_host_per_subset', 'lb_subset_config.subset_selectors[1].fallback_keys_subset']);
});

test('zone aware routing has Envoy\'s defaults, and is off where localities have weights', () => {
  const zones = (json: object) => compile({ common_lb_config: json }).zoneAware;
  assert.deepEqual(zones({}), { routingPercent: 100, minClusterSize: 6 });
  assert.deepEqual(zones({ zone_aware_lb_config: { min_cluster_size: 3, routing_enabled: { value: 40 } } }), { routingPercent: 40, minClusterSize: 3 });
  assert.equal(zones({ locality_weighted_lb_config: {} }), null);
  assert.deepEqual(compile({ common_lb_config: { zone_aware_lb_config: { fail_traffic_on_panic: true } } }).failTrafficOnPanic, true);
});
