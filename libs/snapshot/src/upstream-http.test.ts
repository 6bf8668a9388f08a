import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Report } from '@meltemi/route';
import { compileUpstreamHttp } from './upstream-http.ts';

const optionsType = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const typed = (fields: object) => ({ typed_extension_protocol_options: { [optionsType]: { '@type': `type.googleapis.com/${optionsType}`, ...fields } } });

function compile(json: object) {
  const report = new Report();
  const http = compileUpstreamHttp(Cluster.decode(jsonToBinary('envoy.config.cluster.v3.Cluster', { name: 'app', ...json })), { networkFilters: new Map(), httpFilters: new Map(), listenerFilters: new Map(), accessLoggers: new Map(), http2: true, autoTlsNames: true }, report);
  return { http, errors: report.errors.map(({ path }) => path) };
}

test("a cluster's own deprecated fields choose the protocol where the extension is not there", () => {
  assert.equal(compile({}).http.protocol, 'http1');
  assert.equal(compile({ http_protocol_options: { enable_trailers: true } }).http.http1.enableTrailers, true);
  const { http, errors } = compile({
    http2_protocol_options: { max_concurrent_streams: 7 }, common_http_protocol_options: { idle_timeout: '9s', max_requests_per_connection: 3 }, upstream_http_protocol_options: { auto_sni: true },
  });
  assert.deepEqual(errors, []);
  assert.deepEqual([http.protocol, http.http2.maxConcurrentStreams, http.idleTimeoutMs, http.maxRequestsPerConnection, http.autoSni], ['http2', 7, 9000, 3, true]);
  assert.equal(compile({ protocol_selection: 'USE_DOWNSTREAM_PROTOCOL', http2_protocol_options: {} }).http.protocol, 'downstream');
});

test('with the extension the deprecated fields say nothing', () => {
  assert.equal(compile({ http2_protocol_options: {}, ...typed({ explicit_http_config: { http_protocol_options: {} } }) }).http.protocol, 'http1');
});

test('what cannot be run is refused under the name it was written with', () => {
  assert.deepEqual(compile({ http2_protocol_options: { max_concurrent_streams: 0 } }).errors, ['http2_protocol_options.max_concurrent_streams']);
  assert.deepEqual(compile(typed({ explicit_http_config: { http2_protocol_options: { max_concurrent_streams: 0 } } })).errors, [`typed_extension_protocol_options[${optionsType}].http2_protocol_options.max_concurrent_streams`]);
});
