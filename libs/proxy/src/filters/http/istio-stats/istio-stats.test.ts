import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Counter } from '@meltemi/observe';
import { peerMetadataKey } from '../../../reports/access-log-entry.ts';
import { filterJson, requestText, routeToApp, Served, type ServedOptions } from '../../../testing/served.ts';

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

/** Requests counted, by the value of one label. */
function countsBy(all: Served, label: string): Record<string, number> {
  const family = all.metrics.read().find(({ spec }) => spec.name === 'istio_requests_total');
  const at = family?.spec.labelNames.indexOf(label) ?? -1;
  return Object.fromEntries([...(family?.series() ?? [])].map(({ values, child }) => [values[at], (child as Counter).value]));
}
