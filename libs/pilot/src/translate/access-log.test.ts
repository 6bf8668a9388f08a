import assert from 'node:assert/strict';
import { test } from 'node:test';
import { binaryToJson, typeNameOf } from '@meltemi/api';
import { configsOf, meshOf, productpage } from '../testing/mesh.test-support.ts';
import { accessLogs } from './access-log.ts';

const als = { service: 'als.logs.svc.cluster.local', port: 9000, logName: '', filterStateObjectsToLog: [], additionalRequestHeadersToLog: ['x-a'], additionalResponseHeadersToLog: [], additionalResponseTrailersToLog: [] };

function logged(mesh: Parameters<typeof meshOf>[1], yaml = '', protocol: 'http' | 'tcp' = 'http'): unknown[] {
  return accessLogs({ push: meshOf(yaml === '' ? [] : configsOf(yaml), mesh), proxy: productpage(), direction: 'outbound' }, protocol).map((log) => (log.configType ? binaryToJson(typeNameOf(log.configType.value.typeUrl), log.configType.value.value) : undefined));
}

test('nothing is logged unless MeshConfig asks', () => {
  assert.deepEqual(logged({}), []);
});

test('a text file log ends its lines; a JSON one has Istio\'s keys, also when the format is not JSON', () => {
  const [text] = logged({ accessLogFile: '/dev/stdout', accessLogFormat: 'x %PROTOCOL%' });
  assert.deepEqual(text, { path: '/dev/stdout', log_format: { text_format_source: { inline_string: 'x %PROTOCOL%\n' } } });
  for (const accessLogFormat of ['', '{broken']) {
    const [json] = logged({ accessLogFile: '/dev/stdout', accessLogEncoding: 'JSON', accessLogFormat }) as { log_format: { json_format: Record<string, string> } }[];
    assert.equal(json?.log_format.json_format['upstream_cluster'], '%UPSTREAM_CLUSTER_RAW%');
  }
});

test('the log service is a cluster of the mesh when its address is one, else the bootstrap\'s', () => {
  const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: als, namespace: logs}\nspec: {ports: [{name: grpc, port: 9000}]}';
  const mesh = { enableEnvoyAccessLogService: true, defaultConfig: { ...meshOf([]).mesh.defaultConfig, envoyAccessLogService: { address: 'als.logs:9000' } } };
  assert.match(JSON.stringify(logged(mesh, service)), /outbound\|9000\|\|als\.logs\.svc\.cluster\.local/);
  assert.match(JSON.stringify(logged(mesh)), /envoy_accesslog_service/);
});

test('default providers log too, each for its protocol', () => {
  const mesh = { extensionProviders: [{ name: 'a', envoyHttpAls: als }, { name: 'b', envoyFileAccessLog: { path: '', omitEmptyValues: true } }], defaultProviders: { accessLogging: ['a', 'b', 'unknown'], tracing: [], metrics: [] } };
  assert.equal(logged(mesh).length, 2);
  assert.equal(logged(mesh, '', 'tcp').length, 1);
});
