import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom } from '@meltemi/base';
import { FlatStats } from '@meltemi/observe';
import type { OutlierDetection } from '@meltemi/snapshot';
import { Host, newHostState } from '../balance/index.ts';
import { AtomicRows, sharedRowsBuffer } from '../atomic-rows.ts';
import { LocalRows, type SharedRows } from '../shared-rows.ts';
import { HostRows } from './host-rows.ts';
import { OutlierDetector } from './outlier-detector.ts';

const defaults: OutlierDetection = {
  intervalMs: 10_000, baseEjectionTimeMs: 30_000, maxEjectionTimeMs: 300_000, maxEjectionTimeJitterMs: 0, maxEjectionPercent: 100, alwaysEjectOneHost: false,
  errorStatuses: null, consecutive5xx: 5, enforcingConsecutive5xx: 100, consecutiveGatewayFailure: 5, enforcingConsecutiveGatewayFailure: 0, splitExternalLocalOrigin: false,
  consecutiveLocalOriginFailure: 5, enforcingConsecutiveLocalOriginFailure: 100, enforcingSuccessRate: 100, successRateMinimumHosts: 5, successRateRequestVolume: 100,
  successRateStdevFactor: 1900, enforcingLocalOriginSuccessRate: 100, failurePercentageThreshold: 85, enforcingFailurePercentage: 0, enforcingFailurePercentageLocalOrigin: 0,
  failurePercentageMinimumHosts: 5, failurePercentageRequestVolume: 50, unejectByHealthCheck: true,
};

/** A cluster of `count` hosts and its detector. */
function setUp(changes: Partial<OutlierDetection>, count = 2, { shared = new LocalRows(), clock = new ManualClock() }: { shared?: SharedRows; clock?: ManualClock } = {}) {
  const stats = new FlatStats();
  const hosts = Array.from({ length: count }, (_, i) => {
    const key = `10.0.0.${i + 1}:80`;
    const endpoint = { target: { kind: 'ip', address: `10.0.0.${i + 1}`, port: 80 }, key, hostname: '', weight: 1, health: 'healthy', metadata: null, locality: { region: '', zone: '', subZone: '' } } as const;
    return new Host(endpoint, 0, newHostState(key, 0));
  });
  let changed = 0;
  const rows = new HostRows(shared, 'c');
  rows.follow(hosts);
  const detector = new OutlierDetector({ ...defaults, ...changes }, { random: seededRandom(1), hosts: () => hosts, onChange: () => { changed++; }, stats, prefix: 'cluster.c', shared, cluster: shared.hold('cluster c'), rows }, clock.monotonic());
  const host = (i: number): Host => {
    const found = hosts[i];
    if (found === undefined) throw new Error(`no host ${i}`);
    return found;
  };
  return {
    ejected: () => hosts.flatMap(({ state }, i) => (state.ejected ? [i] : [])),
    report: (i: number, ...statuses: number[]) => { for (const status of statuses) detector.report(host(i), status, clock.monotonic()); },
    wait: (ms: number) => {
      for (let passed = 0; passed < ms; passed += 1000) {
        clock.advance(1000);
        detector.tick(clock.monotonic());
      }
    },
    stat: (name: string) => stats.entries({}).find((entry) => entry.name === `cluster.c.outlier_detection.${name}`)?.value ?? 0,
    changes: () => changed,
    tick: () => detector.tick(clock.monotonic()),
    detector,
    host,
    rows,
  };
}

test('five 5xx in a row eject a host, one good answer between them does not', () => {
  const { report, ejected, stat, changes } = setUp({});
  report(0, 500, 500, 500, 500, 200, 500, 500, 500, 500);
  assert.deepEqual(ejected(), []);
  report(0, 500);
  assert.deepEqual(ejected(), [0]);
  assert.equal(stat('ejections_active'), 1);
  assert.equal(stat('ejections_enforced_total'), 1);
  assert.equal(stat('ejections_enforced_consecutive_5xx'), 1);
  assert.equal(changes(), 1);
});

