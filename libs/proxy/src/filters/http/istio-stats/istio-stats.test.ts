import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Struct } from '@meltemi/api/gen/google/protobuf/struct.ts';
import { StreamInfo, unknownConnection } from '@meltemi/http';
import { compileCel } from '@meltemi/match';
import { StatsRegistry, type Counter, type Gauge, type Histogram } from '@meltemi/observe';
import { peerMetadataKey } from '../../../reports/access-log-entry.ts';
import { filterJson, requestText, routeToApp, Served, type ServedOptions } from '../../../testing/served.ts';
import { CustomMetrics } from './custom-metrics.ts';

const ratings = 'outbound|9080|v1|ratings.default.svc.cluster.local';
const stats = (fields: Record<string, unknown> = {}) => filterJson('istio.stats', 'stats.PluginConfig', fields);
const fault = filterJson('envoy.filters.http.fault', 'envoy.extensions.filters.http.fault.v3.HTTPFault', { abort: { httpStatus: 500, percentage: { numerator: 100 } } });
const grpcLog = { accessLog: [filterJson('als', 'envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig', { commonConfig: { logName: 'l', grpcService: { envoyGrpc: { clusterName: 'als' } } } })] };

function served(options: ServedOptions): Served {
  const all = new Served({ cluster: ratings, routes: [routeToApp({}, { cluster: ratings })], direction: 'outbound', ...options });
  all.connect().wire.receive(requestText());
  all.backend.requests[0]?.respond();
  return all;
}

test('a request that a fault aborts is counted for the service of its route, not for its Host header', () => {
  const all = served({ filters: [fault, stats()] });
  const labels = all.series('istio_requests_total');
  assert.deepEqual(
    [labels?.['destination_service'], labels?.['destination_service_name'], labels?.['destination_service_namespace'], labels?.['response_code'], labels?.['response_flags']],
    ['ratings.default.svc.cluster.local', 'ratings', 'default', '500', 'FI'],
  );
  assert.equal(all.done[0]?.upstreamCluster, ratings);
});

test('a direct response has no cluster: the Host header names the service of an outbound request', () => {
  const all = served({ filters: [stats()], routes: [{ match: { prefix: '/' }, directResponse: { status: 418 } }] });
  assert.deepEqual([all.series('istio_requests_total')?.['destination_service'], all.done[0]?.upstreamCluster], ['reviews', null]);
});

test('with all metrics dropped nothing is counted, and access log services still hear of both ends and who counts', () => {
  const all = served({ filters: [stats({ metrics: [{ drop: true }] })], hcm: grpcLog });
  assert.deepEqual(all.metrics.read().map(({ spec }) => spec.name), []);
  const peer = all.done[0]?.dynamicMetadata?.[peerMetadataKey];
  assert.deepEqual([peer?.['reporter'], peer?.['destination_service_name'], peer?.['counted']], ['source', 'ratings', false]);
});

test('a proxy that counts says so in its reports', () => {
  const all = served({ filters: [stats()], hcm: grpcLog });
  assert.equal(all.done[0]?.dynamicMetadata?.[peerMetadataKey]?.['counted'], true);
});

test('one metric is dropped by its name, the others stay', () => {
  const all = served({ filters: [stats({ metrics: [{ name: 'request_bytes', drop: true }] })] });
  assert.equal(all.series('istio_request_bytes'), undefined);
  assert.equal(all.series('istio_requests_total')?.['response_code'], '200');
});

