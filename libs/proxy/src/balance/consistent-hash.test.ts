import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hash64, seededRandom, xxHash64, type Hash64 } from '@meltemi/base';
import type { Endpoint, LbPolicy, LoadAssignment, MaglevPolicy, RingHashPolicy } from '@meltemi/snapshot';
import { Balancer, HostStore, plainPick, type BalanceConfig, type Picker } from './index.ts';

const nowhere = { region: '', zone: '', subZone: '' };
const ring: RingHashPolicy = { kind: 'ring_hash', minRingSize: 1024, maxRingSize: 8_388_608, hashFunction: 'xx', useHostname: false, balanceFactor: 0 };
const maglev: MaglevPolicy = { kind: 'maglev', tableSize: 65_537, useHostname: false, balanceFactor: 0 };

function endpoint(n: number, over: Partial<Endpoint> = {}): Endpoint {
  const address = `10.0.${n >> 8}.${n & 255}`;
  return { target: { kind: 'ip', address, port: 80 }, key: `${address}:80`, hostname: `host-${n}`, weight: 1, health: 'healthy', metadata: null, locality: nowhere, ...over };
}

function assignment(endpoints: Endpoint[]): LoadAssignment {
  return { clusterName: 'c', priorities: [[{ locality: nowhere, weight: null, endpoints }]], overprovisioningFactor: 140, weightedPriorityHealth: false, drops: [] };
}

function setUp(lbPolicy: LbPolicy, endpoints: Endpoint[], over: Partial<BalanceConfig> = {}) {
  const store = new HostStore(() => 0);
  store.update(assignment(endpoints));
  let active = 0;
  const balancer = new Balancer({ lbPolicy, subsets: null, healthyPanicThreshold: 50, failTrafficOnPanic: false, localityWeighted: false, zoneAware: null, ...over }, { now: () => 0, activeRequests: () => active, count: () => {} });
  const pickFor = (picker: Picker, text: string | null, attempts = 0, avoid: string | null = null) => {
    const previous = avoid === null ? null : store.current.all.filter(({ key }) => key === avoid);
    const hash = (into: Hash64) => (text === null ? false : (xxHash64(text, into), true));
    return picker.pick({ metadataMatch: null, previousHosts: previous, maxAttempts: attempts, random, ...plainPick, hash });
  };
  const random = seededRandom(3);
  return {
    store, balancer, pickFor,
    load: (requests: number) => { active = requests; },
    /** Where each of n users belongs. */
    map: (n: number) => {
      const picker = balancer.picker(store.current);
      return Array.from({ length: n }, (_unused, i) => pickFor(picker, `user-${i}`)?.key ?? 'none');
    },
  };
}

const many = (n: number) => Array.from({ length: n }, (_unused, i) => endpoint(i + 1));
const counted = (keys: readonly string[]) => {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
};

for (const policy of [ring, { ...ring, hashFunction: 'murmur2' }, maglev] as const) {
  const name = policy.kind === 'maglev' ? 'maglev' : `ring hash ${policy.hashFunction}`;

  test(`${name}: the same hash leads to the same host, whatever order the hosts come in`, () => {
    const hosts = many(10);
    assert.deepEqual(setUp(policy, hosts).map(300), setUp(policy, hosts.toReversed()).map(300));
  });

  test(`${name}: a host that leaves moves its own users and few others`, () => {
    const before = setUp(policy, many(20)).map(4000);
    const after = setUp(policy, many(20).filter(({ key }) => key !== '10.0.0.7:80')).map(4000);
    const own = before.filter((key) => key === '10.0.0.7:80').length;
    const moved = before.filter((key, i) => key !== after[i]).length;
    assert.ok(own > 60 && own < 400, `own ${own}`);
    if (policy.kind === 'ring_hash') assert.ok(moved < own + 200, `${moved} moved, ${own} had to`);
    else assert.ok(moved < own * 2, `${moved} moved, ${own} had to`);
  });

  test(`${name}: hosts share by weight`, () => {
    const hosts = [endpoint(1, { weight: 1 }), endpoint(2, { weight: 3 })];
    const large = policy.kind === 'ring_hash' ? { ...policy, minRingSize: 20_000 } : policy;
    const heavy = counted(setUp(large, hosts).map(4000)).get('10.0.0.2:80') ?? 0;
    assert.ok(heavy > 2800 && heavy < 3200, String(heavy));
  });

  test(`${name}: picking again leads to another host, and without a hash to any`, () => {
    const { store, balancer, pickFor } = setUp(policy, many(5));
    const picker = balancer.picker(store.current);
    for (let i = 0; i < 50; i++) {
      const first = pickFor(picker, `user-${i}`);
      assert.notEqual(pickFor(picker, `user-${i}`, 20, first?.key)?.key, first?.key);
    }
    assert.equal(new Set(Array.from({ length: 100 }, () => pickFor(picker, null)?.key)).size, 5);
  });

  test(`${name}: an empty set gives nobody`, () => {
    assert.deepEqual(setUp(policy, []).map(2), ['none', 'none']);
  });

  test(`${name}: hash_key of the metadata, or the hostname, stands for the host`, () => {
    const keyed = (n: number, key: string) => endpoint(n, { metadata: { 'envoy.lb': { hash_key: key } } });
    const one = setUp(policy, [keyed(1, 'a'), keyed(2, 'b')]).map(100).map((key) => key === '10.0.0.1:80');
    const swapped = setUp(policy, [keyed(1, 'b'), keyed(2, 'a')]).map(100).map((key) => key === '10.0.0.2:80');
    assert.deepEqual(one, swapped);
    const named = { ...policy, useHostname: true };
    const moved = (address: string) => setUp(named, [endpoint(1), endpoint(2, { key: address })]).map(100).map((key) => key === '10.0.0.1:80');
    assert.deepEqual(moved('10.9.9.9:80'), moved('10.8.8.8:80'));
  });

  test(`${name}: with bounded load a busy host passes its users on, each to the same other one`, () => {
    const { store, balancer, pickFor, load } = setUp({ ...policy, balanceFactor: 150 }, many(4));
    const picker = balancer.picker(store.current);
    const own = pickFor(picker, 'user');
    assert.ok(own);
    own.state.activeRequests = 10;
    load(10);
    const other = pickFor(picker, 'user');
    assert.notEqual(other?.key, own.key);
    assert.equal(pickFor(picker, 'user')?.key, other?.key);
    own.state.activeRequests = 1;
    load(1);
    assert.equal(pickFor(picker, 'user')?.key, own.key);
  });

  test(`${name}: an unhealthy host is not there`, () => {
    const { store, map } = setUp(policy, many(4));
    const [first] = store.current.all;
    assert.ok(first);
    first.state.ejected = true;
    store.refresh();
    const counts = counted(map(500));
    assert.equal(counts.has(first.key), false);
    assert.equal(counts.size, 3);
  });
}

