import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import type { GraphView, ObservedAccess, RecentRequest } from '@meltemi/mixer';
import { httpEntry, nodeOf, peerOf } from '@meltemi/mixer/testing';
import { report, TelemetryProcesses } from './testing/telemetry-process.ts';

const processes = new TelemetryProcesses();
after(() => processes.remove());

/** A sidecar that reports `count` failed requests from productpage-v1 to reviews-v1 as its side saw them. */
function reportAs(port: number | undefined, reporter: 'source' | 'destination', count: number, said: { counted?: boolean } = {}): Promise<void> {
  const entry = httpEntry({ peer: { ...peerOf(reporter, 'productpage-v1', 'reviews-v1'), ...said }, code: 500, durationMs: 40 });
  return report(`127.0.0.1:${port}`, { node: nodeOf(reporter === 'source' ? 'productpage-v1' : 'reviews-v1'), entries: Array.from({ length: count }, () => entry) });
}

test('reports of both sidecars become one edge, and the standard metrics when it owns them', async () => {
  const telemetry = processes.start(['--insecure-listen', '127.0.0.1:0', '--own-prometheus']);
  const { 'als-insecure': als } = await telemetry.ports();
  await Promise.all([reportAs(als, 'source', 3), reportAs(als, 'destination', 3)]);
  const graph = (await (await telemetry.get('/graph?namespace=default')).json()) as GraphView;
  assert.equal(graph.edges.length, 1);
  const { source, destination, window } = graph.edges[0] ?? assert.fail('no edge');
  assert.deepEqual([source, destination, window.requests, window.errorShare, window.mtlsShare], ['workload/Kubernetes/default/productpage-v1', 'workload/Kubernetes/default/reviews-v1', 3, 1, 1]);
  const metrics = await (await telemetry.get('/metrics')).text();
  assert.match(metrics, /istio_requests_total\{reporter="destination"[^\n]*connection_security_policy="mutual_tls",response_code="500"[^\n]*\} 3/);
  assert.match(metrics, /meltemi_graph_edges 1/);
  telemetry.child.kill('SIGTERM');
  assert.equal(await telemetry.exit, 0, telemetry.log);
});

test('the requests that clients sent lately are told, each once', async () => {
  const telemetry = processes.start(['--insecure-listen', '127.0.0.1:0']);
  const { 'als-insecure': als } = await telemetry.ports();
  await Promise.all([reportAs(als, 'source', 3), reportAs(als, 'destination', 3)]);
  const { requests } = (await (await telemetry.get('/requests?namespace=default')).json()) as { requests: RecentRequest[] };
  assert.deepEqual(requests.map(({ from, method, url, count }) => [from, method, url, count]), [['default/productpage-v1', 'GET', 'http://reviews:9080/reviews/0', 3]]);
  assert.deepEqual(await (await telemetry.get('/requests?namespace=other')).json(), { requests: [] });
});

test('by default the standard metrics are left to the proxies', async () => {
  const telemetry = processes.start(['--insecure-listen', '127.0.0.1:0']);
  await reportAs((await telemetry.ports())['als-insecure'], 'source', 1);
  const metrics = await (await telemetry.get('/metrics')).text();
  assert.match(metrics, /meltemi_als_entries_total\{kind="http"\} 1/);
  assert.doesNotMatch(metrics, /istio_requests_total/);
});

test('it never counts what a proxy counted, and says once what to change', async () => {
  const telemetry = processes.start(['--insecure-listen', '127.0.0.1:0', '--own-prometheus']);
  const { 'als-insecure': als } = await telemetry.ports();
  await reportAs(als, 'source', 3, { counted: true });
  await reportAs(als, 'destination', 2, { counted: false });
  const metrics = await (await telemetry.get('/metrics')).text();
  assert.doesNotMatch(metrics, /istio_requests_total\{reporter="source"/);
  assert.match(metrics, /istio_requests_total\{reporter="destination"[^\n]*\} 2/);
  await waitFor('the warning', () => /a proxy counts the standard metrics itself/.test(telemetry.log));
  assert.equal(telemetry.log.match(/a proxy counts the standard metrics itself/g)?.length, 1);
});

test('when proxies leave the counting to it and it was not told to count, it says so', async () => {
  const telemetry = processes.start(['--insecure-listen', '127.0.0.1:0']);
  await reportAs((await telemetry.ports())['als-insecure'], 'source', 1, { counted: false });
  await waitFor('the warning', () => /nobody counts the standard metrics/.test(telemetry.log));
});

test('without anybody who could send, or with plaintext for other machines, it says what to give', async () => {
  const nobody = processes.start([]);
  const open = processes.start(['--insecure-listen', '0.0.0.0:0']);
  assert.deepEqual(await Promise.all([nobody.exit, open.exit]), [2, 2]);
  assert.match(nobody.log, /--citadel-address HOST:PORT/);
  assert.match(open.log, /loopback only/);
});

test('a busy gRPC port names its flag', async () => {
  const first = processes.start(['--insecure-listen', '127.0.0.1:0']);
  const { 'als-insecure': port } = await first.ports();
  const second = processes.start(['--insecure-listen', `127.0.0.1:${port}`]);
  assert.equal(await second.exit, 1);
  assert.match(second.log, new RegExp(`--insecure-listen: cannot listen on 127\\.0\\.0\\.1:${port}: the port is busy`));
});

test('until citadel answers it is up but not ready, and says so', async () => {
  const telemetry = processes.start(['--citadel-address', '127.0.0.1:1', '--join-token-file', join(processes.folder, 'no-token')]);
  assert.ok(((await telemetry.ports())['als'] ?? 0) > 0);
  assert.equal((await telemetry.get('/healthz/ready')).status, 503);
  await waitFor('the reason', async () => /^waiting for: certificate from citadel at 127\.0\.0\.1:1 \(.+\)\n$/.test(await (await telemetry.get('/healthz/ready')).text()));
});

test('who reached a workload with what is told as its own proxy saw it', async () => {
  const telemetry = processes.start(['--insecure-listen', '127.0.0.1:0']);
  const { 'als-insecure': als } = await telemetry.ports();
  await Promise.all([reportAs(als, 'source', 3), reportAs(als, 'destination', 3)]);
  const { accesses } = (await (await telemetry.get('/accesses?namespace=default')).json()) as { accesses: ObservedAccess[] };
  assert.deepEqual(accesses.map(({ workload, port, principal, method, path, count, answers }) => [workload, port, principal, method, path, count, answers.error]), [['default/reviews-v1', 9080, 'spiffe://cluster.local/ns/default/sa/productpage-v1', 'GET', '/reviews/0', 3, 3]]);
});