test('each request without a service name of its cluster is counted for its own Host header', () => {
  const all = new Served({ filters: [stats()], routes: [{ match: { prefix: '/' }, directResponse: { status: 418 } }], direction: 'outbound' });
  const { wire } = all.connect();
  for (const host of ['one.example', 'two.example', 'one.example']) wire.receive(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  assert.deepEqual(countsBy(all, 'destination_service'), { 'one.example': 2, 'two.example': 1 });
});

test('gRPC calls are counted by their status, whatever the backend calls one', () => {
  const all = new Served({ filters: [stats()], cluster: ratings, routes: [routeToApp({}, { cluster: ratings })], direction: 'outbound' });
  const { wire } = all.connect();
  for (const status of ['0', '14', '0', 'odd', 'odd', '17']) {
    wire.receive('POST /a.B/C HTTP/1.1\r\nHost: ratings\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n');
    all.backend.requests.at(-1)?.respond(200, ['grpc-status', status]);
  }
  assert.deepEqual(countsBy(all, 'grpc_response_status'), { 0: 2, 14: 1, odd: 2, 17: 1 });
});

test('labels are what their expressions say of each request, others are gone, and the other metrics keep the standard ones', () => {
  const metrics = [{ name: 'requests_total', dimensions: { request_host: 'request.host', tier: "'gold'", destination_service: 'request.method', user: "request.headers['end-user']" }, tagsToRemove: ['source_principal', 'response_flags'] }];
  const all = new Served({ filters: [stats({ metrics })], cluster: ratings, routes: [routeToApp({}, { cluster: ratings })], direction: 'outbound' });
  const { wire } = all.connect();
  for (const [host, user] of [['one', 'jason'], ['two', 'jason'], ['one', 'jason']]) {
    wire.receive(`GET / HTTP/1.1\r\nHost: ${host}\r\nEnd-User: ${user}\r\n\r\n`);
    all.backend.requests.at(-1)?.respond();
  }
  wire.receive('GET / HTTP/1.1\r\nHost: one\r\n\r\n');
  all.backend.requests.at(-1)?.respond();
  const tagged = all.metrics.read().filter(({ spec, size }) => spec.name === 'istio_requests_total' && size > 0);
  assert.equal(tagged.length, 1);
  const names = tagged[0]?.spec.labelNames ?? [];
  assert.deepEqual([names.includes('source_principal'), names.includes('response_flags'), names.slice(-3)], [false, false, ['request_host', 'tier', 'user']]);
  const series = [...(tagged[0]?.series() ?? [])].map(({ values, child }) => [values[names.indexOf('destination_service')], ...values.slice(-3), (child as Counter).value]);
  assert.deepEqual(series, [['GET', 'one', 'gold', 'jason', 2], ['GET', 'two', 'gold', 'jason', 1], ['GET', 'one', 'gold', 'unknown', 1]]);
  assert.equal(all.series('istio_request_bytes')?.['response_flags'], '-');
});

const grpcStats = filterJson('envoy.filters.http.grpc_stats', 'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', { emitFilterState: true });
const messages = (...texts: string[]) => Buffer.concat(texts.map((text) => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)])));
const call = 'POST /a.B/C HTTP/1.1\r\nHost: ratings\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n';
const chunk = (body: Buffer) => `${body.length.toString(16)}\r\n${body.toString('latin1')}\r\n`;
const valueOf = (all: Served, name: string) => all.metrics.read().filter(({ spec }) => spec.name === name).flatMap((family) => [...family.series()]).reduce((sum, { child }) => sum + (child as Counter).value, 0);
const messagesOf = (all: Served) => ['istio_request_messages_total', 'istio_response_messages_total'].map((name) => valueOf(all, name));

test('messages of a gRPC stream are counted every five seconds while it lives, and the rest at its end, each once', () => {
  const all = new Served({ filters: [grpcStats, stats()], cluster: ratings, routes: [routeToApp({}, { cluster: ratings })], direction: 'inbound' });
  const { wire } = all.connect();
  wire.receive(call);
  wire.receive(chunk(messages('a', 'bb', 'ccc')));
  all.backend.requests[0]?.begin(200, ['content-type', 'application/grpc']);
  all.backend.requests[0]?.part(messages('x'));
  assert.deepEqual(messagesOf(all), [0, 0]);
  all.done.length = 0;
  all.clock.advance(5000);
  assert.deepEqual(messagesOf(all), [0, 0], 'nobody said who is at the other end, so nothing is counted before the end');
  all.backend.requests[0]?.part(messages('y', 'z'));
  wire.receive(chunk(messages('d')));
  wire.receive('0\r\n\r\n');
  all.backend.requests[0]?.end(['grpc-status', '0']);
  assert.deepEqual(messagesOf(all), [4, 3]);
  const labels = all.series('istio_request_messages_total') ?? {};
  assert.deepEqual([labels['reporter'], labels['destination_service_name'], 'response_code' in labels, 'request_protocol' in labels], ['destination', 'ratings', false, false]);
});

test('a stream whose peer is known is counted while it is open; a request that is no gRPC has no messages', () => {
  const peer = Buffer.from(Struct.encode(Struct.wrap({ NAMESPACE: 'default', WORKLOAD_NAME: 'productpage-v1', LABELS: { app: 'productpage' } })).finish()).toString('base64');
  const peerMetadata = filterJson('envoy.filters.http.peer_metadata', 'io.istio.http.peer_metadata.Config', { downstreamDiscovery: [{ istioHeaders: {} }] });
  const all = new Served({ filters: [peerMetadata, grpcStats, stats({ tcp_reporting_duration: '2s' })], cluster: ratings, routes: [routeToApp({}, { cluster: ratings })], direction: 'inbound' });
  const { wire } = all.connect();
  wire.receive(call.replace('Host:', `x-envoy-peer-metadata: ${peer}\r\nHost:`));
  wire.receive(chunk(messages('a', 'b')));
  all.clock.advance(2000);
  assert.deepEqual([messagesOf(all), all.series('istio_request_messages_total')?.['source_workload']], [[2, 0], 'productpage-v1']);
  wire.receive(chunk(messages('c')));
  all.clock.advance(2000);
  assert.deepEqual(messagesOf(all), [3, 0]);
  wire.destroy();
  assert.deepEqual(messagesOf(all), [3, 0]);
  const plain = served({ filters: [grpcStats, stats()] });
  assert.equal(plain.series('istio_request_messages_total'), undefined);
});

