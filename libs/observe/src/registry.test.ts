import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlatStats } from './flat-stats.ts';
import { expositionText } from './exposition.ts';
import { StatsRegistry } from './registry.ts';

test('the same labels give the same handle', () => {
  const calls = new StatsRegistry().counter('calls_total', '', ['a', 'b']);
  assert.equal(calls.labels('x', 'y'), calls.labels('x', 'y'));
  assert.notEqual(calls.labels('x1:y', ''), calls.labels('x', '1:y'));
});

test('a name declared twice with another shape, or a bad name, is a bug that says so', () => {
  const stats = new StatsRegistry();
  stats.counter('calls_total', '', ['a']);
  assert.throws(() => stats.gauge('calls_total', '', ['a']), /already declared as counter\(a\)/);
  assert.throws(() => stats.counter('a.b', ''), /not a metric name/);
  assert.throws(() => stats.histogram('h', '', [], [2, 1]), /ascending/);
  assert.throws(() => stats.counter('calls_total', '', ['a']).labels(), /has 1 labels/);
});

test('label sets past the limit share the overflow series and are counted', () => {
  const stats = new StatsRegistry({ maxSeriesPerFamily: 2 });
  const calls = stats.counter('calls_total', '', ['who']);
  for (const who of ['a', 'b', 'c', 'd', 'a']) calls.labels(who).inc();
  const text = expositionText(stats);
  assert.match(text, /calls_total\{who="a"\} 2/);
  assert.match(text, /calls_total\{who="overflow"\} 2/);
  assert.match(text, /meltemi_stats_overflow_total\{metric="calls_total"\} 2/);
});

test('deltas of two workers add up in the control thread, also as structured clones', () => {
  const main = new StatsRegistry();
  const workers = [0, 1].map(() => {
    const stats = new StatsRegistry();
    return { merger: main.merger(), stats, calls: stats.counter('calls_total', 'Calls.', ['who']), open: stats.gauge('open', ''), wait: stats.histogram('wait', '', [], [1, 2]) };
  });
  for (const round of [1, 2])
    for (const worker of workers) {
      worker.calls.labels('a').inc(round);
      worker.open.labels().add(2);
      worker.wait.labels().observe(1.5);
      worker.merger.merge(structuredClone(worker.stats.takeDelta()));
    }
  const text = expositionText(main);
  assert.match(text, /calls_total\{who="a"\} 6/);
  assert.match(text, /^open 8$/m);
  assert.match(text, /wait_bucket\{le="2"\} 4/);
  assert.match(text, /wait_sum 6/);
});

test('a delta without changes is empty', () => {
  const stats = new StatsRegistry();
  stats.counter('calls_total', '', ['who']).labels('a').inc();
  stats.takeDelta();
  assert.deepEqual(stats.takeDelta(), { families: [], series: [], removed: [], values: new Float64Array() });
});

test("a worker's gauges leave with it, its counts stay", () => {
  const main = new StatsRegistry();
  const worker = new StatsRegistry();
  worker.gauge('open', '').labels().set(5);
  worker.counter('calls_total', '').labels().inc(3);
  const merger = main.merger();
  merger.merge(worker.takeDelta());
  main.gauge('open', '').labels().add(1);
  merger.retire();
  assert.match(expositionText(main), /^calls_total 3\n[^]*^open 1$/m);
});

test('a series disappears when its last worker forgets it', () => {
  const main = new FlatStats();
  const workers = [new FlatStats(), new FlatStats()].map((stats) => ({ stats, merger: main.merger() }));
  const push = () => workers.forEach(({ stats, merger }) => merger.merge(stats.takeDelta()));
  for (const { stats } of workers) stats.gauge('cluster.a.up').set(1);
  push();
  assert.equal(main.text(), 'cluster.a.up: 2\n');
  workers[0]?.stats.removePrefix('cluster.a.');
  push();
  assert.equal(main.text(), 'cluster.a.up: 1\n');
  workers[1]?.stats.removePrefix('cluster.a.');
  push();
  assert.equal(main.text(), '');
});

test('a delta naming a series nobody announced is refused', () => {
  assert.throws(() => new StatsRegistry().merger().merge({ families: [], series: [], removed: [], values: Float64Array.of(7, 1) }), /never announced/);
});

test('flat statistics print sorted, filtered, and only the used ones when asked', () => {
  const stats = new FlatStats();
  stats.counter('cluster.b.upstream_rq_total').inc(3);
  stats.counter('cluster.a.upstream_rq_total');
  const gauge = stats.gauge('cluster.b.active');
  gauge.inc();
  gauge.dec();
  assert.equal(stats.text(), 'cluster.a.upstream_rq_total: 0\ncluster.b.active: 0\ncluster.b.upstream_rq_total: 3\n');
  assert.equal(stats.text({ usedOnly: true }), 'cluster.b.active: 0\ncluster.b.upstream_rq_total: 3\n');
  assert.equal(stats.text({ filter: /^cluster\.a/ }), 'cluster.a.upstream_rq_total: 0\n');
});

test('histogram buckets hold exactly the values up to their bound', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -10, max: 100 })), (values) => {
      const histogram = new StatsRegistry().histogram('h', '', [], [0, 1, 50]).labels();
      for (const value of values) histogram.observe(value);
      let cumulative = 0;
      for (const [index, bound] of [0, 1, 50, Infinity].entries()) {
        cumulative += histogram.counts[index] ?? 0;
        assert.equal(cumulative, values.filter((value) => value <= bound).length);
      }
      assert.equal(histogram.count, values.length);
    }),
  );
});
