import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@meltemi/base';
import type { Endpoint, LbPolicy } from '@meltemi/snapshot';
import { Balancer, HostStore, plainPick, type BalanceConfig, type LocalZone } from './index.ts';

const zone = (name: string) => ({ region: 'r', zone: name, subZone: '' });
let address = 0;

/** Healthy hosts by zone, and unhealthy ones. */
function storeOf(zones: Readonly<Record<string, number>>, unhealthy: Readonly<Record<string, number>> = {}): HostStore {
  const endpoints = (name: string, count: number, health: Endpoint['health']) => Array.from({ length: count }, (): Endpoint => {
    const host = `10.${(address >> 8) & 255}.${address++ & 255}.1`;
    return { target: { kind: 'ip', address: host, port: 80 }, key: `${host}:80`, hostname: '', weight: 1, health, metadata: null, locality: zone(name) };
  });
  const store = new HostStore(() => 0);
  const localities = Object.entries(zones).map(([name, count]) => ({ locality: zone(name), weight: null, endpoints: [...endpoints(name, count, 'healthy'), ...endpoints(name, unhealthy[name] ?? 0, 'unhealthy')] }));
  store.update({ clusterName: 'c', priorities: [localities], overprovisioningFactor: 140, weightedPriorityHealth: false, drops: [] });
  return store;
}

interface Asked {
  readonly policy?: LbPolicy;
  readonly callers?: HostStore | null;
  readonly from?: string;
  readonly over?: Partial<BalanceConfig>;
}

const zoneAware = { routingPercent: 100, minClusterSize: 6 };

/** Shares of 10,000 picks by zone, in percent, and what was counted. */
function picks(upstream: HostStore, { policy = { kind: 'random' }, callers = storeOf({ a: 2, b: 2, c: 2 }), from = 'a', over = {} }: Asked = {}) {
  const counted: Record<string, number> = {};
  const local: LocalZone | null = callers === null ? null : { locality: zone(from), hosts: () => callers.current };
  const config: BalanceConfig = { lbPolicy: policy, subsets: null, healthyPanicThreshold: 50, failTrafficOnPanic: false, localityWeighted: false, zoneAware, ...over };
  const picker = new Balancer(config, { now: () => 0, activeRequests: () => 0, count: (stat) => { counted[stat] = (counted[stat] ?? 0) + 1; } }, local).picker(upstream.current);
  const random = seededRandom(5);
  const shares: Record<string, number> = {};
  for (let i = 0; i < 10_000; i++) {
    const name = picker.pick({ metadataMatch: null, previousHosts: null, maxAttempts: 0, random, ...plainPick, hash: () => false })?.endpoint.locality.zone ?? 'none';
    shares[name] = (shares[name] ?? 0) + 0.01;
  }
  return { counted, share: (name: string) => Math.round(shares[name] ?? 0) };
}

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) <= 2, `${actual} is not about ${expected}`);

test('with as many hosts as callers a zone keeps all of its requests, whatever the policy', () => {
  for (const policy of [{ kind: 'random' }, { kind: 'round_robin', slowStart: null }, { kind: 'least_request', choiceCount: 2, activeRequestBias: 1, fullScan: false, slowStart: null }] as const) {
    const { share, counted } = picks(storeOf({ a: 3, b: 3, c: 3 }), { policy });
    assert.deepEqual([share('a'), counted['lb_zone_routing_all_directly']], [100, 10_000]);
  }
});

test('a zone with fewer hosts than callers keeps what they can take; zones with room get the rest', () => {
  // Callers 40, 40, 20 %; hosts 25, 50, 25 %: zone a keeps 62.5 %, b has room for 10, c for 5.
  const { share, counted } = picks(storeOf({ a: 5, b: 10, c: 5 }), { callers: storeOf({ a: 4, b: 4, c: 2 }) });
  near(share('a'), 62.5);
  near(share('b'), 25);
  near(share('c'), 12.5);
  near((counted['lb_zone_routing_sampled'] ?? 0) / 100, 62.5);
  near((counted['lb_zone_routing_cross_zone'] ?? 0) / 100, 37.5);
});

test('zones are matched by name: one without callers has all its room', () => {
  const { share } = picks(storeOf({ a: 2, d: 6 }), { callers: storeOf({ a: 1, b: 1 }) });
  near(share('a'), 50);
  near(share('d'), 50);
});

test('only healthy hosts count', () => {
  const { share } = picks(storeOf({ a: 3, b: 3 }, { a: 3 }), { callers: storeOf({ a: 1, b: 1 }) });
  near(share('a'), 100);
  const { share: fewer } = picks(storeOf({ a: 2, b: 6 }, { a: 4 }), { callers: storeOf({ a: 1, b: 1 }) });
  near(fewer('a'), 50);
});

for (const [why, upstream, asked, stat] of [
  ['no local cluster', storeOf({ a: 1, b: 9 }), { callers: null }, null],
  ['one zone', storeOf({ b: 10 }), {}, null],
  ['no host in this zone', storeOf({ b: 5, c: 5 }), {}, 'lb_local_cluster_not_ok'],
  ['no caller in this zone', storeOf({ a: 1, b: 9 }), { callers: storeOf({ b: 2 }) }, 'lb_local_cluster_not_ok'],
  ['too few hosts', storeOf({ a: 1, b: 4 }), {}, 'lb_zone_cluster_too_small'],
  ['the callers are in panic', storeOf({ a: 1, b: 9 }), { callers: storeOf({ a: 1, b: 1 }, { a: 4 }) }, 'lb_local_cluster_not_ok'],
  ['routing is off', storeOf({ a: 1, b: 9 }), { over: { zoneAware: { routingPercent: 0, minClusterSize: 6 } } }, null],
  ['localities have weights', storeOf({ a: 1, b: 9 }), { over: { zoneAware: null } }, null],
] as const) {
  test(`hosts of all zones are used: ${why}`, () => {
    const { share, counted } = picks(upstream, asked);
    const hosts = upstream.current.all;
    near(share('a'), (100 * hosts.filter(({ endpoint }) => endpoint.locality.zone === 'a').length) / hosts.length);
    if (stat !== null) assert.ok((counted[stat] ?? 0) > 0);
  });
}

test('callers in panic fail traffic where the cluster says so', () => {
  const { share } = picks(storeOf({ a: 1, b: 9 }), { callers: storeOf({ a: 1, b: 1 }, { a: 4 }), over: { failTrafficOnPanic: true } });
  assert.equal(share('none'), 100);
});

test('a part of the requests may be routed by zone, the others anywhere', () => {
  const { share } = picks(storeOf({ a: 5, b: 5 }), { callers: storeOf({ a: 1, b: 1 }), over: { zoneAware: { routingPercent: 40, minClusterSize: 6 } } });
  near(share('a'), 40 + 30);
});
