import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { LogsServiceService, type ExportLogsServiceRequest, type LogsServiceServer } from '@meltemi/api/gen/opentelemetry/proto/collector/logs/v1/logs_service.ts';
import type { KeyValue } from '@meltemi/api/gen/opentelemetry/proto/common/v1/common.ts';
import { waitFor } from '@meltemi/base';
import { backend, tcpBackend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, filter, http2Only, httpListener, route, tcpListener, type Json } from './testing/bootstrap.ts';
import { RawConnection, request } from './testing/client.ts';
import { grpcServer, type GrpcServer } from './testing/grpc-server.ts';
import { startProxy } from './testing/proxy-process.ts';
import { statsOf } from './testing/samples.ts';

let app: Backend;
let collector: GrpcServer;
/** What the collector does with a batch. */
let answer: 'take' | 'fail' | 'reject one' = 'take';
const batches: ExportLogsServiceRequest[] = [];
const callers: string[] = [];

before(async () => {
  app = await backend('app');
  collector = await grpcServer((server) => server.addService(LogsServiceService, {
    export: (call, done) => {
      if (answer === 'fail') return done({ code: status.UNAVAILABLE, details: 'full' });
      callers.push(String(call.metadata.get('x-tenant')[0]));
      batches.push(call.request);
      return done(null, answer === 'reject one' ? { partialSuccess: { rejectedLogRecords: 1n, errorMessage: 'one is bad' } } : {});
    },
  } satisfies LogsServiceServer));
});
after(async () => {
  collector?.stop();
  await app?.stop();
});

const text = (value: string): Json => ({ string_value: value });
const log = (more: Json = {}, common: Json = {}): Json => filter('envoy.access_loggers.open_telemetry', 'type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig', {
  common_config: { log_name: 'edge', transport_api_version: 'V3', grpc_service: { envoy_grpc: { cluster_name: 'collector' }, timeout: '2s', initial_metadata: [{ key: 'x-tenant', value: 'shop' }] }, buffer_flush_interval: '0.1s', ...common },
  body: text('%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%'), attributes: { values: [{ key: 'user_agent', value: text('%REQ(USER-AGENT)%') }] }, ...more,
});
const flat = (pairs: readonly KeyValue[] = []) => Object.fromEntries(pairs.map(({ key, value }) => [key, value?.value?.value]));
const records = () => batches.flatMap(({ resourceLogs }) => resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)));
const bodies = () => records().map(({ body }) => body?.value?.value);
const clusters = () => [cluster('app', [app.port]), cluster('collector', [collector.port], http2Only)];

test('a collector gets what HTTP and TCP sessions were, with their resource', async () => {
  await using raw = await tcpBackend('raw', (socket) => socket.end('bye'));
  await using proxy = await startProxy(bootstrap([
    httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { access_log: [log({ resource_attributes: { values: [{ key: 'region', value: text('eu') }] } })] } }),
    tcpListener('tcp', { cluster: 'raw', access_log: [log({ body: text('%UPSTREAM_CLUSTER% %BYTES_SENT%') })] }),
  ], [...clusters(), cluster('raw', [raw.port])], { node: { id: 'edge-1', cluster: 'edge', locality: { zone: 'z1' } } }));
  await Promise.all(Array.from({ length: 20 }, (_, i) => request(proxy.port('web'), { path: `/${i}`, headers: { 'user-agent': 'tester' } })));
  const session = new RawConnection(proxy.port('tcp'));
  await session.untilClosed();
  await waitFor('all records', () => records().length === 21);
  assert.deepEqual(new Set(bodies()), new Set([...Array.from({ length: 20 }, (_, i) => `GET /${i} 200`), 'raw 3']));
  assert.ok(batches.length < 10, `${batches.length} calls`);
  assert.deepEqual(flat(records()[0]?.attributes), { user_agent: 'tester' });
  assert.deepEqual(flat(batches[0]?.resourceLogs[0]?.resource?.attributes), { log_name: 'edge', zone_name: 'z1', cluster_name: 'edge', node_name: 'edge-1', region: 'eu' });
  assert.ok(Math.abs(Number(records()[0]?.timeUnixNano ?? 0n) / 1e6 - Date.now()) < 60_000);
  assert.equal(callers[0], 'shop');
  await waitFor('the count', async () => (await statsOf(proxy)).get('access_logs.open_telemetry_access_log.logs_written') === 21);
});

test('what the collector does not take is counted, and costs no request anything', async () => {
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { access_log: [log({ stat_prefix: 'mine' })] } })], clusters()));
  const dropped = async (count: number) => waitFor(`${count} dropped`, async () => (await statsOf(proxy)).get('access_logs.open_telemetry_access_log.mine.logs_dropped') === count);
  answer = 'fail';
  assert.equal((await request(proxy.port('web'))).status, 200);
  await dropped(1);
  answer = 'reject one';
  await request(proxy.port('web'));
  await dropped(2);
  answer = 'take';
});

test('records that wait are handed over when the proxy ends', async () => {
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { access_log: [log({}, { buffer_flush_interval: '60s' })] } })], clusters()));
  await request(proxy.port('web'), { path: '/at-the-end' });
  await proxy.stop();
  assert.ok(bodies().includes('GET /at-the-end 200'));
});

test('a full buffer does not wait for the interval', async () => {
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { access_log: [log({}, { buffer_flush_interval: '60s', buffer_size_bytes: 300 })] } })], clusters()));
  for (let i = 0; i < 8; i++) await request(proxy.port('web'), { path: `/buffered/${i}` });
  await waitFor('the first of them', () => bodies().includes('GET /buffered/0 200'));
});

test('the record of a traced request names its trace and span', async () => {
  const tracing = { provider: { name: 'envoy.tracers.opentelemetry', typed_config: { '@type': 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig', service_name: 'edge' } } };
  await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { tracing, access_log: [log()] } })], clusters()));
  const reply = await request(proxy.port('web'), { path: '/traced' });
  const record = await waitFor('the record', () => records().find(({ body }) => body?.value?.value === 'GET /traced 200'));
  assert.equal(reply.seen().headers['traceparent'], `00-${record.traceId.toString('hex')}-${record.spanId.toString('hex')}-01`);
});
