import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom } from '@meltemi/base';
import { FlatStats } from '@meltemi/observe';
import type { Endpoint, HealthCheck } from '@meltemi/snapshot';
import { Host, newHostState } from '../../balance/index.ts';
import { AtomicRows, sharedRowsBuffer } from '../../atomic-rows.ts';
import { LocalRows, type SharedRows } from '../../shared-rows.ts';
import { HostRows } from '../host-rows.ts';
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

function setUp(changes: Partial<HealthCheck> = {}, { traffic = true, shared = new LocalRows(), clock = new ManualClock() }: { traffic?: boolean; shared?: SharedRows; clock?: ManualClock } = {}) {
  const flat = new FlatStats();
  const stat = (name: string) => flat.counter(name);
  const asked = new Map<string, (result: CheckResult) => void>();
  const log: string[] = [];
  let rounds = 0;
  let changed = 0;
  const rows = new HostRows(shared, 'c');
  const cluster = shared.hold('cluster c');
  const checker = new ClusterChecker({ ...check, ...changes }, {
    clock, random: seededRandom(1), rows, cluster, hasTraffic: () => traffic,
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
    checker, host, clock, asked, log, rows,
    follow: (hosts: readonly Host[]) => {
      rows.follow(hosts);
      return checker.follow(hosts);
    },
    adopt: (hosts: readonly Host[]) => {
      rows.follow(hosts);
      checker.adopt(hosts);
    },
    rounds: () => rounds, changes: () => changed,
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
  const { checker, host, answer, rounds, value, next, follow } = setUp();
  assert.equal(follow([host]), true);
  assert.equal(host.state.failedHealthCheck, true);
  assert.equal(checker.waiting, true);
  answer(passed);
  assert.equal(host.state.failedHealthCheck, false);
  assert.deepEqual([checker.waiting, rounds(), value('healthy'), value('attempt'), value('success')], [false, 1, 1, 1, 1]);
  next(5000);
});

test('it takes unhealthy_threshold silent checks, at the edge\'s pace, and healthy_threshold passes to come back', () => {
  const { host, answer, next, value, follow } = setUp();
  follow([host]);
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
  const { host, answer, next, log, follow } = setUp();
  follow([host]);
  answer(passed);
  next(5000);
  answer(unwell);
  assert.equal(host.state.failedHealthCheck, true);
  assert.deepEqual(log, ['10.0.0.1:80 unhealthy']);
  next(4000);
});

test('no answer in time is a failure like a lost connection', () => {
  const { host, clock, asked, value, follow } = setUp({ unhealthyThreshold: 1 });
  follow([host]);
  clock.advance(1000);
  assert.equal(asked.size, 0, 'the check was given up');
  assert.equal(value('network_failure'), 1);
  clock.advance(4000);
  assert.equal(asked.size, 1);
});

test('a cluster that was never used is checked slowly', () => {
  const { host, answer, next, follow } = setUp({ noTrafficHealthyIntervalMs: 30_000 }, { traffic: false });
  follow([host]);
  answer(unwell);
  next(60_000);
  answer(passed);
  next(60_000 - 30_000);
});

test('degraded hosts, hosts that ask for no traffic, and hosts that wait for their first check', () => {
  const { checker, host, answer, next, value, changes, follow } = setUp({ ignoreNewHosts: true });
  follow([host]);
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
  const { host, asked, answer, value, follow } = setUp();
  const free = hostOf(2, { healthCheck: { target: null, port: null, hostname: '', disabled: true } });
  follow([host, free]);
  assert.equal(free.state.failedHealthCheck, false);
  assert.deepEqual([...asked.keys()], [host.key]);
  answer(passed);
  assert.equal(value('healthy'), 1);
  follow([free]);
  assert.deepEqual([value('healthy'), asked.size], [0, 0]);
});

test('hosts that are in use stay so when checks begin; hosts come back to others\' word when checks end', () => {
  const { checker, host, answer, value, adopt } = setUp();
  adopt([host]);
  assert.deepEqual([host.state.failedHealthCheck, value('healthy')], [false, 1]);
  answer(unwell);
  assert.equal(host.state.failedHealthCheck, true);
  checker.stop(true);
  assert.equal(host.state.failedHealthCheck, false);
});

test('the first round is over when every host was asked, well or not', () => {
  const { answer, rounds, follow } = setUp();
  follow([hostOf(1), hostOf(2)]);
  answer(unwell, '10.0.0.1:80');
  assert.equal(rounds(), 0);
  answer(passed, '10.0.0.2:80');
  assert.equal(rounds(), 1);
});

/** The same cluster in two workers. */
function twoWorkers(changes: Partial<HealthCheck> = {}) {
  const buffer = sharedRowsBuffer(2);
  const clock = new ManualClock();
  const view = (worker: number) => new AtomicRows(buffer, { workers: 2, worker, offsetMs: 0 });
  const begin = (worker: number) => setUp(changes, { shared: view(worker), clock });
  const [one, two] = [begin(0), begin(1)];
  return { clock, one, two, begin, control: view(2), sum: (name: string) => one.value(name) + two.value(name) };
}

test('one worker checks a host, the others hear of it; statistics count once', () => {
  const { one, two, sum } = twoWorkers();
  for (const worker of [one, two]) worker.follow([worker.host]);
  assert.deepEqual([one.asked.size, two.asked.size, two.checker.waiting, two.host.state.failedHealthCheck], [1, 0, true, true]);
  one.answer(passed);
  two.checker.sync();
  assert.deepEqual([two.checker.waiting, two.host.state.failedHealthCheck, two.rounds(), two.changes()], [false, false, 1, 1]);
  one.next(5000);
  one.answer(unwell);
  two.checker.sync();
  two.checker.sync();
  assert.deepEqual([two.host.state.failedHealthCheck, two.changes(), two.asked.size], [true, 2, 0]);
  assert.deepEqual(['attempt', 'success', 'failure', 'healthy'].map(sum), [2, 1, 1, 0]);
});

test('who waits for first checks that another makes looks by itself', () => {
  const { one, two, clock } = twoWorkers();
  for (const worker of [one, two]) worker.follow([worker.host]);
  one.answer(passed);
  clock.advance(20);
  assert.deepEqual([two.checker.waiting, two.rounds()], [false, 1]);
});

test('when the worker that checks dies, another goes on where it was', () => {
  const { one, two, control, begin } = twoWorkers();
  for (const worker of [one, two]) worker.follow([worker.host]);
  one.answer(passed);
  two.checker.sync();
  control.forget(0);
  two.checker.sync();
  assert.deepEqual([two.asked.size, two.host.state.failedHealthCheck, two.value('healthy')], [1, false, 1]);
  two.answer(lost);
  assert.equal(two.host.state.failedHealthCheck, false, 'thresholds count as before');
  const successor = begin(0);
  assert.equal(successor.follow([successor.host]), false);
  assert.deepEqual([successor.asked.size, successor.host.state.failedHealthCheck, successor.checker.waiting], [0, false, false], 'it knows at once who is well');
});

test('each host that some worker knows is checked; one that its checker forgets is taken over', () => {
  const { one, two } = twoWorkers();
  const [mine, common, other] = [hostOf(1), hostOf(2), hostOf(3)];
  one.follow([mine, common]);
  two.follow([hostOf(2), other]);
  assert.deepEqual([[...one.asked.keys()], [...two.asked.keys()]], [[mine.key, common.key], [other.key]]);
  one.answer(passed, common.key);
  one.follow([mine]);
  two.checker.sync();
  assert.deepEqual([[...one.asked.keys()], [...two.asked.keys()]], [[mine.key], [other.key, common.key]]);
});

test('a host that asks a worker to be left out is out for all, and its checker counts it', () => {
  const { one, two, sum } = twoWorkers();
  for (const worker of [one, two]) worker.follow([worker.host]);
  one.answer(passed);
  two.checker.sync();
  two.checker.failNow(two.host);
  two.checker.failNow(two.host);
  assert.deepEqual([two.host.state.failedHealthCheck, two.host.state.excluded], [true, 'asked']);
  one.checker.sync();
  one.checker.sync();
  assert.deepEqual([one.host.state.failedHealthCheck, one.host.state.excluded, sum('passive_failure'), sum('healthy')], [true, 'asked', 1, 0]);
  one.next(5000);
  one.answer(passed);
  one.next(2000);
  one.answer(passed);
  two.checker.sync();
  assert.deepEqual([two.host.state.failedHealthCheck, two.host.state.excluded], [false, 'no']);
});

test('checks that end leave hosts to others\' word in each worker; a cluster that is gone leaves nothing', () => {
  const { one, two, control } = twoWorkers();
  for (const worker of [one, two]) worker.follow([worker.host]);
  one.answer(unwell);
  two.checker.sync();
  for (const worker of [one, two]) worker.checker.stop(true);
  assert.deepEqual([one.host.state.failedHealthCheck, two.host.state.failedHealthCheck], [false, false]);
  for (const { rows } of [one, two]) rows.release();
  assert.equal(control.size, 1, 'the cluster\'s own row');
});
