import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { expositionText, negotiateExposition } from './exposition.ts';
import { declareIstioBuild, declareIstioMetrics, istioHttpLabels } from './istio-metrics.ts';
import { StatsRegistry } from './registry.ts';

function promtoolLint(text: string): void {
  const run = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  assert.equal(run.error, undefined, 'promtool (Debian package prometheus) must be installed');
  assert.equal(run.status, 0, `${run.stdout}${run.stderr}`);
}

function sample(): StatsRegistry {
  const stats = new StatsRegistry();
  stats.counter('calls_total', 'Calls.', ['who']).labels('a "quoted" \\ back\nline').inc(3);
  stats.gauge('open', 'Open now.').labels().set(-2.5);
  const durations = stats.histogram('wait_seconds', 'Waiting.', ['kind'], [0.1, 1]).labels('x');
  for (const value of [0.05, 0.1, 0.5, 7]) durations.observe(value);
  return stats;
}

test('text format has types, escaped labels and cumulative buckets', () => {
  assert.equal(
    expositionText(sample()),
    [
      '# HELP calls_total Calls.',
      '# TYPE calls_total counter',
      'calls_total{who="a \\"quoted\\" \\\\ back\\nline"} 3',
      '# HELP open Open now.',
      '# TYPE open gauge',
      'open -2.5',
      '# HELP wait_seconds Waiting.',
      '# TYPE wait_seconds histogram',
      'wait_seconds_bucket{kind="x",le="0.1"} 2',
      'wait_seconds_bucket{kind="x",le="1"} 3',
      'wait_seconds_bucket{kind="x",le="+Inf"} 4',
      'wait_seconds_sum{kind="x"} 7.65',
      'wait_seconds_count{kind="x"} 4',
      '',
    ].join('\n'),
  );
});

test('a metric of several shapes has one heading', () => {
  const stats = new StatsRegistry();
  const calls = stats.counter('calls_total', 'Calls.', ['who']);
  calls.labels('a').inc();
  stats.variant(calls, ['what', 'how']).labels('b', 'c').inc(2);
  assert.equal(stats.variant(calls, ['who']), calls);
  const control = new StatsRegistry();
  const merger = control.merger();
  merger.merge(stats.takeDelta());
  for (const registry of [stats, control]) assert.equal(expositionText(registry), '# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total{who="a"} 1\ncalls_total{what="b",how="c"} 2\n');
});

test('OpenMetrics names the counter family without _total and ends with EOF', () => {
  const text = expositionText(sample(), 'openmetrics');
  assert.match(text, /# TYPE calls counter\ncalls_total\{/);
  assert.match(text, /# EOF\n$/);
});

test('a scraper that asks for OpenMetrics gets it, others the classic text', () => {
  assert.equal(negotiateExposition('application/openmetrics-text;version=1.0.0,text/plain;q=0.5'), 'openmetrics');
  assert.equal(negotiateExposition('*/*'), 'prometheus');
  assert.equal(negotiateExposition(undefined), 'prometheus');
});

test('promtool accepts what we write', () => promtoolLint(expositionText(sample())));

test('promtool parses Istio metrics with every label', () => {
  const stats = new StatsRegistry();
  const metrics = declareIstioMetrics(stats);
  declareIstioBuild(stats, 'pilot', '0.1.0');
  metrics.requests.labels(...istioHttpLabels.map((name) => `v-${name}`)).inc();
  metrics.requestDuration.labels(...istioHttpLabels.map((name) => `v-${name}`)).observe(12);
  const run = spawnSync('promtool', ['check', 'metrics'], { input: expositionText(stats), encoding: 'utf8' });
  // Istio's own names break promtool's taste (milliseconds instead of base units); nothing else may be wrong.
  const complaints = `${run.stdout}${run.stderr}`.split('\n').filter((line) => line !== '' && !/use base unit|metric names should not contain abbreviated units/.test(line));
  assert.deepEqual(complaints, []);
});

test('any label value survives promtool', () => {
  const stats = new StatsRegistry();
  const family = stats.counter('any_total', 'Any.', ['a', 'b']);
  fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.string(), (a, b) => family.labels(a, b).inc()), { numRuns: 200 });
  promtoolLint(expositionText(stats));
});