test('ring hash: a place is where "<address>_<n>" hashes to', () => {
  // With one place per host a request belongs to the host whose place is the next one.
  const { map } = setUp({ ...ring, minRingSize: 1, maxRingSize: 3 }, many(3));
  const at = hash64();
  const value = (text: string) => {
    xxHash64(text, at);
    return (BigInt(at.hi) << 32n) | BigInt(at.lo);
  };
  const places = many(3).map(({ key }) => ({ key, at: value(`${key}_0`) })).toSorted((a, b) => (a.at < b.at ? -1 : 1));
  assert.deepEqual(map(50), Array.from({ length: 50 }, (_unused, i) => (places.find((one) => one.at >= value(`user-${i}`)) ?? places[0])?.key));
});

test('a hash decides about the priority too', () => {
  const store = new HostStore(() => 0);
  const half = [endpoint(1), endpoint(2, { health: 'unhealthy' })];
  store.update({ ...assignment([]), priorities: [[{ locality: nowhere, weight: null, endpoints: half }], [{ locality: nowhere, weight: null, endpoints: [endpoint(3)] }]] });
  const picker = new Balancer({ lbPolicy: maglev, subsets: null, healthyPanicThreshold: 50, failTrafficOnPanic: false, localityWeighted: false, zoneAware: null }, { now: () => 0, activeRequests: () => 0, count: () => {} }).picker(store.current);
  const pick = (text: string, seed: number) => picker.pick({ metadataMatch: null, previousHosts: null, maxAttempts: 0, random: seededRandom(seed), ...plainPick, hash: (into) => (xxHash64(text, into), true) })?.key;
  const first = Array.from({ length: 500 }, (_unused, i) => pick(`user-${i}`, 1));
  assert.deepEqual(first, Array.from({ length: 500 }, (_unused, i) => pick(`user-${i}`, 2)));
  const spilled = counted(first.map(String)).get('10.0.0.3:80') ?? 0;
  assert.ok(spilled > 110 && spilled < 190, String(spilled));
});

test('localities share the table by weight', () => {
  const store = new HostStore(() => 0);
  const locality = (zone: string, weight: number, endpoints: Endpoint[]) => ({ locality: { ...nowhere, zone }, weight, endpoints });
  store.update({ ...assignment([]), priorities: [[locality('a', 3, [endpoint(1)]), locality('b', 1, [endpoint(2), endpoint(3)])]] });
  const { map } = { map: setUp(maglev, []).map };
  assert.deepEqual(map(1), ['none']);
  const picker = new Balancer({ lbPolicy: maglev, subsets: null, healthyPanicThreshold: 50, failTrafficOnPanic: false, localityWeighted: true, zoneAware: null }, { now: () => 0, activeRequests: () => 0, count: () => {} }).picker(store.current);
  const keys = Array.from({ length: 4000 }, (_unused, i) => picker.pick({ metadataMatch: null, previousHosts: null, maxAttempts: 0, random: seededRandom(1), ...plainPick, hash: (into) => (xxHash64(`u${i}`, into), true) })?.key ?? 'none');
  const first = counted(keys).get('10.0.0.1:80') ?? 0;
  assert.ok(first > 2850 && first < 3150, String(first));
});
