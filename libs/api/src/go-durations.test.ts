import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withProtoDurations } from './go-durations.ts';
import { binaryToJson, jsonToBinary, messageSchema } from './json.ts';

function read(typeName: string, json: unknown): unknown {
  return binaryToJson(typeName, jsonToBinary(typeName, withProtoDurations(messageSchema(typeName), json)));
}

test('durations are read in the manner of Go wherever a message has one, by either name, in lists and behind @type', () => {
  const options = { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', common_http_protocol_options: { idle_timeout: '1h30m' }, explicitHttpConfig: { httpProtocolOptions: {} } };
  const cluster = { name: '10m', connectTimeout: '500ms', dns_refresh_rate: '1.5s', health_checks: [{ timeout: '-1us', interval: '1m0.5s' }], typed_extension_protocol_options: { a: options } };
  assert.deepEqual(read('envoy.config.cluster.v3.Cluster', cluster), {
    name: '10m',
    connect_timeout: '0.500s',
    dns_refresh_rate: '1.500s',
    health_checks: [{ timeout: '-0.000001s', interval: '60.500s' }],
    typed_extension_protocol_options: { a: { '@type': options['@type'], common_http_protocol_options: { idle_timeout: '5400s' }, explicit_http_config: { http_protocol_options: {} } } },
  });
});

test('what is no duration is left to the decoder, which refuses it', () => {
  for (const text of ['soon', '5', 's', '1x', '5 s', '']) assert.throws(() => read('envoy.config.cluster.v3.Cluster', { connect_timeout: text }), /Duration/, text);
  assert.throws(() => read('envoy.config.cluster.v3.Cluster', { connect_timeout: 5 }), /Duration/);
  assert.throws(() => read('envoy.config.listener.v3.Filter', { typed_config: { '@type': 'type.googleapis.com/nobody.Knows', timeout: '5ms' } }), /nobody\.Knows/);
});
