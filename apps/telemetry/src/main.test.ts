import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { waitFor } from '@meltemi/base';
import { AccessLogServiceClient, type StreamAccessLogsMessage } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import type { GraphView } from '@meltemi/mixer';
import { httpEntry, nodeOf, peerOf } from '@meltemi/mixer/testing';

const folder = mkdtempSync(join(tmpdir(), 'meltemi-telemetry-'));
const launcher = join(import.meta.dirname, '..', 'bin', 'meltemi-telemetry.js');
const children: ChildProcess[] = [];
let runs = 0;

after(() => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function start(args: readonly string[]) {
  const portsFile = join(folder, `ports-${runs++}.json`);
  const child = spawn(process.execPath, [launcher, '--http-listen', '127.0.0.1:0', '--listen', '127.0.0.1:0', '--ports-file', portsFile, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] } });
  children.push(child);
  const run = { child, err: '', exit: once(child, 'close').then(([code]: (number | null)[]) => code) };
  child.stderr.on('data', (data: Buffer) => (run.err += data.toString()));
  const ports = () =>
    waitFor('the ports file', () => {
      assert.equal(child.exitCode, null, run.err);
      return existsSync(portsFile) && (JSON.parse(readFileSync(portsFile, 'utf8')) as { ports: Record<string, number> }).ports;
    }, { deadlineMs: 20_000 });
  return { run, ports };
}

/** A sidecar that reports `count` requests from productpage-v1 to reviews-v1 as its side saw them. */
function report(port: number | undefined, reporter: 'source' | 'destination', count: number): Promise<unknown> {
  const client = new AccessLogServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise<void>((resolve, reject) => {
    const stream = client.streamAccessLogs({ deadline: Date.now() + 20_000 }, (error) => (error ? reject(error) : resolve()));
    const entry = httpEntry({ peer: peerOf(reporter, 'productpage-v1', 'reviews-v1'), code: 500, durationMs: 40 });
    const message: StreamAccessLogsMessage = { identifier: { node: nodeOf(reporter === 'source' ? 'productpage-v1' : 'reviews-v1'), logName: 'meltemi' }, logEntries: { $case: 'httpLogs', value: { logEntry: Array.from({ length: count }, () => entry) } } };
    stream.end(message);
  }).finally(() => client.close());
}

test('reports of both sidecars become one edge, and the standard metrics when it owns them', async () => {
  const { run, ports } = start(['--insecure-listen', '127.0.0.1:0', '--own-prometheus']);
  const { admin, 'als-insecure': als } = await ports();
  await Promise.all([report(als, 'source', 3), report(als, 'destination', 3)]);
  const graph = (await (await fetch(`http://127.0.0.1:${admin}/graph?namespace=default`)).json()) as GraphView;
  assert.equal(graph.edges.length, 1);
  const { source, destination, window } = graph.edges[0] ?? assert.fail('no edge');
  assert.deepEqual([source, destination, window.requests, window.errorShare, window.mtlsShare], ['workload/Kubernetes/default/productpage-v1', 'workload/Kubernetes/default/reviews-v1', 3, 1, 1]);
  const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  assert.match(metrics, /istio_requests_total\{reporter="destination"[^\n]*connection_security_policy="mutual_tls",response_code="500"[^\n]*\} 3/);
  assert.match(metrics, /meltemi_graph_edges 1/);
  run.child.kill('SIGTERM');
  assert.equal(await run.exit, 0, run.err);
});

test('by default the standard metrics are left to the proxies', async () => {
  const { ports } = start(['--insecure-listen', '127.0.0.1:0']);
  const { admin, 'als-insecure': als } = await ports();
  await report(als, 'source', 1);
  const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  assert.match(metrics, /meltemi_als_entries_total\{kind="http"\} 1/);
  assert.doesNotMatch(metrics, /istio_requests_total/);
});

test('without anybody who could send, or with plaintext for other machines, it says what to give', async () => {
  const nobody = start([]);
  const open = start(['--insecure-listen', '0.0.0.0:0']);
  assert.deepEqual(await Promise.all([nobody.run.exit, open.run.exit]), [2, 2]);
  assert.match(nobody.run.err, /--citadel-address HOST:PORT/);
  assert.match(open.run.err, /loopback only/);
});

test('until citadel answers it is up but not ready, and says so', async () => {
  const { ports } = start(['--citadel-address', '127.0.0.1:1', '--join-token-file', join(folder, 'no-token')]);
  const { admin, als } = await ports();
  assert.ok((als ?? 0) > 0);
  const response = await fetch(`http://127.0.0.1:${admin}/healthz/ready`);
  assert.equal(response.status, 503);
  assert.equal(await response.text(), 'waiting for: certificate from citadel at 127.0.0.1:1\n');
});
