import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@meltemi/base';
import { criteriaOf } from '@meltemi/route';
import type { Endpoint, LbPolicy, LoadAssignment, SubsetConfig } from '@meltemi/snapshot';
import { Balancer, HostStore, plainPick, type BalanceConfig, type BalanceParts, type Host, type PickContext } from './index.ts';

const nowhere = { region: '', zone: '', subZone: '' };

function endpoint(n: number, over: Partial<Endpoint> = {}): Endpoint {
  const address = `10.0.0.${n}`;
  return { target: { kind: 'ip', address, port: 80 }, key: `${address}:80`, hostname: '', weight: 1, health: 'healthy', metadata: null, locality: nowhere, ...over };
}

function assignment(...priorities: Endpoint[][]): LoadAssignment {
  return {
    clusterName: 'c', priorities: priorities.map((endpoints) => [{ locality: nowhere, weight: null, endpoints }]),
    overprovisioningFactor: 140, weightedPriorityHealth: false, drops: [],
  };
}

const roundRobin: LbPolicy = { kind: 'round_robin', slowStart: null };
const policies: readonly LbPolicy[] = [roundRobin, { kind: 'random' }, { kind: 'least_request', choiceCount: 2, activeRequestBias: 1, fullScan: false, slowStart: null }];

function config(lbPolicy: LbPolicy, over: Partial<BalanceConfig> = {}): BalanceConfig {
  return { lbPolicy, subsets: null, healthyPanicThreshold: 50, failTrafficOnPanic: false, localityWeighted: false, zoneAware: null, ...over };
}

const parts: BalanceParts = { now: () => 0, activeRequests: () => 0, count: () => {} };

function context(over: Partial<PickContext> = {}): PickContext {
  return { metadataMatch: null, previousHosts: null, maxAttempts: 1, random: seededRandom(7), ...plainPick, ...over };
}

