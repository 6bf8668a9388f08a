import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { ResourceStore } from '../control/resource-store.ts';
import { configDump } from './config-dump.ts';

const type = (name: string) => `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${name}`;
const inline = (text: string) => ({ inline_string: text });
const certificate = { certificate_chain: inline('a chain'), private_key: inline('SECRET'), password: inline('SECRET') };
const socket = (context: string) => ({ name: 'tls', typed_config: { '@type': type(context), common_tls_context: { tls_certificates: [certificate] } } });

test('keys are shown nowhere: not of secrets, nor inline in listeners, clusters or the bootstrap', () => {
  const store = new ResourceStore();
  const put = (kind: 'secrets' | 'listeners' | 'clusters', message: string, json: { name: string }) =>
    store.put(kind, { name: json.name, bytes: jsonToBinary(message, json), version: '1', lastUpdatedMs: 0, origin: 'dynamic' });
  const listener = { name: 'l', filter_chains: [{ transport_socket: socket('DownstreamTlsContext') }] };
  put('secrets', 'envoy.extensions.transport_sockets.tls.v3.Secret', { name: 's', tls_certificate: certificate } as { name: string });
  put('secrets', 'envoy.extensions.transport_sockets.tls.v3.Secret', { name: 't', session_ticket_keys: { keys: [inline('SECRET')] } } as { name: string });
  put('secrets', 'envoy.extensions.transport_sockets.tls.v3.Secret', { name: 'g', generic_secret: { secret: inline('SECRET') } } as { name: string });
  put('listeners', 'envoy.config.listener.v3.Listener', listener);
  put('clusters', 'envoy.config.cluster.v3.Cluster', { name: 'c', transport_socket: socket('UpstreamTlsContext') } as { name: string });
  const shown = JSON.stringify(configDump(store, { static_resources: { listeners: [listener] } }, { includeEds: true }));
  assert.equal(shown.match(/a chain/g)?.length, 4);
  assert.doesNotMatch(shown, /SECRET|U0VDUkVU/);
});
