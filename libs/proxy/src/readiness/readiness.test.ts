import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFieldErrors, ManualClock } from '@meltemi/base';
import { Readiness, type ReadinessOptions } from './readiness.ts';
import { parseReadinessProbe } from './readiness-probe.ts';

function probeOf(json: object) {
  const parsed = parseReadinessProbe(json, '10.0.0.7');
  assert.ok(parsed.ok, parsed.ok ? '' : formatFieldErrors(parsed.error));
  return parsed.value;
}

test('a probe has Kubernetes\' defaults, and asks the workload\'s own address', () => {
  assert.deepEqual(probeOf({ tcpSocket: { port: 80 } }), { check: { kind: 'tcp', host: '10.0.0.7', port: 80 }, initialDelayMs: 0, periodMs: 10_000, timeoutMs: 1000, successThreshold: 1, failureThreshold: 3 });
  assert.deepEqual(probeOf({ httpGet: { port: 80, path: 'live', scheme: 'HTTPS', host: 'localhost', httpHeaders: [{ name: 'Host', value: 'a' }] }, initialDelaySeconds: 5 }).check, { kind: 'http', scheme: 'https', host: 'localhost', port: 80, path: '/live', headers: [['Host', 'a']] });
  assert.deepEqual(probeOf({ exec: { command: ['test', '-e', '/ready'] } }).check, { kind: 'exec', command: ['test', '-e', '/ready'] });
  assert.deepEqual(probeOf({ grpc: { port: 90, service: 's' } }).check, { kind: 'grpc', host: '10.0.0.7', port: 90, service: 's' });
});

test('a probe that cannot be run is refused by field', () => {
  const reasons = (json: unknown) => { const parsed = parseReadinessProbe(json, 'h'); return parsed.ok ? '' : formatFieldErrors(parsed.error); };
  assert.match(reasons({}), /exactly one of/);
  assert.match(reasons({ tcpSocket: { port: 1 }, exec: { command: ['a'] } }), /exactly one of/);
  assert.match(reasons({ httpGet: {} }), /httpGet\.port/);
  assert.match(reasons({ exec: { command: [] } }), /exec\.command/);
  assert.match(reasons({ tcpSocket: { port: 80 }, periodSeconds: -1 }), /periodSeconds/);
  assert.match(reasons('text'), /exactly one of/);
  assert.match(reasons({ httpGet: { port: 80, path: '/a b' } }), /httpGet\.path/);
  assert.match(reasons({ httpGet: { port: 80, httpHeaders: [{ name: 'a b', value: 'c' }] } }), /httpGet\.httpHeaders\[0\]\.name/);
  assert.match(reasons({ httpGet: { port: 80, httpHeaders: [{ name: 'a', value: 'b' }, { name: 'c', value: 'd\r\ne: f' }] } }), /httpGet\.httpHeaders\[1\]\.value/);
});

/** "late": questions stay open until the test answers. */
function running(json: object, answers: { reason: string | undefined; proxy?: string | undefined } | 'late') {
  const clock = new ManualClock();
  const told: unknown[] = [];
  let asked = 0;
  const open: { readonly stop: AbortSignal; readonly answer: (reason: string | undefined) => void }[] = [];
  const ask: ReadinessOptions['ask'] = (_check, _timeoutMs, stop) => {
    asked++;
    return answers === 'late' ? new Promise((answer) => open.push({ stop, answer })) : Promise.resolve(answers.reason);
  };
  const readiness = new Readiness({ probe: probeOf({ tcpSocket: { port: 80 }, periodSeconds: 1, ...json }), clock, ask, proxyReason: () => (answers === 'late' ? undefined : answers.proxy) });
  readiness.subscribe(() => told.push(readiness.current));
  readiness.start();
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      clock.advance(1000);
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
  };
  return { readiness, told, pass, asked: () => asked, open };
}

test('nothing is said before the delay is over and as many answers agree as asked for; only changes are told', async () => {
  const answers: { reason: string | undefined } = { reason: undefined };
  const { told, pass, asked } = running({ initialDelaySeconds: 5, successThreshold: 2, failureThreshold: 3 }, answers);
  await pass(4);
  assert.equal(asked(), 0);
  await pass(1);
  assert.deepEqual(told, []);
  await pass(5);
  assert.deepEqual(told, [{ healthy: true }]);
  answers.reason = 'refused';
  await pass(2);
  answers.reason = undefined;
  await pass(1);
  answers.reason = 'refused again';
  await pass(2);
  assert.equal(told.length, 1, 'two failures, a success, two failures: never three in a row');
  await pass(1);
  assert.deepEqual(told.at(-1), { healthy: false, reason: 'refused again' });
  answers.reason = undefined;
  await pass(2);
  assert.deepEqual(told.at(-1), { healthy: true });
});

test('an application that never was ready is told so, once', async () => {
  const { told, pass } = running({ failureThreshold: 2 }, { reason: 'no' });
  await pass(9);
  assert.deepEqual(told, [{ healthy: false, reason: 'no' }]);
});

test('while the proxy itself is not ready the application is not asked', async () => {
  const answers: { reason: string | undefined; proxy: string | undefined } = { reason: undefined, proxy: 'no configuration yet' };
  const { told, pass, asked } = running({ failureThreshold: 1 }, answers);
  await pass(2);
  assert.deepEqual([asked(), told], [0, [{ healthy: false, reason: 'no configuration yet' }]]);
  answers.proxy = undefined;
  await pass(1);
  assert.deepEqual(told.at(-1), { healthy: true });
});

test('after a stop nobody is asked; a question that is open is given up, and its answer changes nothing', async () => {
  const { readiness, told, pass, asked, open } = running({}, 'late');
  await pass(1);
  assert.equal(asked(), 1);
  readiness.stop();
  assert.equal(open[0]?.stop.aborted, true);
  open[0]?.answer(undefined);
  await pass(5);
  assert.deepEqual([asked(), told], [1, []]);
});
