import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readBootstrap } from './read-bootstrap.ts';
import { strictJson } from './strict-json.ts';

const clusterType = 'envoy.config.cluster.v3.Cluster';
const struct = (name: string, fields: object) => ({ '@type': `type.googleapis.com/${name}`, type_url: 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', ...fields });

test('enum values are read in any case and with dashes, in lists, maps and packed messages too', () => {
  assert.deepEqual(strictJson(clusterType, { type: 'strict_dns', lbPolicy: 'least-request', circuit_breakers: { thresholds: [{ priority: 'high' }] } }),
    { type: 'STRICT_DNS', lbPolicy: 'LEAST_REQUEST', circuit_breakers: { thresholds: [{ priority: 'HIGH' }] } });
  const packed = { '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', codec_type: 'auto' };
  assert.deepEqual(strictJson('envoy.config.listener.v3.Filter', { name: 'h', typed_config: packed }), { name: 'h', typed_config: { ...packed, codec_type: 'AUTO' } });
});

test('one element stands for a list of it, and a duration may be seconds and nanos', () => {
  const read = readBootstrap('static_resources: { clusters: { name: a, connect_timeout: { seconds: 2, nanos: 500000000 }, load_assignment: { cluster_name: a, endpoints: { lb_endpoints: { health_status: healthy } } } } }');
  assert.ok(read.ok);
  const cluster = read.value.bootstrap.staticResources?.clusters[0];
  assert.deepEqual([cluster?.connectTimeout?.seconds, cluster?.connectTimeout?.nanos, cluster?.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.healthStatus], [2n, 500_000_000, 1]);
  for (const wrong of ['{ clusters: [] , listeners: {} }', '{ clusters: [{ name: a, connect_timeout: { seconds: soon } }] }', '{ clusters: [{ name: a, connect_timeout: { minutes: 1 } }] }']) assert.equal(readBootstrap(`static_resources: ${wrong}`).ok, false, wrong);
});

test('what is no value of the enum stays as it was written, for the error', () => {
  const read = readBootstrap('static_resources: { clusters: [{ name: a, type: strictest_dns }] }');
  assert.match(read.ok ? '' : read.error[0]?.message ?? '', /"strictest_dns" is not one of STATIC/);
});

test('a TypedStruct is the message it stands for', () => {
  for (const name of ['xds.type.v3.TypedStruct', 'udpa.type.v1.TypedStruct']) {
    const typed = struct(name, { value: { stat_prefix: 'tcp', cluster: 'app' } });
    const read = readBootstrap(JSON.stringify({ static_resources: { listeners: [{ name: 'l', filter_chains: [{ filters: [{ name: 'tcp', typed_config: typed }] }] }] } }));
    assert.ok(read.ok, JSON.stringify(read));
    const filter = read.value.bootstrap.staticResources?.listeners[0]?.filterChains[0]?.filters[0]?.configType;
    assert.equal(filter?.$case === 'typedConfig' && filter.value.typeUrl, 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy');
  }
  const wrong = readBootstrap(JSON.stringify({ static_resources: { listeners: [{ filter_chains: [{ filters: [{ typed_config: struct('xds.type.v3.TypedStruct', { value: { stat_prefux: 'tcp' } }) }] }] }] } }));
  assert.match(wrong.ok ? '' : wrong.error[0]?.message ?? '', /did you mean stat_prefix/);
});

test('a DNS resolver of any type is taken, to be warned of: the system resolves', () => {
  const read = readBootstrap(JSON.stringify({ static_resources: { clusters: [{ name: 'a', typed_dns_resolver_config: { name: 'cares', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig', udp_max_queries: 1 } } }] } }));
  assert.ok(read.ok, JSON.stringify(read));
  assert.ok(read.value.bootstrap.staticResources?.clusters[0]?.typedDnsResolverConfig);
});
