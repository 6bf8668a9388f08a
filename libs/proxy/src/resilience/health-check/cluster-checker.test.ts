import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom } from '@meltemi/base';
import { FlatStats } from '@meltemi/observe';
import type { Endpoint, HealthCheck } from '@meltemi/snapshot';
import { Host, newHostState } from '../../balance/index.ts';
import { ClusterChecker } from './cluster-checker.ts';
import { networkFailure, type CheckResult, type Probe } from './probe.ts';

const check: HealthCheck = {
  kind: { kind: 'tcp', send: null, receive: [] }, timeoutMs: 1000, intervalMs: 5000, initialJitterMs: 0, intervalJitterMs: 0, intervalJitterPercent: 0, unhealthyThreshold: 3, healthyThreshold: 2,
  reuseConnection: true, noTrafficIntervalMs: 60_000, noTrafficHealthyIntervalMs: 60_000, unhealthyIntervalMs: 4000, unhealthyEdgeIntervalMs: 3000, healthyEdgeIntervalMs: 2000,
  alwaysLogFailures: false, altPort: null, alpn: null, socketMatch: null, ignoreNewHosts: false,
};
const passed: CheckResult = { kind: 'passed', degraded: false };
const unwell: CheckResult = { kind: 'failed', counted: false, network: false, excluded: false, reason: 'answered 500' };
const lost = networkFailure('gone');

function hostOf(n: number, more: Partial<Endpoint> = {}): Host {
  const key = `10.0.0.${n}:80`;
  return new Host({ target: { kind: 'ip', address: `10.0.0.${n}`, port: 80 }, key, hostname: '', weight: 1, health: 'healthy', metadata: null, locality: { region: '', zone: '', subZone: '' }, ...more }, 0, newHostState(key, 0));
}

function setUp(changes: Partial<HealthCheck> = {}, { traffic = true } = {}) {
  const clock = new ManualClock();
  const flat = new FlatStats();
  const stat = (name: string) => flat.counter(name);
  const asked = new Map<string, (result: CheckResult) => void>();
  const log: string[] = [];
  let rounds = 0;
  let changed = 0;
  const checker = new ClusterChecker({ ...check, ...changes }, {
    clock, random: seededRandom(1), hasTraffic: () => traffic,
    stats: {
      attempt: stat('attempt'), success: stat('success'), failure: stat('failure'), passiveFailure: stat('passive_failure'), networkFailure: stat('network_failure'), verifyCluster: stat('verify_cluster'),
      healthy: flat.gauge('healthy'), degraded: flat.gauge('degraded'),
    },
    onChecked: (_host, _passed, did) => { if (did) changed++; },
    onFirstRound: () => { rounds++; },
    log: (host, event) => log.push(`${host.key} ${event}`),
    probe: ({ key }): Probe => ({ start: (done) => asked.set(key, done), close: () => asked.delete(key) }),
  });
  const host = hostOf(1);
  return {
    checker, host, clock, asked, log, rounds: () => rounds, changes: () => changed,
    value: (name: string) => flat.entries({}).find((entry) => entry.name === name)?.value ?? 0,
    /** Answers the check under way; fails when there is none. */
    answer: (result: CheckResult, key = host.key) => {
      const done = asked.get(key) ?? assert.fail(`no check of ${key} under way`);
      asked.delete(key);
      done(result);
    },
    /** The check that is next comes after `ms`, not before. */
    next: (ms: number, key = host.key) => {
      clock.advance(ms - 1);
      assert.equal(asked.has(key), false, `before ${ms} ms`);
      clock.advance(1);
      assert.equal(asked.has(key), true, `after ${ms} ms`);
    },
  };
}

test('a new host counts as failed until its first check, which decides at once', () => {
  const { checker, host, answer, rounds, value, next } = setUp();
  assert.equal(checker.follow([host]), true);
  assert.equal(host.state.failedHealthCheck, true);
  assert.equal(checker.waiting, true);
  answer(passed);
  assert.equal(host.state.failedHealthCheck, false);
  assert.deepEqual([checker.waiting, rounds(), value('healthy'), value('attempt'), value('success')], [false, 1, 1, 1, 1]);
  next(5000);
});

