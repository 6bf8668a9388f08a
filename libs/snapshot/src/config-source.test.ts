import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { ConfigSource as ConfigSourceMessage } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import { Report } from '@meltemi/route';
import { compileConfigSource } from './config-source.ts';

function compile(json: object) {
  const report = new Report();
  return { source: compileConfigSource(ConfigSourceMessage.decode(jsonToBinary('envoy.config.core.v3.ConfigSource', json)), 'eds_config', report), report };
}

const api = (more: object = {}) => ({ resource_api_version: 'V3', api_config_source: { api_type: 'GRPC', transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }], ...more } });
const refused = (json: object) => compile(json).report.errors.map(({ path }) => path);

test('files, the deprecated path too, ADS and self are sources, with 15 s to wait unless told', () => {
  assert.deepEqual(compile({ path_config_source: { path: '/etc/eds.yaml', watched_directory: { path: '/etc' } }, initial_fetch_timeout: '2s' }).source,
    { spec: { kind: 'path', path: '/etc/eds.yaml', watchedDirectory: '/etc' }, key: 'path /etc/eds.yaml /etc', initialFetchTimeoutMs: 2000 });
  assert.deepEqual(compile({ path: '/etc/eds.yaml' }).source?.spec, { kind: 'path', path: '/etc/eds.yaml', watchedDirectory: null });
  assert.deepEqual([compile({ ads: {} }).source?.key, compile({ self: {} }).source?.key, compile({ ads: {} }).source?.initialFetchTimeoutMs], ['ads', 'self', 15_000]);
});

test('a server is a cluster or a host of its own; equal servers have equal keys', () => {
  const google = { grpc_services: [{ google_grpc: { target_uri: 'dns:///xds.test:443', channel_credentials: { ssl_credentials: { root_certs: { filename: '/ca.pem' } } } } }] };
  const spec = compile(api({ api_type: 'DELTA_GRPC', ...google })).source?.spec;
  assert.ok(spec?.kind === 'api');
  assert.equal(spec.api.delta, true);
  assert.deepEqual(spec.api.services, [{ kind: 'google', target: 'xds.test:443', tls: { rootCerts: { kind: 'file', path: '/ca.pem' }, certChain: null, privateKey: null }, metadata: [] }]);
  assert.equal(compile(api()).source?.key, compile(api()).source?.key);
  assert.notEqual(compile(api()).source?.key, compile(api({ api_type: 'DELTA_GRPC' })).source?.key);
});

test('what cannot be followed is refused by its path', () => {
  assert.deepEqual(refused({}), ['eds_config']);
  assert.deepEqual(refused({ ads: {}, resource_api_version: 'V2' }), ['eds_config.resource_api_version']);
  assert.deepEqual(refused(api({ api_type: 'REST' })), ['eds_config.api_config_source.api_type']);
  assert.deepEqual(refused(api({ transport_api_version: 'V2' })), ['eds_config.api_config_source.transport_api_version']);
  assert.deepEqual(refused(api({ grpc_services: [] })), ['eds_config.api_config_source.grpc_services']);
  assert.deepEqual(refused(api({ grpc_services: [{ google_grpc: { target_uri: 'xds', channel_credentials: { google_default: {} } } }] })),
    ['eds_config.api_config_source.grpc_services[0].google_grpc.target_uri', 'eds_config.api_config_source.grpc_services[0].google_grpc.channel_credentials']);
  assert.deepEqual(refused({ path_config_source: { path: '/x.pb_text' } }), ['eds_config.path_config_source.path']);
  assert.deepEqual(refused({ ads: {}, authorities: [{ name: 'x' }] }), ['eds_config.authorities']);
});
