import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Turn } from './measure.ts';
import { ratios, reportText } from './report.ts';
import { readWrk } from './wrk.ts';

const report = `Running 4s test @ http://127.0.0.1:4000/
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

const turn = (cpuMicrosPerRequest: number): Turn => ({ requests: 4000, cpuMicrosPerRequest, perSecond: 1000, p50Micros: 800, p99Micros: 2000, rssBytes: 2 ** 20 });

test("wrk's report is read, latencies in whatever unit", () => {
  assert.deepEqual(readWrk(report), { requests: 126_532, perSecond: 31_622.11, p50Micros: 812, p99Micros: 2250, errors: 0 });
});

test('refused answers and broken sockets count as errors', () => {
  assert.equal(readWrk(`${report}  Non-2xx or 3xx responses: 7\n  Socket errors: connect 1, read 2, write 3, timeout 4\n`).errors, 17);
});

test('a report without a number is an error, not a zero', () => {
  assert.throws(() => readWrk('unable to connect'), /requests in/);
});

test('ratios compare turns of the same round, so that a slow minute of the machine cancels out', () => {
  const [ratio] = ratios([{ name: 'nginx', turns: [turn(10), turn(20)] }, { name: 'meltemi', turns: [turn(15), turn(30)] }]);
  assert.deepEqual(ratio, { of: 'meltemi', to: 'nginx', cpu: { median: 1.5, min: 1.5, max: 1.5 } });
});

test('the report has a line per peer and per ratio', () => {
  const text = reportText([{ name: 'meltemi', turns: [turn(30)] }, { name: 'nginx', turns: [turn(20)] }]);
  assert.match(text, /^meltemi {2,}30\.0 \(30\.0–30\.0\)/m);
  assert.match(text, /^CPU per request, meltemi \/ nginx: 1\.50 \(1\.50–1\.50\)$/m);
});
