import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlatStats } from '@meltemi/observe';
import type { Endpoint, OutlierDetection } from '@meltemi/snapshot';
import { Host } from '../balance/index.ts';
import { OutlierDetector } from './outlier-detector.ts';

const config = {
  intervalMs: 10_000, baseEjectionTimeMs: 30_000, maxEjectionTimeMs: 300_000, maxEjectionTimeJitterMs: 0, maxEjectionPercent: 50, alwaysEjectOneHost: false, consecutive5xx: 3,
  enforcingConsecutive5xx: 100, consecutiveGatewayFailure: 5, enforcingConsecutiveGatewayFailure: 0, splitExternalLocalOrigin: false, consecutiveLocalOriginFailure: 5,
  enforcingConsecutiveLocalOriginFailure: 100,
} as OutlierDetection;

function setUp(changes: Partial<OutlierDetection> = {}) {
  const hosts = ['a', 'b', 'c', 'd'].map((key) => new Host({ key, weight: 1, health: 'healthy', metadata: null } as Endpoint, 0, { key, activeRequests: 0, ejected: false, failedHealthCheck: false, addedMs: 0 }));
  const state = { now: 0, changes: 0 };
  const detector = new OutlierDetector({ ...config, ...changes }, { random: { next: () => 0.5 }, stats: new FlatStats(), statName: 'c', hosts: () => hosts, onChange: () => state.changes++, now: () => state.now });
  const fail = (index: number, times: number, status = 500) => {
    const host = hosts[index];
    for (let i = 0; i < times && host !== undefined; i++) detector.report(host, status);
  };
  return { hosts, detector, state, fail, ejected: () => hosts.filter((host) => host.state.ejected).map((host) => host.key).join('') };
}

test('a host is ejected after enough failures in a row, and a success starts the count anew', () => {
  const { fail, ejected } = setUp();
  fail(0, 2);
  fail(0, 1, 200);
  fail(0, 2);
  assert.equal(ejected(), '');
  fail(0, 1, 0);
  assert.equal(ejected(), 'a');
});

test('it comes back, and stays away longer the next time', () => {
  const { fail, ejected, detector, state } = setUp();
  fail(0, 3);
  state.now = 30_000;
  detector.tick();
  assert.equal(ejected(), '');
  fail(0, 6);
  state.now = 61_000;
  detector.tick();
  assert.equal(ejected(), 'a');
});

test('no more hosts are ejected than the limit allows', () => {
  const { fail, ejected } = setUp();
  for (const index of [0, 1, 2, 3]) fail(index, 3);
  assert.equal(ejected(), 'ab');
});

test('connection failures are counted apart when asked', () => {
  const { fail, ejected } = setUp({ splitExternalLocalOrigin: true });
  fail(0, 4, 0);
  assert.equal(ejected(), '');
  fail(0, 1, 0);
  assert.equal(ejected(), 'a');
});

test('when the config goes, so do the ejections', () => {
  const { fail, ejected, detector } = setUp();
  fail(0, 3);
  detector.stop();
  assert.equal(ejected(), '');
});
