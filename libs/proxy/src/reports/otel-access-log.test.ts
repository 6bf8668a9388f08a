import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import { filterExtensions } from '../filters/registry.ts';
import { unknownNode } from '../node.ts';
import { otelAccessLoggers, otelLogRecord, otelResource, type OtelAccessLogConfig } from './otel-access-log.ts';

type Json = Record<string, unknown>;
const type = 'envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig';
const common = (more: Json = {}): Json => ({ logName: 'web', grpcService: { envoyGrpc: { clusterName: 'logs' } }, transportApiVersion: 'V3', ...more });
const text = (value: string) => ({ stringValue: value });

function parse(json: Json) {
  const warned: string[] = [];
  const [, extension] = otelAccessLoggers()[0] ?? assert.fail();
  const result = extension.parse(jsonToBinary(type, json), { path: 'p', typeUrl: `type.googleapis.com/${type}`, warn: (path) => warned.push(path), extensions: filterExtensions() });
  return { warned, errors: result.ok ? [] : result.error.map(({ path }) => path), config: result.ok ? (result.value as OtelAccessLogConfig) : null };
}

test('body and attributes are formats; lists and maps keep their shape', () => {
  const { config } = parse({
    commonConfig: common(), body: text('%REQ(:METHOD)% %REQ(:PATH)%'),
    attributes: { values: [{ key: 'status', value: text('%RESPONSE_CODE%') }, { key: 'more', value: { kvlistValue: { values: [{ key: 'list', value: { arrayValue: { values: [text('%PROTOCOL%'), text('b')] } } }] } } }] },
  });
  assert.ok(config);
  const info = new StreamInfo(unknownConnection, 1234.5, 0);
  info.request = new RequestHead('GET', '/a');
  info.responseCode = 200;
  info.traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  info.spanId = '00f067aa0ba902b7';
  const record = otelLogRecord(config, info);
  const value = (inner: string) => ({ value: { $case: 'stringValue', value: inner } });
  assert.deepEqual([record.timeUnixNano, record.body, record.traceId.toString('hex'), record.spanId.toString('hex')], [1_234_500_000n, value('GET /a'), info.traceId, info.spanId]);
  assert.deepEqual(record.attributes, [
    { key: 'status', value: value('200') },
    { key: 'more', value: { value: { $case: 'kvlistValue', value: { values: [{ key: 'list', value: { value: { $case: 'arrayValue', value: { values: [value('HTTP/1.1'), value('b')] } } } }] } } } },
  ]);
});

test('a field in UTF-8 is told as the text it is', () => {
  const { config } = parse({ commonConfig: common(), body: text('%REQ(X-USER)%') });
  assert.ok(config);
  const info = new StreamInfo(unknownConnection, 0, 0);
  info.request = new RequestHead('GET', '/a');
  info.request.headers.set('x-user', Buffer.from('José').toString('latin1'));
  assert.deepEqual(otelLogRecord(config, info).body, { value: { $case: 'stringValue', value: 'José' } });
});

test('the resource names log, zone, cluster and node unless it must not', () => {
  const node = { ...unknownNode, id: 'n', cluster: 'c', locality: { region: '', zone: 'z', subZone: '' } };
  const own = { resourceAttributes: { values: [{ key: 'region', value: text('eu') }] } };
  const keys = (json: Json) => otelResource(parse({ commonConfig: common(), ...own, ...json }).config ?? assert.fail(), node).map(({ key, value }) => `${key}=${value?.value?.$case === 'stringValue' ? value.value.value : ''}`);
  assert.deepEqual(keys({}), ['log_name=web', 'zone_name=z', 'cluster_name=c', 'node_name=n', 'region=eu']);
  assert.deepEqual(keys({ disableBuiltinLabels: true }), ['region=eu']);
});

test('what cannot be sent is refused by name, what is left out is warned of', () => {
  assert.deepEqual(parse({}).errors, ['p.common_config.log_name', 'p.common_config.grpc_service']);
  const { errors } = parse({
    commonConfig: common({ grpcService: { googleGrpc: { targetUri: 'a', statPrefix: 'b' } } }), body: { intValue: '1' }, attributes: { values: [{ key: 'a', value: text('%NOPE%') }] },
    formatters: [{ name: 'cel', typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Struct' } }],
  });
  assert.deepEqual(new Set(errors), new Set(['p.common_config.grpc_service.google_grpc', 'p.common_config.grpc_service.envoy_grpc.cluster_name', 'p.formatters[0]', 'p.body', 'p.attributes["a"]']));
  const { warned } = parse({ commonConfig: common({ grpcStreamRetryPolicy: {}, filterStateObjectsToLog: ['a'], customTags: [{ tag: 'a', literal: { value: 'b' } }] }) });
  assert.deepEqual(warned, ['p.common_config.grpc_stream_retry_policy', 'p.common_config.filter_state_objects_to_log', 'p.common_config.custom_tags']);
});