test('reports carry the messages of a gRPC stream', () => {
  const all = new Served({ filters: [grpcStats, stats({ metrics: [{ drop: true }] })], cluster: ratings, routes: [routeToApp({}, { cluster: ratings })], direction: 'outbound', hcm: grpcLog });
  const { wire } = all.connect();
  wire.receive(call);
  wire.receive(chunk(messages('a', 'b')));
  wire.receive('0\r\n\r\n');
  all.backend.requests[0]?.begin(200, ['grpc-status', '0']);
  all.backend.requests[0]?.end();
  const told = all.done[0]?.dynamicMetadata?.[peerMetadataKey];
  assert.deepEqual([told?.['request_messages'], told?.['response_messages']], [2, 0]);
});

test('metrics of one\'s own: a counter, a gauge and a histogram of what expressions say, with labels of their own', () => {
  const definitions = [{ name: 'uploaded_total', value: 'request.size' }, { name: 'last_code', type: 'GAUGE', value: 'response.code' }, { name: 'answer_bytes', type: 'HISTOGRAM', value: 'response.size' }, { name: 'odd', value: 'request.host' }];
  const metrics = [{ name: 'uploaded_total', dimensions: { verb: 'request.method', source_app: "'mine'" } }, { dimensions: { tier: "'gold'" } }];
  const all = new Served({ filters: [stats({ definitions, metrics })], cluster: ratings, routes: [routeToApp({}, { cluster: ratings })], direction: 'outbound' });
  const { wire } = all.connect();
  for (const verb of ['PUT', 'POST', 'PUT']) {
    wire.receive(`${verb} / HTTP/1.1\r\nHost: ratings\r\nContent-Length: 3\r\n\r\nabc`);
    all.backend.requests.at(-1)?.respond(201);
  }
  const family = (name: string) => all.metrics.read().find(({ spec, size }) => spec.name === name && size > 0);
  assert.deepEqual(family('istio_uploaded_total')?.spec.labelNames, ['source_app', 'tier', 'verb']);
  assert.deepEqual([...(family('istio_uploaded_total')?.series() ?? [])].map(({ values, child }) => [...values, (child as Counter).value]), [['mine', 'gold', 'PUT', 6], ['mine', 'gold', 'POST', 3]]);
  const only = (name: string) => [...(family(name)?.series() ?? [])][0];
  assert.deepEqual([only('istio_last_code')?.values, (only('istio_last_code')?.child as Gauge | undefined)?.value], [['gold'], 201]);
  assert.equal((only('istio_answer_bytes')?.child as Histogram | undefined)?.count, 3);
  assert.equal((only('istio_odd')?.child as Counter | undefined)?.value, 0, 'no number counts as 0');
  const names = family('istio_requests_total')?.spec.labelNames ?? [];
  assert.deepEqual([names.at(-1), names.includes('verb')], ['tier', false], 'an entry without a name is for the standard metrics, too');
});

test('a metric of one\'s own whose kind changes while the proxy runs is left out, and nothing breaks', () => {
  const metrics = new StatsRegistry();
  const one = compileCel('1');
  assert.ok(one.ok);
  const define = (kind: 'counter' | 'gauge') => new CustomMetrics([{ name: 'mine', kind, value: one.value, labels: [] }], metrics);
  const info = new StreamInfo(unknownConnection, 0, 0);
  define('counter').record(info);
  define('gauge').record(info);
  assert.deepEqual(metrics.read().map(({ spec }) => [spec.name, spec.kind]), [['istio_mine', 'counter']]);
});

/** Requests counted, by the value of one label. */
function countsBy(all: Served, label: string): Record<string, number> {
  const family = all.metrics.read().find(({ spec }) => spec.name === 'istio_requests_total');
  const at = family?.spec.labelNames.indexOf(label) ?? -1;
  return Object.fromEntries([...(family?.series() ?? [])].map(({ values, child }) => [values[at], (child as Counter).value]));
}