test('an ejected host comes back at the first interval after its time, and longer each time it fails again', () => {
  const { report, ejected, wait, stat } = setUp({ consecutive5xx: 1 });
  report(0, 503);
  wait(29_000);
  assert.deepEqual(ejected(), [0]);
  wait(1000);
  assert.deepEqual(ejected(), []);
  assert.equal(stat('ejections_active'), 0);
  report(0, 503);
  wait(50_000);
  assert.deepEqual(ejected(), [0], 'the second time it is 60 s');
  wait(10_000);
  assert.deepEqual(ejected(), []);
  wait(30_000);
  report(0, 503);
  wait(30_000);
  assert.deepEqual(ejected(), [], 'good intervals take the multiplier back');
});

test('statuses that count as errors take the place of 500 and above', () => {
  const { report, ejected } = setUp({ consecutive5xx: 1, errorStatuses: new Set([429, 503]) });
  report(0, 500);
  assert.deepEqual(ejected(), []);
  report(0, 429);
  assert.deepEqual(ejected(), [0]);
});

test('max_ejection_time caps the growth', () => {
  const { report, ejected, wait } = setUp({ consecutive5xx: 1, maxEjectionTimeMs: 40_000 });
  for (let i = 0; i < 4; i++) {
    report(0, 500);
    wait(40_000);
    assert.deepEqual(ejected(), []);
  }
});

test('a multiplier grows no further than max_ejection_time needs, so that good intervals bring it down in time', () => {
  const { report, ejected, wait } = setUp({ consecutive5xx: 1, baseEjectionTimeMs: 10_000, maxEjectionTimeMs: 20_000 });
  for (let i = 0; i < 20; i++) {
    report(0, 500);
    while (ejected().length > 0) wait(10_000);
  }
  // As in Envoy it is at most one above what max_ejection_time needs.
  wait(30_000);
  report(0, 500);
  wait(10_000);
  assert.deepEqual(ejected(), []);
});

test('never more than max_ejection_percent, but one when always_eject_one_host says so', () => {
  const half = setUp({ consecutive5xx: 1, maxEjectionPercent: 50 }, 4);
  for (const i of [0, 1, 2, 3]) half.report(i, 500);
  assert.deepEqual(half.ejected(), [0, 1]);
  assert.equal(half.stat('ejections_overflow'), 2);
  const none = setUp({ consecutive5xx: 1, maxEjectionPercent: 10 }, 4);
  none.report(0, 500);
  assert.deepEqual(none.ejected(), []);
  const one = setUp({ consecutive5xx: 1, maxEjectionPercent: 10, alwaysEjectOneHost: true }, 4);
  one.report(0, 500);
  one.report(1, 500);
  assert.deepEqual(one.ejected(), [0]);
});

test('gateway failures are counted apart from other 5xx, and only when enforced', () => {
  const { report, ejected } = setUp({ consecutive5xx: 100, consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 });
  report(0, 502, 503, 500, 504, 503);
  assert.deepEqual(ejected(), []);
  report(0, 502);
  assert.deepEqual(ejected(), [0]);
  const off = setUp({ consecutive5xx: 100, consecutiveGatewayFailure: 3 });
  off.report(0, 502, 502, 502, 502);
  assert.deepEqual(off.ejected(), []);
  assert.equal(off.stat('ejections_detected_consecutive_gateway_failure'), 1);
});

test('no answer counts like a 503; with split counting it has its own threshold', () => {
  const together = setUp({ consecutive5xx: 3 });
  together.report(0, 0, 500, 0);
  assert.deepEqual(together.ejected(), [0]);
  const split = setUp({ consecutive5xx: 3, splitExternalLocalOrigin: true, consecutiveLocalOriginFailure: 2 });
  split.report(0, 500, 500, 0, 200, 0);
  assert.deepEqual(split.ejected(), []);
  split.report(0, 0);
  assert.deepEqual(split.ejected(), [0]);
  assert.equal(split.stat('ejections_enforced_consecutive_local_origin_failure'), 1);
});

