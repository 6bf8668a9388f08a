import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuRatios, requestMetrics, type Comparison } from './case.ts';
import { readH2load } from './loads/h2load.ts';
import { readSTime } from './loads/s-time.ts';
import { readWrk } from './loads/wrk.ts';
import { caseText, compare, comparisonText, type CaseResult } from './report.ts';

const wrkReport = `Running 4s test @ http://127.0.0.1:4000/
  1 threads and 32 connections
  Latency Distribution
     50%  812.00us
     75%    1.01ms
     90%    1.50ms
     99%    2.25ms
  126532 requests in 4.00s, 155.66MB read
Requests/sec:  31622.11
Transfer/sec:     38.91MB
`;

const h2loadReport = `finished in 1.00s, 69120.00 req/s, 3.23MB/s
requests: 69120 total, 69200 started, 69120 done, 69100 succeeded, 20 failed, 1 errored, 2 timeout
status codes: 69100 2xx, 0 3xx, 0 4xx, 20 5xx
                     min         max         mean         sd        +/- sd
time for request:       54us     17.04ms    950us      1.60ms    90.38%
`;

const turn = (cpu: number, rss = 10) => ({ cpu, perSecond: 1000, p50: 0.8, p99: 2, rss });
const result = (ours: readonly number[], nginx: readonly number[]): CaseResult => ({
  name: 'plain', about: 'a case', contestants: [{ name: 'meltemi', turns: ours.map((cpu) => turn(cpu)) }, { name: 'nginx', turns: nginx.map((cpu) => turn(cpu)) }],
});
const comparing = (comparisons: readonly Comparison[]) => ({ name: 'plain', comparisons });

test("wrk's report is read, latencies in whatever unit", () => {
  assert.deepEqual(readWrk(wrkReport), { requests: 126_532, perSecond: 31_622.11, p50Micros: 812, p99Micros: 2250, errors: 0 });
});

test('refused answers and broken sockets count as errors', () => {
  assert.equal(readWrk(`${wrkReport}  Non-2xx or 3xx responses: 7\n  Socket errors: connect 1, read 2, write 3, timeout 4\n`).errors, 17);
});

test('a report without a number is an error, not a zero', () => {
  assert.throws(() => readWrk('unable to connect'), /requests in/);
  assert.throws(() => readH2load('unable to connect'), /said nothing/);
  assert.throws(() => readSTime('unable to connect'), /said nothing/);
});

test("h2load's report is read; whatever did not succeed is an error", () => {
  assert.deepEqual(readH2load(h2loadReport), { requests: 69_120, perSecond: 69_120, meanMs: 0.95, errors: 43 });
});

test("s_time's report is read", () => {
  assert.deepEqual(readSTime('1200 connections in 1.01s; 1188.12 connections/user sec, bytes read 1440000\n1200 connections in 2 real seconds, 1200 bytes read per connection\n'), { connections: 1200, bytesPerConnection: 1200 });
});

test('ratios compare turns of the same round, so that a slow minute of the machine cancels out', () => {
  const [ratio] = compare(comparing(cpuRatios({ nginx: [1.25, 1.5] })), result([15, 30], [10, 20]));
  assert.deepEqual(ratio?.value, { median: 1.5, min: 1.5, max: 1.5 });
});

test('a median past the goal is acceptable up to the worst that is named, and missed beyond', () => {
  const said = (ours: number) => compare(comparing(cpuRatios({ nginx: [1.25, 1.5] })), result([ours], [10]))[0]?.verdict;
  assert.deepEqual([said(12), said(14), said(16)], ['met', 'acceptable', 'missed']);
});

test('a difference is per unit, a value needs nobody else', () => {
  const comparisons: Comparison[] = [
    { kind: 'difference', metric: 'cpu', of: 'meltemi', to: 'nginx', per: 2, title: 'more' },
    { kind: 'value', metric: 'rss', of: 'meltemi', title: 'RSS', goal: 10 },
  ];
  assert.deepEqual(compare(comparing(comparisons), result([30], [20])).map(({ value, verdict }) => [value.median, verdict]), [[5, undefined], [10, 'met']]);
});

test('who did not take part is not compared', () => {
  assert.deepEqual(compare(comparing(cpuRatios({ haproxy: [1] })), result([30], [20])), []);
});

test('a case has a line per contestant, and says who is out and why', () => {
  const text = caseText({ metrics: requestMetrics }, { name: 'plain', about: 'a case', contestants: [{ name: 'meltemi', turns: [turn(30)] }, { name: 'nginx', turns: [], failure: 'no such file' }] });
  assert.match(text, /^meltemi {2,}30\.0 \(30\.0–30\.0\)/m);
  assert.match(text, /^nginx is out: no such file$/m);
});

test('the last table has goal and verdict beside each ratio', () => {
  assert.match(comparisonText(compare(comparing(cpuRatios({ nginx: [1.25, 1.5] })), result([30], [20]))), /^plain: CPU per request, meltemi \/ nginx {2,}1\.50 \(1\.50–1\.50\) +≤ 1\.25, at most 1\.5 +acceptable$/m);
});
