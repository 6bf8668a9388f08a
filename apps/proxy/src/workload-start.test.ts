import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ProxyOptions } from './options.ts';
import { workloadStart } from './workload-start.ts';

const folder = mkdtempSync(join(tmpdir(), 'meltemi-workload-'));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, 'cluster.env'), "# written by hand\nISTIO_META_CLUSTER_ID='Kubernetes'\nISTIO_METAJSON_LABELS='{\"app\":\"it'\\''s\"}'\nISTIO_SVC_IP=10.0.0.7\nPOD_NAMESPACE='vms'\nSERVICE_ACCOUNT='db'\nTRUST_DOMAIN=\"mesh.test\"\nCA_ADDR='citadel.test:15022'\n");
writeFileSync(join(folder, 'mesh.yaml'), 'defaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012\n  concurrency: 3\n  drainDuration: 7s\n  terminationDrainDuration: 1m\n  readinessProbe: {tcpSocket: {port: 1}}\n');

const given = (more: Partial<ProxyOptions> = {}) => more as ProxyOptions;

test('Istio\'s files for a virtual machine are all that a proxy needs', () => {
  const { values, env, drainTimeoutMs } = workloadStart(given({ 'workload-dir': folder }), {});
  assert.equal(drainTimeoutMs, 60_000);
  assert.match(values['service-node'] ?? '', /^sidecar~10\.0\.0\.7~[^~]+\.vms~vms\.svc\.cluster\.local$/);
  assert.deepEqual(
    [values['discovery-address'], values['citadel-address'], values['join-token-file'], values['root-cert-file'], values['trust-domain'], values.concurrency, values['drain-time-s']],
    ['istiod.istio-system.svc:15012', 'citadel.test:15022', join(folder, 'istio-token'), join(folder, 'root-cert.pem'), 'mesh.test', 3, 7],
  );
  assert.deepEqual([env['ISTIO_METAJSON_LABELS'], env['ISTIO_META_SERVICE_ACCOUNT']], ['{"app":"it\'s"}', 'db']);
  assert.deepEqual((JSON.parse(env['ISTIO_METAJSON_PROXY_CONFIG'] ?? '') as { readinessProbe: object }).readinessProbe, { tcpSocket: { port: 1 } });
});

test('flags go before the files, and so does the environment', () => {
  const { values, env } = workloadStart(given({ 'workload-dir': folder, concurrency: 1, 'discovery-address': 'pilot:1', 'service-node': 'sidecar~1.1.1.1~a.b~c' }), { TRUST_DOMAIN: 'other', PROXY_CONFIG: '{concurrency: 9, drainDuration: 1s}' });
  assert.deepEqual([values.concurrency, values['discovery-address'], values['service-node'], values['trust-domain'], values['drain-time-s']], [1, 'pilot:1', 'sidecar~1.1.1.1~a.b~c', 'other', 1]);
  assert.match(env['ISTIO_METAJSON_PROXY_CONFIG'] ?? '', /"concurrency":9.*|"readinessProbe"/);
});

test('a trust domain that was given holds, the default too, before the one of the files and before none', () => {
  const trustDomain = (more: Partial<ProxyOptions>) => workloadStart(given(more), {}).values['trust-domain'];
  assert.deepEqual([trustDomain({ 'workload-dir': folder, 'trust-domain': 'cluster.local' }), trustDomain({ 'workload-dir': folder }), trustDomain({ 'trust-domain': 'mine.test' }), trustDomain({})], ['cluster.local', 'mesh.test', 'mine.test', 'cluster.local']);
});

test('without files a ProxyConfig in the environment says how many workers there are; without any there is one', () => {
  assert.equal(workloadStart(given(), {}).values.concurrency, 1);
  assert.equal(workloadStart(given(), { PROXY_CONFIG: 'concurrency: 2' }).values.concurrency, 2);
  assert.equal(workloadStart(given(), { ISTIO_METAJSON_PROXY_CONFIG: '{"concurrency": 0}' }).values.concurrency, 0);
  assert.equal(workloadStart(given(), {}).drainTimeoutMs, undefined);
  assert.equal(workloadStart(given(), {}).env['ISTIO_METAJSON_PROXY_CONFIG'], undefined);
});

test('files that are not there, and what nobody can read in them, end the start with a sentence', () => {
  const bad = mkdtempSync(join(tmpdir(), 'meltemi-workload-'));
  const start = (env = {}) => () => workloadStart(given({ 'workload-dir': bad }), env);
  try {
    assert.throws(start(), /--workload-dir: .*cluster\.env/);
    writeFileSync(join(bad, 'cluster.env'), 'not a variable\n');
    assert.throws(start(), /cluster\.env, line 1: must be NAME='value'/);
    writeFileSync(join(bad, 'cluster.env'), '');
    writeFileSync(join(bad, 'mesh.yaml'), 'defaultConfig: {concurrency: many}');
    assert.throws(start(), /concurrency of the ProxyConfig must be a whole number/);
    assert.throws(start({ PROXY_CONFIG: '{' }), /PROXY_CONFIG: /);
    for (const name of ['drainDuration', 'terminationDrainDuration']) assert.throws(start({ PROXY_CONFIG: `{concurrency: 1, ${name}: -5s}` }), new RegExp(`${name} of the ProxyConfig must not be negative`));
  } finally {
    rmSync(bad, { recursive: true, force: true });
  }
});