test('enforcing percentages: at 0 it is only counted; overflow of our own says nothing', () => {
  const { report, ejected, stat } = setUp({ enforcingConsecutive5xx: 0, consecutive5xx: 1 });
  report(0, 500, -1);
  assert.deepEqual(ejected(), []);
  assert.equal(stat('ejections_detected_consecutive_5xx'), 1);
});

test('a host far below the others\' success rate is ejected at the end of the interval', () => {
  const { report, ejected, wait } = setUp({ consecutive5xx: 1000 }, 6);
  for (let i = 0; i < 6; i++) for (let n = 0; n < 100; n++) report(i, i === 3 && n % 2 === 0 ? 500 : 200);
  assert.deepEqual(ejected(), []);
  wait(10_000);
  assert.deepEqual(ejected(), [3]);
});

test('failure percentage ejects only when enforced and with enough requests', () => {
  const changes = { consecutive5xx: 1000, enforcingSuccessRate: 0, enforcingFailurePercentage: 100, failurePercentageMinimumHosts: 2, failurePercentageThreshold: 50 };
  const { report, ejected, wait } = setUp(changes);
  for (let n = 0; n < 49; n++) report(0, 500);
  wait(10_000);
  assert.deepEqual(ejected(), []);
  for (let n = 0; n < 60; n++) {
    report(0, n % 2 === 0 ? 500 : 200);
    report(1, 200);
  }
  wait(10_000);
  assert.deepEqual(ejected(), [0]);
});

test('a stopped detector leaves nobody outside', () => {
  const { report, ejected, detector } = setUp({ consecutive5xx: 1 });
  report(0, 500);
  detector.stop();
  assert.deepEqual(ejected(), []);
});

test('a host that passes an active health check is back at once, unless that is switched off', () => {
  const { report, ejected, detector, host, stat } = setUp({ consecutive5xx: 1 });
  report(0, 500);
  detector.passedHealthCheck(host(0));
  assert.deepEqual(ejected(), []);
  assert.equal(stat('ejections_active'), 0);
  const off = setUp({ consecutive5xx: 1, unejectByHealthCheck: false });
  off.report(0, 500);
  off.detector.passedHealthCheck(off.host(0));
  assert.deepEqual(off.ejected(), [0]);
});

test('rates that are not enforced are still counted as detected', () => {
  const { report, ejected, wait, stat } = setUp({ consecutive5xx: 1000, enforcingSuccessRate: 0, failurePercentageMinimumHosts: 2, failurePercentageThreshold: 50 });
  for (let n = 0; n < 60; n++) {
    report(0, 500);
    report(1, 200);
  }
  wait(10_000);
  assert.deepEqual(ejected(), []);
  assert.equal(stat('ejections_detected_failure_percentage'), 1);
});

/** The same cluster in two workers. */
function twoWorkers(changes: Partial<OutlierDetection>, count = 2) {
  const buffer = sharedRowsBuffer(2);
  const clock = new ManualClock();
  const view = (worker: number) => new AtomicRows(buffer, { workers: 2, worker, offsetMs: 0 });
  const begin = (worker: number) => setUp(changes, count, { shared: view(worker), clock });
  const [one, two] = [begin(0), begin(1)];
  return {
    one, two, begin, control: view(2),
    /** Ejected in both, once the other has looked. */
    ejected: () => {
      for (const { detector } of [one, two]) detector.sync();
      assert.deepEqual(one.ejected(), two.ejected());
      return one.ejected();
    },
    wait: (ms: number) => {
      for (let passed = 0; passed < ms; passed += 1000) {
        clock.advance(1000);
        for (const { tick } of [one, two]) tick();
      }
    },
    sum: (name: string) => one.stat(name) + two.stat(name),
  };
}

