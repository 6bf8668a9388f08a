import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@meltemi/base';
import { criteriaOf } from '@meltemi/route';
import type { Endpoint, LbPolicy, LoadAssignment, SubsetConfig } from '@meltemi/snapshot';
import { createPicker, HostStore, type BalanceConfig, type Host, type PickContext } from './index.ts';

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

const policies: readonly LbPolicy[] = [{ kind: 'round_robin' }, { kind: 'random' }, { kind: 'least_request', choiceCount: 2, activeRequestBias: 1 }];

function config(lbPolicy: LbPolicy, over: Partial<BalanceConfig> = {}): BalanceConfig {
  return { lbPolicy, subsets: null, healthyPanicThreshold: 50, localityWeighted: false, ...over };
}

function context(over: Partial<PickContext> = {}): PickContext {
  return { metadataMatch: null, previousHosts: null, maxAttempts: 1, random: seededRandom(7), ...over };
}

function pickMany(settings: BalanceConfig, store: HostStore, count: number, over: Partial<PickContext> = {}): Map<string, number> {
  const picker = createPicker(settings, store.current);
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
    assert.equal(createPicker(config(policy), new HostStore(() => 0).current).pick(context()), null);
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

const versioned = (n: number, version: string) => endpoint(n, { metadata: { 'envoy.lb': { version } } });
const subsets = (over: Partial<SubsetConfig> = {}): SubsetConfig => ({
  fallback: 'none', defaultSubset: {}, selectors: [{ keys: ['version'], fallback: 'not-defined', fallbackKeys: [] }], listAsAny: false, ...over,
});

test('a subset holds exactly the hosts with its metadata', () => {
  const store = storeOf([versioned(1, 'v1'), versioned(2, 'v2'), versioned(3, 'v1')]);
  const settings = config({ kind: 'round_robin' }, { subsets: subsets() });
  assert.deepEqual([...pickMany(settings, store, 10, { metadataMatch: criteriaOf([['version', 'v1']]) }).keys()].toSorted(), ['10.0.0.1:80', '10.0.0.3:80']);
  assert.deepEqual([...pickMany(settings, store, 10, { metadataMatch: criteriaOf([['version', 'v9']]) }).keys()], ['none']);
  assert.deepEqual([...pickMany(settings, store, 10).keys()], ['none']);
});

test('an unknown subset falls back as configured', () => {
  const store = storeOf([versioned(1, 'v1'), versioned(2, 'v2')]);
  const wanted = { metadataMatch: criteriaOf([['version', 'v9']]) };
  assert.equal(pickMany(config({ kind: 'round_robin' }, { subsets: subsets({ fallback: 'any' }) }), store, 10, wanted).size, 2);
  const toDefault = config({ kind: 'round_robin' }, { subsets: subsets({ fallback: 'default', defaultSubset: { version: 'v2' } }) });
  assert.deepEqual([...pickMany(toDefault, store, 10, wanted).keys()], ['10.0.0.2:80']);
});
