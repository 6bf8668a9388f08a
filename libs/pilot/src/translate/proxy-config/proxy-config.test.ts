import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import { decode, meshConfigFrom, toRawObject, type MeshConfigSpec } from '@meltemi/config';
import type { Proxy } from '../../proxy/proxy.ts';
import { startingProxyConfig } from '../../push-context/proxy-config.ts';
import { bookinfo, configsOf, ingressGateway, jsonOf, meshOf, productpage, proxyOf } from '../../testing/mesh.test-support.ts';
import { translate } from '../translate.ts';

type Json = Record<string, unknown>;

function meshConfig(defaultConfig: string): Partial<MeshConfigSpec> {
  const raw = toRawObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh: `defaultConfig: ${defaultConfig}` } });
  assert.ok(raw.ok);
  const decoded = decode(raw.value);
  assert.ok(decoded.ok, decoded.ok ? '' : JSON.stringify(decoded.error));
  const mesh = meshConfigFrom(decoded.value.config);
  assert.ok(mesh?.ok);
  return mesh.value;
}

const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
`;

function resources(typeUrl: string, defaultConfig: string, proxy: Proxy): Record<string, Json> {
  return jsonOf(translate(meshOf([...bookinfo(), ...configsOf(gateway)], meshConfig(defaultConfig)), proxy, { typeUrl })) as Record<string, Json>;
}

function manager(where: 'inbound' | 'outbound' | 'gateway', defaultConfig = '{}', proxy: Proxy = where === 'gateway' ? ingressGateway() : productpage()): Json {
  const listeners = resources(xdsType.listener, defaultConfig, proxy) as Record<string, { filter_chains: { name?: string; filters: { name: string; typed_config: Json }[] }[] }>;
  const listener = where === 'gateway' ? Object.values(listeners)[0] : listeners[where === 'inbound' ? 'virtualInbound' : '0.0.0.0_9080'];
  const chains = listener?.filter_chains.filter(({ name }) => where === 'gateway' || name === '0.0.0.0_9080') ?? [];
  return chains.flatMap(({ filters }) => filters).find(({ name }) => name === 'envoy.filters.network.http_connection_manager')?.typed_config ?? {};
}

test('a gateway trusts as many proxies before it, and their client certificates, as its topology says', () => {
  assert.equal(manager('gateway')['xff_num_trusted_hops'], undefined);
  assert.equal(manager('gateway')['forward_client_cert_details'], 'SANITIZE_SET');
  const behind = manager('gateway', '{gatewayTopology: {numTrustedProxies: 2, forwardClientCertDetails: APPEND_FORWARD}}');
  assert.equal(behind['xff_num_trusted_hops'], 2);
  assert.equal(behind['forward_client_cert_details'], 'APPEND_FORWARD');
  assert.deepEqual(behind['set_current_client_cert_details'], { subject: true, cert: true, dns: true, uri: true });
  const closed = manager('gateway', '{gatewayTopology: {forwardClientCertDetails: SANITIZE}}');
  assert.equal(closed['set_current_client_cert_details'], undefined);
});

test('a gateway behind a balancer with the PROXY protocol reads its header first', () => {
  const [listener] = Object.values(resources(xdsType.listener, '{gatewayTopology: {proxyProtocol: {}}}', ingressGateway()));
  assert.match(JSON.stringify(listener?.['listener_filters']), /^\[\{"name":"envoy\.filters\.listener\.proxy_protocol"/);
});

test('a sidecar tells of its client\'s certificate what proxyHeaders says', () => {
  assert.equal(manager('inbound')['forward_client_cert_details'], 'APPEND_FORWARD');
  assert.deepEqual(manager('inbound')['set_current_client_cert_details'], { subject: true, dns: true, uri: true });
  const told = manager('inbound', '{proxyHeaders: {forwardedClientCert: SANITIZE_SET, setCurrentClientCertDetails: {subject: false, cert: true, chain: true}}}');
  assert.equal(told['forward_client_cert_details'], 'SANITIZE_SET');
  assert.deepEqual(told['set_current_client_cert_details'], { subject: false, cert: true, chain: true, dns: true, uri: true });
});

test('server, request id, port, debug headers and header case follow proxyHeaders', () => {
  assert.deepEqual([manager('inbound')['server_name'], manager('outbound')['server_name'], manager('inbound')['generate_request_id']], ['istio-envoy', undefined, true]);
  const off = manager('inbound', '{proxyHeaders: {server: {disabled: true}, requestId: {disabled: true}, envoyDebugHeaders: {disabled: true}, xForwardedPort: {enabled: true}, preserveHttp1HeaderCase: true}}');
  assert.equal(off['server_header_transformation'], 'PASS_THROUGH');
  assert.equal(off['generate_request_id'], false);
  assert.equal(off['append_x_forwarded_port'], true);
  assert.match(JSON.stringify(off['http_protocol_options']), /PreserveCaseFormatterConfig/);
  assert.match(JSON.stringify((off['http_filters'] as Json[]).at(-1)), /"suppress_envoy_headers":true/);
  assert.equal(manager('outbound', '{proxyHeaders: {server: {value: shop}}}')['server_name'], 'shop');
  const inMesh = manager('outbound', '{proxyHeaders: {metadataExchangeHeaders: {mode: IN_MESH}}}');
  assert.match(JSON.stringify(inMesh['http_filters']), /"upstream_propagation":\[\{"istio_headers":\{"skip_external_clusters":true\}\}\]/);
});

test('attempt counts and header case reach routes and clusters', () => {
  const attempts = (config: string) => JSON.stringify(resources(xdsType.route, config, productpage())['9080']).includes('include_request_attempt_count');
  assert.equal(attempts('{}'), true);
  assert.equal(attempts('{proxyHeaders: {attemptCount: {disabled: true}}}'), false);
  const cluster = (config: string) => JSON.stringify(resources(xdsType.cluster, config, productpage())['outbound|9080||reviews.default.svc.cluster.local']);
  assert.doesNotMatch(cluster('{}'), /PreserveCase/);
  assert.match(cluster('{proxyHeaders: {preserveHttp1HeaderCase: true}}'), /PreserveCase/);
});

test('connection settings limit what a proxy takes; the profile EDGE fills in a gateway\'s', () => {
  const set = manager('inbound', '{connectionSettings: {httpIdleTimeout: 30s, httpStreamIdleTimeout: 7s, httpMaxConcurrentStreams: 12, httpMergeSlashes: true, httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_REJECT_REQUEST}}');
  assert.deepEqual(set['common_http_protocol_options'], { idle_timeout: '30s', headers_with_underscores_action: 'REJECT_REQUEST' });
  assert.equal(set['stream_idle_timeout'], '7s');
  assert.equal(set['merge_slashes'], true);
  assert.deepEqual(set['http2_protocol_options'], { max_concurrent_streams: 12 });
  const edge = manager('gateway', '{connectionSettings: {profile: EDGE, httpRequestTimeout: 1s}}');
  assert.equal(edge['request_timeout'], '1s');
  assert.equal(edge['path_with_escaped_slashes_action'], 'UNESCAPE_AND_REDIRECT');
  const [listener] = Object.values(resources(xdsType.listener, '{connectionSettings: {profile: EDGE}}', ingressGateway()));
  assert.equal(listener?.['per_connection_buffer_limit_bytes'], 32_768);
  assert.equal(manager('inbound', '{connectionSettings: {profile: EDGE}}')['request_timeout'], undefined);
});

test('what a proxy was started with and the annotation of its workload win over the mesh, field by field', () => {
  const annotated = proxyOf('router~10.0.0.9~istio-ingressgateway-0.istio-system~istio-system.svc.cluster.local', {
    NAMESPACE: 'istio-system', LABELS: { istio: 'ingressgateway' },
    PROXY_CONFIG: { gatewayTopology: { numTrustedProxies: 1 }, proxyHeaders: { server: { value: started } } },
    ANNOTATIONS: { 'proxy.istio.io/config': 'gatewayTopology:\n  numTrustedProxies: 3\n' },
  });
  const told = manager('gateway', '{gatewayTopology: {numTrustedProxies: 9}}', annotated);
  assert.equal(told['xff_num_trusted_hops'], 3);
  assert.equal(told['server_name'], started);
  const broken = proxyOf(annotated.id, { ...annotated.metadata, ANNOTATIONS: { 'proxy.istio.io/config': 'colour: red' } });
  assert.equal(manager('gateway', '{}', broken)['xff_num_trusted_hops'], 1);
});

const started = 'as-started';

test('ProxyConfig objects of the mesh, the namespace and the workload, the annotation between them', () => {
  const object = (name: string, namespace: string, spec: string) => `{apiVersion: networking.istio.io/v1beta1, kind: ProxyConfig, metadata: {name: ${name}, namespace: ${namespace}}, spec: ${spec}}\n---\n`;
  const push = meshOf(configsOf([
    object('mesh', 'istio-system', '{concurrency: 1, environmentVariables: {A: mesh, B: mesh}}'),
    object('ns', 'default', '{concurrency: 2, environmentVariables: {B: ns}}'),
    object('app', 'default', '{selector: {matchLabels: {app: productpage}}, environmentVariables: {C: app}}'),
    object('other', 'default', '{selector: {matchLabels: {app: reviews}}, concurrency: 9}'),
  ].join('')));
  const config = startingProxyConfig(push, productpage({ ANNOTATIONS: { 'proxy.istio.io/config': '{concurrency: 5, proxyMetadata: {C: annotation, D: annotation}}' } }));
  assert.equal(config.concurrency, 5);
  assert.deepEqual(config.proxyMetadata, { A: 'mesh', B: 'ns', C: 'app', D: 'annotation' });
});