test('failures in a row count over all workers, and so does a good answer between them; who is out is out for all', () => {
  const { one, two, ejected, sum } = twoWorkers({});
  one.report(0, 500, 500, 500);
  two.report(0, 500, 200);
  one.report(0, 500, 500);
  two.report(0, 500, 500);
  assert.deepEqual(ejected(), []);
  two.report(0, 500);
  assert.deepEqual([ejected(), sum('ejections_active'), sum('ejections_enforced_total')], [[0], 1, 1]);
});

test('an ejection says whose connections may want to be closed, in each worker once', () => {
  const { one, two } = twoWorkers({ consecutive5xx: 1 });
  one.report(1, 500);
  assert.deepEqual(two.detector.sync().map(({ key }) => key), [two.host(1).key]);
  assert.deepEqual([two.detector.sync(), one.detector.sync()], [[], []]);
});

test('max_ejection_percent is of the process: what others ejected counts', () => {
  const { one, two, ejected, sum } = twoWorkers({ consecutive5xx: 1, maxEjectionPercent: 50 }, 4);
  one.report(0, 500);
  two.report(1, 500);
  one.report(2, 500);
  two.report(3, 500);
  assert.deepEqual([ejected(), sum('ejections_overflow')], [[0, 1], 2]);
});

test('a host is back for all when its time is over, and its multiplier is taken back once an interval', () => {
  const { one, two, ejected, wait } = twoWorkers({ consecutive5xx: 1 });
  one.report(0, 500);
  wait(30_000);
  assert.deepEqual(ejected(), []);
  two.report(0, 500);
  wait(50_000);
  assert.deepEqual(ejected(), [0], 'the second time it is 60 s');
  wait(10_000);
  assert.deepEqual(ejected(), []);
  wait(10_000);
  two.report(0, 500);
  wait(50_000);
  assert.deepEqual(ejected(), [0], 'one good interval takes one away, not one for each worker');
});

test('rates are judged once, over what all workers heard', () => {
  const { one, two, ejected, wait, sum } = twoWorkers({ consecutive5xx: 1000 }, 6);
  for (let i = 0; i < 6; i++) for (let n = 0; n < 50; n++) for (const worker of [one, two]) worker.report(i, i === 3 && worker === two ? 500 : 200);
  wait(10_000);
  assert.deepEqual([ejected(), sum('ejections_enforced_success_rate')], [[3], 1]);
});

test('what is heard in an interval in which a worker dies is not judged; the next one is', () => {
  const { one, two, begin, control, ejected, wait } = twoWorkers({ consecutive5xx: 1000, enforcingSuccessRate: 0, enforcingFailurePercentage: 100, failurePercentageMinimumHosts: 2, failurePercentageThreshold: 50, failurePercentageRequestVolume: 10 });
  const talk = () => {
    for (let n = 0; n < 60; n++) for (const i of [0, 1]) two.report(i, n % 3 === 0 ? 500 : 200);
  };
  for (const i of [0, 1]) one.report(i, ...Array.from({ length: 20 }, () => 200));
  wait(10_000);
  talk();
  control.forget(0);
  begin(0);
  wait(10_000);
  assert.deepEqual(ejected(), [], 'a third failed; less what the dead one had counted before it would be half');
  for (let n = 0; n < 60; n++) {
    two.report(0, 500);
    two.report(1, 200);
  }
  wait(10_000);
  assert.deepEqual(ejected(), [0]);
});

test('a worker that comes later knows who is out; rows go when nobody knows the host', () => {
  const { one, two, begin, control } = twoWorkers({ consecutive5xx: 1 });
  one.report(1, 500);
  control.forget(1);
  const successor = begin(1);
  assert.deepEqual([successor.detector.sync().length, successor.ejected()], [1, [1]]);
  for (const { rows } of [one, successor]) rows.release();
  assert.equal(control.size, 1, 'the cluster\'s own row');
  void two;
});

test('detection that ends in all workers leaves nobody outside', () => {
  const { one, two, ejected } = twoWorkers({ consecutive5xx: 1 });
  one.report(0, 500);
  one.detector.stop();
  two.detector.stop();
  assert.deepEqual(ejected(), []);
});
