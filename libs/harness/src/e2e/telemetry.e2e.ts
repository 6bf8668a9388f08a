import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import type { GraphEdge, GraphView } from '@meltemi/mixer';
import { get, repository, Traffic } from '../index.ts';
import { BookinfoMesh } from './bookinfo-mesh.ts';

describe('what the mesh tells of its traffic', () => {
  let book: BookinfoMesh;
  const cleanUp: (() => Promise<unknown>)[] = [];
  before(async () => {
    // The laptop's MeshConfig with access logs switched on as well.
    const dir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-config-'));
    cleanUp.unshift(async () => rmSync(dir, { recursive: true, force: true }));
    const meshConfig = join(dir, 'mesh.yaml');
    writeFileSync(meshConfig, `${readFileSync(join(repository, 'deploy/laptop/mesh.yaml'), 'utf8')}accessLogFile: /dev/stdout\n`);
    book = await BookinfoMesh.start(84, [], { meshConfig });
    cleanUp.unshift(() => book.stop());
    // Some of the traffic fails on purpose: the page without its reviews' stars is a page.
    await book.applyYaml(abortRatings);
    const traffic = new Traffic({ url: book.url(), perSecond: 50 }).start();
    // so many that by chance no version of reviews gets less than is asked for below
    await waitFor('450 pages', () => traffic.report().sent >= 450, { deadlineMs: 30_000 });
    const report = await traffic.stop();
    assert.deepEqual(report.failures, []);
  });
  after(async () => {
    for (const step of cleanUp) await step();
  });

  describe('the service graph', () => {
    let graph: GraphView;
    const edge = (source: string, destination: string): GraphEdge => {
      const found = graph.edges.find((each) => each.source.endsWith(`/${source}`) && each.destination.endsWith(`/${destination}`));
      return found ?? assert.fail(`no edge from ${source} to ${destination} in ${graph.edges.map((each) => `${each.source} → ${each.destination}`).join(', ')}`);
    };
    before(async () => {
      await waitFor('every report to have arrived', async () => {
        graph = JSON.parse((await get(`http://${book.mesh.control}:15031/graph?namespace=default&window=60s`)).body) as GraphView;
        return graph.edges.some(({ destination, window }) => destination.endsWith('/productpage-v1') && window.requests >= 450 && window.mtlsShare !== null);
      });
    });

    test('has an edge for every hop, with its rate, its latency and mutual TLS', () => {
      const hops: readonly (readonly [string, string])[] = [
        ['istio-ingressgateway', 'productpage-v1'], ['productpage-v1', 'details-v1'], ['productpage-v1', 'reviews-v1'], ['productpage-v1', 'reviews-v2'], ['productpage-v1', 'reviews-v3'],
      ];
      for (const [source, destination] of hops) {
        const { window, protocol, reportedBy, service } = edge(source, destination);
        assert.deepEqual([protocol, reportedBy, window.mtlsShare, service.namespace], ['http', 'source', 1, 'default'], `${source} → ${destination}`);
        assert.ok(window.requests >= 80 && window.requestsPerSecond > 0, JSON.stringify(window));
        const { p50, p99 } = window.latencyMs ?? assert.fail('no latency');
        assert.ok(p50 > 0 && p99 >= p50, JSON.stringify(window.latencyMs));
      }
    });

    test('counts the errors of the hop where they happened, and nowhere else', () => {
      // The fault is injected in the sidecars of reviews: those requests never reached a workload of ratings.
      const failed = graph.edges.filter(({ source, service }) => /\/reviews-v[23]$/.test(source) && service.name === 'ratings').map(({ window }) => window);
      const errors = failed.reduce((total, { errors: count }) => total + count, 0);
      const requests = failed.reduce((total, { requests: count }) => total + count, 0);
      assert.ok(requests >= 150 && errors > requests * 0.3 && errors < requests * 0.7, `${errors} of ${requests}`);
      assert.ok(failed.some(({ responseFlags }) => (responseFlags['FI'] ?? 0) > 0), JSON.stringify(failed));
      assert.equal(edge('productpage-v1', 'details-v1').window.errors, 0);
    });

    test('names each workload with its app, version and principal', () => {
      const reviews = graph.nodes.find(({ name }) => name === 'reviews-v2');
      assert.deepEqual([reviews?.kind, reviews?.app, reviews?.version, reviews?.canonicalService, reviews?.principal], ['workload', 'reviews', 'v2', 'reviews', 'spiffe://cluster.local/ns/default/sa/bookinfo-reviews']);
      assert.deepEqual(graph.nodes.filter(({ kind }) => kind === 'unknown'), []);
    });
  });

  /** The access log lines of a workload's sidecar that hold `text`. */
  function logged(workload: string, text: string): string[] {
    return readFileSync(book.mesh.workload(workload).proxy.spec.logFile, 'utf8').split('\n').filter((line) => line.startsWith('[') && line.includes(text));
  }

  test('a sidecar writes Istio’s default access log line', async () => {
    const form = new RegExp(String.raw`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "GET /details/0 HTTP/1\.1" 200 - via_upstream - "-" 0 \d+ \d+ \d+ "-" "[^"]+" "[0-9a-f-]{36}" "details:9080" `
      + String.raw`"127\.84\.2\.\d+:9080" inbound\|9080\|\| 127\.\S+:\d+ 127\.84\.1\.\d+:9080 127\.\S+:\d+ outbound_\.9080_\._\.details\.default\.svc\.cluster\.local default$`);
    const [line] = await waitFor('a line', () => {
      const lines = logged('details-v1', '/details/0');
      return lines.length > 0 && lines;
    });
    assert.match(line ?? '', form);
  });

  test('every hop of one request logs the same request id', async () => {
    const visitor = `visitor-${process.pid}`;
    await get(book.url(), { headers: { 'user-agent': visitor } });
    const ids = new Set<string>();
    for (const name of ['istio-ingressgateway', 'productpage-v1', 'details-v1']) {
      const [line] = await waitFor(`${name} to log the visit`, () => {
        const lines = logged(name, visitor);
        return lines.length > 0 && lines;
      });
      ids.add(/"([0-9a-f]{8}-[0-9a-f-]{27})"/.exec(line ?? '')?.[1] ?? `none in ${line}`);
    }
    assert.equal(ids.size, 1, [...ids].join(', '));
  });

  test('Prometheus scrapes every proxy and pilot', async () => {
    const prometheus = await startPrometheus(book);
    cleanUp.unshift(prometheus.stop);
    const query = async (text: string) => {
      const answer = await get(`${prometheus.url}/api/v1/query?query=${encodeURIComponent(text)}`);
      return (JSON.parse(answer.body) as { data?: { result: { metric: Record<string, string>; value: [number, string] }[] } }).data?.result ?? [];
    };
    const targets = book.mesh.workloads.length + 1;
    await waitFor('every target to be up', async () => (await query('up == 1')).length === targets, { deadlineMs: 20_000, everyMs: 200 });
    const [pages] = await query('sum(istio_requests_total{reporter="destination",destination_service_name="productpage",connection_security_policy="mutual_tls",response_code="200"})');
    assert.ok(Number(pages?.value[1]) >= 300, JSON.stringify(pages));
    const versions = await query('sum by (destination_version) (istio_requests_total{reporter="source",destination_service_name="reviews"})');
    assert.deepEqual(new Set(versions.map(({ metric }) => metric['destination_version'])), new Set(['v1', 'v2', 'v3']));
    const [latency] = await query('histogram_quantile(0.9, sum by (le) (istio_request_duration_milliseconds_bucket{reporter="source",destination_service_name="details"}))');
    assert.ok(Number(latency?.value[1]) > 0, JSON.stringify(latency));
    assert.ok((await query('pilot_xds')).length > 0);
  });
});

