import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Report } from '@meltemi/route';
import { compileHealthChecks } from './health-check.ts';

function compile(check: object, { cluster = {} } = {}) {
  const report = new Report();
  const message = Cluster.decode(jsonToBinary('envoy.config.cluster.v3.Cluster', { name: 'c', health_checks: [check], ...cluster }));
  const value = compileHealthChecks(message, report);
  return { value, errors: report.errors.map(({ path }) => path), warnings: report.warnings.map(({ path }) => path) };
}

const pace = { timeout: '1s', interval: '5s', unhealthy_threshold: 3, healthy_threshold: 2 };
const base = 'health_checks[0]';

test('an HTTP check compiles with Envoy\'s defaults', () => {
  const { value, errors } = compile({ ...pace, http_health_check: { path: '/healthz' } });
  assert.deepEqual(errors, []);
  assert.deepEqual(value, {
    kind: {
      kind: 'http', protocol: 'http1', method: 'GET', host: '', path: '/healthz', send: null, receive: [], responseBufferBytes: 1024, expectedStatuses: [{ from: 200, to: 201 }], retriableStatuses: [],
      requestHeaders: [], serviceName: null,
    },
    timeoutMs: 1000, intervalMs: 5000, initialJitterMs: 0, intervalJitterMs: 0, intervalJitterPercent: 0, unhealthyThreshold: 3, healthyThreshold: 2, reuseConnection: true,
    noTrafficIntervalMs: 60_000, noTrafficHealthyIntervalMs: 60_000, unhealthyIntervalMs: 5000, unhealthyEdgeIntervalMs: 5000, healthyEdgeIntervalMs: 5000,
    alwaysLogFailures: false, altPort: null, alpn: null, socketMatch: null, ignoreNewHosts: false,
  });
});

test('settings are taken; payloads are hexadecimal text or bytes', () => {
  const { value } = compile({ ...pace, no_traffic_interval: '9s', unhealthy_interval: '2s', reuse_connection: false, tls_options: { alpn_protocols: ['h1'] }, tcp_health_check: { send: { text: '50494E47' }, receive: [{ binary: Buffer.from('PONG').toString('base64') }] } });
  assert.deepEqual(value?.kind, { kind: 'tcp', send: Buffer.from('PING'), receive: [Buffer.from('PONG')] });
  assert.deepEqual([value?.noTrafficIntervalMs, value?.noTrafficHealthyIntervalMs, value?.unhealthyIntervalMs, value?.unhealthyEdgeIntervalMs, value?.reuseConnection, value?.alpn], [9000, 9000, 2000, 2000, false, ['h1']]);
  const post = compile({ ...pace, http_health_check: { path: '/', method: 'POST', expected_statuses: [{ start: 200, end: 300 }], retriable_statuses: [{ start: 429, end: 430 }], service_name_matcher: { prefix: 'loc' } } }).value?.kind;
  assert.ok(post?.kind === 'http' && post.method === 'POST' && post.serviceName?.matches('locations') === true);
  assert.deepEqual([post.expectedStatuses, post.retriableStatuses], [[{ from: 200, to: 300 }], [{ from: 429, to: 430 }]]);
});

test('what is missing or cannot be done is refused by its path', () => {
  assert.deepEqual(compile({ http_health_check: { path: '/' } }).errors, ['interval', 'timeout', 'unhealthy_threshold', 'healthy_threshold'].map((name) => `${base}.${name}`));
  assert.deepEqual(compile(pace).errors, [base]);
  const http = (fields: object) => compile({ ...pace, http_health_check: { path: '/', ...fields } }).errors.map((path) => path.replace(`${base}.http_health_check.`, ''));
  assert.deepEqual(http({ path: '' }), ['path']);
  assert.deepEqual(http({ path: '/a b' }), ['path']);
  assert.deepEqual(http({ expected_statuses: [{ start: 300, end: 200 }] }), ['expected_statuses[0]']);
  assert.deepEqual(http({ send: { text: '00' } }), ['send']);
  assert.deepEqual(http({ codec_client_type: 'HTTP3' }), ['codec_client_type']);
  assert.deepEqual(compile({ ...pace, tcp_health_check: { send: { text: 'PING' } } }).errors, [`${base}.tcp_health_check.send`]);
  assert.deepEqual(compile({ ...pace, custom_health_check: { name: 'envoy.health_checkers.redis' } }).errors, [`${base}.custom_health_check`]);
  assert.deepEqual(compile({ ...pace, tcp_health_check: {} }, { cluster: { type: 'ORIGINAL_DST' } }).errors, ['health_checks']);
  assert.deepEqual(compile({ ...pace, tcp_health_check: {}, event_log_path: '/tmp/x' }).warnings, [`${base}.event_log_path`]);
});

test('a gRPC check asks for a service', () => {
  const { value, errors } = compile({ ...pace, grpc_health_check: { service_name: 's', authority: 'a', initial_metadata: [{ header: { key: 'X-A', value: '1' } }] } });
  assert.deepEqual([errors, value?.kind.kind === 'grpc' && [value.kind.serviceName, value.kind.authority, value.kind.metadata.length]], [[], ['s', 'a', 1]]);
  const http2 = compile({ ...pace, http_health_check: { path: '/', codec_client_type: 'HTTP2' } }).value?.kind;
  assert.equal(http2?.kind === 'http' && http2.protocol, 'http2');
});
