import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { expositionText, istioHttpLabels, StatsRegistry } from '@meltemi/observe';
import { AccessLogType } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import { ConnectionTracker } from './attributes/connection-tracker.ts';
import { httpAttributes, tcpAttributes } from './attributes/from-access-log.ts';
import { parseReporter } from './attributes/reporter.ts';
import type { Attributes } from './attributes/vocabulary.ts';
import { edgeTemplate } from './graph/edge-instance.ts';
import { ServiceGraph } from './graph/service-graph.ts';
import { createPrometheusHandler, metricTemplate } from './metrics/prometheus-handler.ts';
import { ReportRuntime, rule } from './runtime.ts';
import { httpEntry, nodeOf, peerOf, tcpEntry } from './testing/entries.ts';

function request(reporter: 'source' | 'destination', code = 200): Attributes {
  const parsed = parseReporter(nodeOf(reporter === 'source' ? 'productpage-v1' : 'reviews-v1'));
  assert.ok(parsed.ok);
  const result = httpAttributes(httpEntry({ peer: peerOf(reporter, 'productpage-v1', 'reviews-v1'), code }), parsed.value);
  assert.ok(result.ok && result.value);
  return result.value;
}

test('one report reaches the graph and the metrics, each through its rule', () => {
  const graph = new ServiceGraph({ clock: new ManualClock(1_000_000) });
  const stats = new StatsRegistry();
  const runtime = new ReportRuntime(
    [
      rule({ name: 'graph', template: edgeTemplate, handler: { name: 'graph', handle: (edge) => graph.record(edge) } }),
      rule({ name: 'prometheus', template: metricTemplate, handler: createPrometheusHandler(stats) }),
    ],
    (_, error) => assert.fail(String(error)),
  );
  runtime.report(request('source', 503));
  runtime.report(request('destination', 503));
  assert.deepEqual(graph.read().edges.map(({ window }) => [window.requests, window.errors, window.mtlsShare]), [[1, 1, 1]]);
  const lines = expositionText(stats).split('\n').filter((line) => line.startsWith('istio_requests_total'));
  assert.equal(lines.length, 2);
  const destination = lines.find((line) => line.includes('reporter="destination"')) ?? '';
  for (const label of istioHttpLabels) assert.match(destination, new RegExp(`[{,]${label}="`));
  for (const pair of ['response_code="503"', 'connection_security_policy="mutual_tls"', 'destination_workload="reviews-v1"', 'source_principal="spiffe://cluster.local/ns/default/sa/productpage-v1"', 'request_protocol="http"', 'response_flags="-"', 'grpc_response_status=""']) assert.ok(destination.includes(pair), pair);
  assert.ok(lines.some((line) => line.includes('reporter="source"') && line.includes('connection_security_policy="unknown"')));
});

test('TCP connections count into the TCP metrics', () => {
  const stats = new StatsRegistry();
  const handler = createPrometheusHandler(stats);
  const parsed = parseReporter(nodeOf('mongo-v1'));
  assert.ok(parsed.ok);
  const result = tcpAttributes(tcpEntry({ peer: peerOf('destination', 'ratings-v2', 'mongo-v1'), type: AccessLogType.TcpConnectionEnd, id: 'c', received: 10, sent: 20 }), parsed.value, new ConnectionTracker());
  assert.ok(result.ok);
  for (const bag of result.value) {
    const instance = metricTemplate.instance(bag);
    assert.ok(instance);
    handler.handle(instance);
  }
  const text = expositionText(stats);
  for (const [name, value] of [['opened', 1], ['closed', 1]] as const) assert.match(text, new RegExp(`istio_tcp_connections_${name}_total\\{[^\\n]*source_workload="ratings-v2"[^\\n]*\\} ${value}`));
  assert.match(text, /istio_tcp_received_bytes_total\{[^\n]*\} 10\n/);
  assert.match(text, /istio_tcp_sent_bytes_total\{[^\n]*\} 20\n/);
});

test('a rule that throws is told and does not stop the next', () => {
  const told: string[] = [];
  let reached = 0;
  const template = { name: 'any', instance: () => ({}) };
  const runtime = new ReportRuntime(
    [
      rule({ name: 'broken', template, handler: { name: 'x', handle: () => { throw new Error('broken'); } } }),
      rule({ name: 'skipped', match: () => false, template, handler: { name: 'x', handle: () => assert.fail('must not match') } }),
      rule({ name: 'fine', template, handler: { name: 'x', handle: () => void reached++ } }),
    ],
    (name) => told.push(name),
  );
  runtime.report(new Map());
  assert.deepEqual([told, reached], [['broken'], 1]);
});