test('it takes unhealthy_threshold silent checks, at the edge\'s pace, and healthy_threshold passes to come back', () => {
  const { checker, host, answer, next, value } = setUp();
  checker.follow([host]);
  answer(passed);
  next(5000);
  answer(lost);
  assert.equal(host.state.failedHealthCheck, false);
  next(3000);
  answer(lost);
  next(3000);
  answer(lost);
  assert.equal(host.state.failedHealthCheck, true);
  assert.deepEqual([value('failure'), value('network_failure'), value('healthy')], [3, 3, 0]);
  next(4000);
  answer(passed);
  assert.equal(host.state.failedHealthCheck, true);
  next(2000);
  answer(passed);
  assert.equal(host.state.failedHealthCheck, false);
});

test('an answer that says "not well" counts at once', () => {
  const { checker, host, answer, next, log } = setUp();
  checker.follow([host]);
  answer(passed);
  next(5000);
  answer(unwell);
  assert.equal(host.state.failedHealthCheck, true);
  assert.deepEqual(log, ['10.0.0.1:80 unhealthy']);
  next(4000);
});

test('no answer in time is a failure like a lost connection', () => {
  const { checker, host, clock, asked, value } = setUp({ unhealthyThreshold: 1 });
  checker.follow([host]);
  clock.advance(1000);
  assert.equal(asked.size, 0, 'the check was given up');
  assert.equal(value('network_failure'), 1);
  clock.advance(4000);
  assert.equal(asked.size, 1);
});

test('a cluster that was never used is checked slowly', () => {
  const { checker, host, answer, next } = setUp({ noTrafficHealthyIntervalMs: 30_000 }, { traffic: false });
  checker.follow([host]);
  answer(unwell);
  next(60_000);
  answer(passed);
  next(60_000 - 30_000);
});

test('degraded hosts, hosts that ask for no traffic, and hosts that wait for their first check', () => {
  const { checker, host, answer, next, value, changes } = setUp({ ignoreNewHosts: true });
  checker.follow([host]);
  assert.equal(host.state.excluded, 'pending');
  answer({ kind: 'passed', degraded: true });
  assert.deepEqual([host.state.excluded, host.state.degradedHealthCheck, value('degraded')], ['no', true, 1]);
  next(5000);
  answer(passed);
  assert.deepEqual([host.state.degradedHealthCheck, value('degraded'), changes()], [false, 0, 2]);
  checker.failNow(host);
  assert.deepEqual([host.state.failedHealthCheck, host.state.excluded, value('passive_failure')], [true, 'asked', 1]);
  next(5000);
  answer(passed);
  next(2000);
  answer(passed);
  assert.deepEqual([host.state.failedHealthCheck, host.state.excluded], [false, 'no']);
});

test('endpoints that want no checks are left alone; hosts that leave are not asked any more', () => {
  const { checker, host, asked, answer, value } = setUp();
  const free = hostOf(2, { healthCheck: { target: null, port: null, hostname: '', disabled: true } });
  checker.follow([host, free]);
  assert.equal(free.state.failedHealthCheck, false);
  assert.deepEqual([...asked.keys()], [host.key]);
  answer(passed);
  assert.equal(value('healthy'), 1);
  checker.follow([free]);
  assert.deepEqual([value('healthy'), asked.size], [0, 0]);
});

test('hosts that are in use stay so when checks begin; hosts come back to others\' word when checks end', () => {
  const { checker, host, answer, value } = setUp();
  checker.adopt([host]);
  assert.deepEqual([host.state.failedHealthCheck, value('healthy')], [false, 1]);
  answer(unwell);
  assert.equal(host.state.failedHealthCheck, true);
  checker.stop(true);
  assert.equal(host.state.failedHealthCheck, false);
});

test('the first round is over when every host was asked, well or not', () => {
  const { checker, answer, rounds } = setUp();
  checker.follow([hostOf(1), hostOf(2)]);
  answer(unwell, '10.0.0.1:80');
  assert.equal(rounds(), 0);
  answer(passed, '10.0.0.2:80');
  assert.equal(rounds(), 1);
});