function pickMany(settings: BalanceConfig, store: HostStore, count: number, over: Partial<PickContext> = {}): Map<string, number> {
  const picker = new Balancer(settings, parts).picker(store.current);
  const ctx = context(over);
  const counts = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const key = picker.pick(ctx)?.key ?? 'none';
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

function storeOf(...priorities: Endpoint[][]): HostStore {
  const store = new HostStore(() => 0);
  store.update(assignment(...priorities));
  return store;
}

for (const policy of policies) {
  const name = policy.kind;
  test(`${name}: an empty set gives no host`, () => {
    assert.deepEqual([...pickMany(config(policy), storeOf([]), 3)], [['none', 3]]);
    assert.equal(new Balancer(config(policy), parts).picker(new HostStore(() => 0).current).pick(context()), null);
  });

  test(`${name}: every healthy host gets its part, an unhealthy one nothing`, () => {
    const counts = pickMany(config(policy), storeOf([endpoint(1), endpoint(2), endpoint(3), endpoint(4, { health: 'unhealthy' })]), 3000);
    assert.equal(counts.size, 3);
    for (const count of counts.values()) assert.ok(count > 850 && count < 1150, String(count));
  });

  test(`${name}: below the panic threshold all hosts are used`, () => {
    const counts = pickMany(config(policy), storeOf([endpoint(1), endpoint(2, { health: 'unhealthy' }), endpoint(3, { health: 'unhealthy' })]), 300);
    assert.equal(counts.size, 3);
    const never = pickMany(config(policy, { healthyPanicThreshold: 0 }), storeOf([endpoint(1), endpoint(2, { health: 'unhealthy' }), endpoint(3, { health: 'unhealthy' })]), 300);
    assert.deepEqual([...never.keys()], ['10.0.0.1:80']);
  });

  test(`${name}: traffic spills to the next priority by Envoy's overprovisioning`, () => {
    // Half of priority 0 is healthy: 140 % of 50 % is 70 % of the traffic.
    const counts = pickMany(config(policy), storeOf([endpoint(1), endpoint(2, { health: 'unhealthy' })], [endpoint(3), endpoint(4)]), 10_000);
    const first = counts.get('10.0.0.1:80') ?? 0;
    assert.ok(first > 6800 && first < 7200, String(first));
    assert.equal(counts.has('10.0.0.2:80'), false);
  });

  test(`${name}: a previous host is avoided while attempts last`, () => {
    const store = storeOf([endpoint(1), endpoint(2)]);
    const avoid = store.current.byKey.get('10.0.0.1:80') as Host;
    const counts = pickMany(config(policy), store, 200, { previousHosts: [avoid], maxAttempts: 30 });
    assert.deepEqual([...counts.keys()], ['10.0.0.2:80']);
  });

  test(`${name}: an ejected host is left out after a refresh and keeps its counters`, () => {
    const store = storeOf([endpoint(1), endpoint(2), endpoint(3)]);
    const host = store.current.byKey.get('10.0.0.1:80') as Host;
    host.state.ejected = true;
    host.state.activeRequests = 5;
    store.refresh();
    assert.equal(pickMany(config(policy), store, 100).has(host.key), false);
    store.update(assignment([endpoint(1), endpoint(9)]));
    assert.equal(store.current.byKey.get(host.key), host);
    assert.equal(store.current.byKey.get(host.key)?.state.activeRequests, 5);
  });
}

test('a changed endpoint is a new host with the old counters', () => {
  const store = storeOf([endpoint(1)]);
  const before = store.current.byKey.get('10.0.0.1:80');
  store.update(assignment([endpoint(1, { weight: 5 })]));
  const after = store.current.byKey.get('10.0.0.1:80');
  assert.notEqual(after, before);
  assert.equal(after?.state, before?.state);
});

test('round robin and least request follow weights', () => {
  for (const policy of [policies[0], policies[2]] as LbPolicy[]) {
    const counts = pickMany(config(policy), storeOf([endpoint(1, { weight: 1 }), endpoint(2, { weight: 3 })]), 4000);
    const heavy = counts.get('10.0.0.2:80') ?? 0;
    assert.ok(heavy > 2950 && heavy < 3050, String(heavy));
  }
});

test('least request prefers the idle host', () => {
  const store = storeOf([endpoint(1), endpoint(2)]);
  (store.current.byKey.get('10.0.0.1:80') as Host).state.activeRequests = 10;
  const counts = pickMany(config(policies[2] as LbPolicy), store, 1000);
  assert.ok((counts.get('10.0.0.2:80') ?? 0) > 700);
});

test('localities share by weight when the cluster asks', () => {
  const store = new HostStore(() => 0);
  store.update({ ...assignment([]), priorities: [[
    { locality: { ...nowhere, zone: 'a' }, weight: 80, endpoints: [endpoint(1)] }, { locality: { ...nowhere, zone: 'b' }, weight: 20, endpoints: [endpoint(2), endpoint(3)] },
  ]] });
  const counts = pickMany(config({ kind: 'random' }, { localityWeighted: true }), store, 5000);
  const first = counts.get('10.0.0.1:80') ?? 0;
  assert.ok(first > 3850 && first < 4150, String(first));
});

test('weights of localities leave no healthy host out where only localities without one have any', () => {
  const zone = (name: string, weight: number | null, ...endpoints: Endpoint[]) => ({ locality: { ...nowhere, zone: name }, weight, endpoints });
  const store = new HostStore(() => 0);
  const settings = config({ kind: 'random' }, { localityWeighted: true });
  store.update({ ...assignment([]), priorities: [[zone('a', 1, endpoint(1, { health: 'unhealthy' })), zone('b', null, endpoint(2), endpoint(3))]] });
  assert.deepEqual([...pickMany(settings, store, 100).keys()].toSorted(), ['10.0.0.2:80', '10.0.0.3:80']);
  store.update({ ...assignment([]), priorities: [[zone('a', 1, endpoint(1)), zone('b', null, endpoint(2), endpoint(3))]] });
  assert.deepEqual([...pickMany(settings, store, 100).keys()], ['10.0.0.1:80']);
});

test('in panic every host counts, whatever its locality weighs', () => {
  const down = (n: number) => endpoint(n, { health: 'unhealthy' });
  const store = new HostStore(() => 0);
  store.update({ ...assignment([]), priorities: [[
    { locality: { ...nowhere, zone: 'a' }, weight: 99, endpoints: [down(1)] }, { locality: { ...nowhere, zone: 'b' }, weight: 1, endpoints: [down(2), down(3), endpoint(4)] }, { locality: nowhere, weight: null, endpoints: [down(5)] },
  ]] });
  const counts = pickMany(config({ kind: 'random' }, { localityWeighted: true }), store, 5000);
  for (const n of [1, 2, 3, 4, 5]) assert.ok(Math.abs((counts.get(`10.0.0.${n}:80`) ?? 0) - 1000) < 150, JSON.stringify([...counts]));
});

const versioned = (n: number, version: string) => endpoint(n, { metadata: { 'envoy.lb': { version } } });
const subsets = (over: Partial<SubsetConfig> = {}): SubsetConfig => ({
  fallback: 'none', defaultSubset: {}, selectors: [{ keys: ['version'], fallback: 'not-defined', fallbackKeys: [], singleHost: false }], listAsAny: false, localityWeightAware: false, scaleLocalityWeight: false,
  panicModeAny: false, metadataFallbackList: false, ...over,
});

test('a subset holds exactly the hosts with its metadata', () => {
  const store = storeOf([versioned(1, 'v1'), versioned(2, 'v2'), versioned(3, 'v1')]);
  const settings = config(roundRobin, { subsets: subsets() });
  assert.deepEqual([...pickMany(settings, store, 10, { metadataMatch: criteriaOf([['version', 'v1']]) }).keys()].toSorted(), ['10.0.0.1:80', '10.0.0.3:80']);
  assert.deepEqual([...pickMany(settings, store, 10, { metadataMatch: criteriaOf([['version', 'v9']]) }).keys()], ['none']);
  assert.deepEqual([...pickMany(settings, store, 10).keys()], ['none']);
});

test('an unknown subset falls back as configured', () => {
  const store = storeOf([versioned(1, 'v1'), versioned(2, 'v2')]);
  const wanted = { metadataMatch: criteriaOf([['version', 'v9']]) };
  assert.equal(pickMany(config(roundRobin, { subsets: subsets({ fallback: 'any' }) }), store, 10, wanted).size, 2);
  const toDefault = config(roundRobin, { subsets: subsets({ fallback: 'default', defaultSubset: { version: 'v2' } }) });
  assert.deepEqual([...pickMany(toDefault, store, 10, wanted).keys()], ['10.0.0.2:80']);
});

test('panic: no host when traffic shall fail', () => {
  const mostlyDown = storeOf([endpoint(1), endpoint(2, { health: 'unhealthy' }), endpoint(3, { health: 'unhealthy' })]);
  assert.deepEqual([...pickMany(config(roundRobin, { failTrafficOnPanic: true }), mostlyDown, 10).keys()], ['none']);
});

test('when every priority panics they share by number of hosts', () => {
  const down = (n: number) => endpoint(n, { health: 'unhealthy' });
  const counts = pickMany(config({ kind: 'random' }), storeOf([endpoint(1), down(2), down(3), down(4), down(5)], [down(6), down(7), down(8), down(9), down(10)]), 4000);
  assert.equal(counts.size, 10);
  for (const count of counts.values()) assert.ok(count > 320 && count < 480, String(count));
});

test('weighted_priority_health counts weights instead of hosts', () => {
  const store = new HostStore(() => 0);
  const hosts = [endpoint(1, { weight: 9 }), endpoint(2, { weight: 1, health: 'unhealthy' }), endpoint(3, { weight: 1, health: 'unhealthy' })];
  const set = assignment(hosts, [endpoint(4)]);
  store.update({ ...set, weightedPriorityHealth: true });
  assert.deepEqual([...pickMany(config(roundRobin), store, 300).keys()], ['10.0.0.1:80']);
  store.update(set);
  assert.equal(pickMany(config(roundRobin), store, 300).has('10.0.0.4:80'), true);
});

test('hosts that wait for their first health check do not count', () => {
  const store = storeOf([endpoint(1), endpoint(2), endpoint(3)], [endpoint(4)]);
  for (const n of [2, 3]) (store.current.byKey.get(`10.0.0.${n}:80`) as Host).state.excluded = 'pending';
  store.refresh();
  assert.deepEqual([...pickMany(config(roundRobin), store, 300).keys()], ['10.0.0.1:80']);
});

test('a host that asks to be spared serves only what the others cannot', () => {
  const store = storeOf([endpoint(1), endpoint(2), endpoint(3), endpoint(4)]);
  (store.current.byKey.get('10.0.0.1:80') as Host).state.degradedHealthCheck = true;
  store.refresh();
  assert.equal(pickMany(config(roundRobin), store, 300).has('10.0.0.1:80'), false);
});

for (const policy of [{ kind: 'round_robin' }, { kind: 'least_request', choiceCount: 2, activeRequestBias: 1, fullScan: false }] as const) {
  test(`${policy.kind}: a new host starts slowly and gets its full share when its window is over`, () => {
    let now = 0;
    const store = new HostStore(() => now);
    store.update(assignment([endpoint(1), endpoint(2)]));
    now = 100_000;
    store.update(assignment([endpoint(1), endpoint(2), endpoint(3)]));
    const settings = config({ ...policy, slowStart: { windowMs: 10_000, aggression: 1, minWeight: 0.1 } });
    const share = () => {
      const picker = new Balancer(settings, { ...parts, now: () => now }).picker(store.current);
      const ctx = context();
      let found = 0;
      for (let i = 0; i < 3000; i++) if (picker.pick(ctx)?.key === '10.0.0.3:80') found++;
      return found / 3000;
    };
    assert.ok(Math.abs(share() - 0.1 / 2.1) < 0.02, `at first ${share()}`);
    now += 5000;
    assert.ok(Math.abs(share() - 0.5 / 2.5) < 0.02, `half way ${share()}`);
    now += 5000;
    assert.ok(Math.abs(share() - 1 / 3) < 0.03, `in the end ${share()}`);
  });
}

test('full scan finds the least busy of all', () => {
  const store = storeOf([endpoint(1), endpoint(2), endpoint(3)]);
  for (const n of [1, 3]) (store.current.byKey.get(`10.0.0.${n}:80`) as Host).state.activeRequests = 4;
  const settings = config({ kind: 'least_request', choiceCount: 2, activeRequestBias: 1, fullScan: true, slowStart: null });
  assert.deepEqual([...pickMany(settings, store, 30).keys()], ['10.0.0.2:80']);
});

test('round robin goes on where it was when only others changed', () => {
  const store = storeOf([endpoint(1), endpoint(2), endpoint(3)], [endpoint(4)]);
  const balancer = new Balancer(config(roundRobin), parts);
  const ctx = context();
  const order: string[] = [];
  for (let i = 0; i < 6; i++) {
    order.push(balancer.picker(store.current).pick(ctx)?.key ?? 'none');
    (store.current.byKey.get('10.0.0.4:80') as Host).state.ejected = i % 2 === 0;
    store.refresh();
  }
  assert.deepEqual(order.slice(3), order.slice(0, 3));
  assert.equal(new Set(order).size, 3);
});

test('subsets: counted, panicking to any host, single hosts, lists of fallbacks', () => {
  const store = storeOf([versioned(1, 'v1'), versioned(2, 'v2')]);
  const wanted = (entries: [string, unknown][]) => ({ metadataMatch: criteriaOf(entries) });
  const keys = (over: Partial<SubsetConfig>, entries: [string, unknown][]) => [...pickMany(config(roundRobin, { subsets: subsets(over) }), store, 20, wanted(entries)).keys()].toSorted();
  const noDefault = { fallback: 'default', defaultSubset: { version: 'v7' } } as const;
  assert.deepEqual(keys(noDefault, [['version', 'v9']]), ['none']);
  assert.equal(keys({ ...noDefault, panicModeAny: true }, [['version', 'v9']]).length, 2);
  const single = { selectors: [{ keys: ['version'], fallback: 'not-defined', fallbackKeys: [], singleHost: true }] } as const;
  (store.current.byKey.get('10.0.0.2:80') as Host).state.ejected = true;
  store.refresh();
  assert.deepEqual(keys(single, [['version', 'v2']]), ['10.0.0.2:80']);
  const list: [string, unknown][] = [['fallback_list', [{ version: 'v9' }, { version: 'v1' }]]];
  assert.deepEqual(keys({ metadataFallbackList: true }, list), ['10.0.0.1:80']);
  assert.deepEqual(keys({ metadataFallbackList: true }, [['fallback_list', [{ version: 'v9' }]]]), ['none']);
});

test('a subset minds locality weights only when it is to, scaled by its part of each locality', () => {
  const store = new HostStore(() => 0);
  const zone = (name: string, weight: number, endpoints: Endpoint[]) => ({ locality: { ...nowhere, zone: name }, weight, endpoints });
  store.update({ ...assignment([]), priorities: [[zone('a', 50, [versioned(1, 'v1'), versioned(2, 'v2'), versioned(3, 'v2'), versioned(4, 'v2'), versioned(5, 'v2')]), zone('b', 10, [versioned(6, 'v1')])]] });
  const first = (over: Partial<SubsetConfig>) =>
    (pickMany(config({ kind: 'random' }, { localityWeighted: true, subsets: subsets(over) }), store, 3000, { metadataMatch: criteriaOf([['version', 'v1']]) }).get('10.0.0.1:80') ?? 0) / 3000;
  assert.ok(Math.abs(first({}) - 0.5) < 0.04);
  assert.ok(Math.abs(first({ localityWeightAware: true }) - 5 / 6) < 0.04);
  assert.ok(Math.abs(first({ localityWeightAware: true, scaleLocalityWeight: true }) - 0.5) < 0.04);
});

test('a retry leaves out the priorities tried before, in proportion to the health of the others', () => {
  const store = storeOf([endpoint(1)], [endpoint(2), endpoint(3, { health: 'unhealthy' })], [endpoint(4), endpoint(5)]);
  assert.deepEqual([...pickMany(config(roundRobin), store, 100)], [['10.0.0.1:80', 100]]);
  const counts = pickMany(config(roundRobin), store, 4000, { triedPriorities: [0] });
  // 70 % of priority 1 are healthy (50 % overprovisioned), all of priority 2: together more than enough, filled in order.
  assert.equal(counts.get('10.0.0.1:80'), undefined);
  const second = (counts.get('10.0.0.2:80') ?? 0) / 4000;
  assert.ok(Math.abs(second - 0.7) < 0.03, String(second));
  assert.deepEqual([...pickMany(config(roundRobin), store, 10, { triedPriorities: [0, 1] }).keys()].toSorted(), ['10.0.0.4:80', '10.0.0.5:80']);
});

test('a retry that has tried all priorities begins with all of them again', () => {
  const store = storeOf([endpoint(1)], [endpoint(2)], [endpoint(3, { health: 'unhealthy' })]);
  const tried = [1, 0];
  assert.deepEqual([...pickMany(config(roundRobin), store, 1, { triedPriorities: tried })], [['10.0.0.1:80', 1]]);
  assert.deepEqual(tried, []);
});