const abortRatings = JSON.stringify({
  apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'ratings' },
  spec: { hosts: ['ratings'], http: [{ fault: { abort: { percentage: { value: 50 }, httpStatus: 500 } }, route: [{ destination: { host: 'ratings' } }] }] },
});

/** Debian's Prometheus with a configuration of its own, on a free port. */
async function startPrometheus(book: BookinfoMesh): Promise<{ url: string; stop: () => Promise<void> }> {
  const dir = join(book.mesh.options.workDir, 'prometheus');
  mkdirSync(dir);
  const proxies = book.mesh.workloads.map(({ address }) => `${address}:15090`);
  writeFileSync(join(dir, 'prometheus.yml'), JSON.stringify({
    global: { scrape_interval: '1s' },
    scrape_configs: [
      { job_name: 'envoy-stats', metrics_path: '/stats/prometheus', static_configs: [{ targets: proxies }] },
      { job_name: 'pilot', static_configs: [{ targets: [`${book.mesh.control}:15014`] }] },
    ],
  }));
  const port = await freePort();
  const child = spawn('prometheus', [`--config.file=${join(dir, 'prometheus.yml')}`, `--storage.tsdb.path=${join(dir, 'data')}`, `--web.listen-address=127.0.0.1:${port}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (part: Buffer) => (said = (said + part.toString()).slice(-2000)));
  await once(child, 'spawn').catch((cause: unknown) => assert.fail(`no Prometheus: apt-get install prometheus (${String(cause)})`));
  const url = `http://127.0.0.1:${port}`;
  await waitFor('Prometheus to be ready', async () => {
    if (child.exitCode !== null) throw new Error(`it ended: ${said}`);
    return (await get(`${url}/-/ready`)).status === 200;
  }, { deadlineMs: 20_000 });
  return { url, stop: () => ended(child) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
