import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import type { MeshConfigSpec } from '@meltemi/config';
import { configsOf, ingressGateway, jsonOf, meshOf, podYaml, productpage } from '../../testing/mesh.test-support.ts';
import { assertProxyTakes } from '../../testing/proxy-takes.test-support.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { translate } from '../translate.ts';

interface Json {
  readonly [key: string]: Json;
}

const app = 'apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {app: app}, clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: tcp, port: 90}, {name: any, port: 91}]}\n---\n';
const external = 'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ext}\nspec: {hosts: [ext.example], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 443, name: https, protocol: HTTPS}, {number: 80, name: http, protocol: HTTP}], subjectAltNames: [san.example]}\n---\n';
const rule = (spec: string, host = 'app') => `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: rule}\nspec: {host: ${host}, ${spec}}\n---\n`;

/** A cluster as Envoy's JSON; everything sent is one our own proxy takes. */
function clusterOf(yaml: string, name = 'outbound|80||app.default.svc.cluster.local', options: { readonly mesh?: Partial<MeshConfigSpec>; readonly proxy?: Proxy } = {}): Json {
  const push = meshOf(configsOf(yaml), options.mesh);
  const proxy = options.proxy ?? productpage();
  assertProxyTakes(push, proxy);
  const found = jsonOf(translate(push, proxy, { typeUrl: xdsType.cluster }))[name];
  assert.ok(found, `${name} exists`);
  return found as Json;
}

const httpOptions = (cluster: Json): Json => (cluster['typed_extension_protocol_options'] as Json)['envoy.extensions.upstreams.http.v3.HttpProtocolOptions'] ?? ({} as Json);

test('outlier detection: statuses that count as errors stand with what the cluster speaks', () => {
  const matcher = (codes: string) => (httpOptions(clusterOf(app + rule(`trafficPolicy: {outlierDetection: {outlierDetectionHttpErrorCodes: [${codes}]}}`)))['outlier_detection'] as Json | undefined)?.['error_matcher'];
  const status = (exact: string) => ({ http_response_headers_match: { headers: [{ name: ':status', string_match: { exact } }] } });
  assert.deepEqual(matcher('503'), status('503'));
  assert.deepEqual(matcher('429, 503'), { or_match: { rules: [status('429'), status('503')] } });
  assert.equal(matcher(''), undefined);
});

test('a retry budget: percent, least and interval', () => {
  const budget = (text: string) => ((clusterOf(app + rule(`trafficPolicy: {retryBudget: ${text}}`))['circuit_breakers'] as Json)['thresholds'] as unknown as readonly Json[])[0]?.['retry_budget'];
  assert.deepEqual(budget('{percent: 50, minRetryConcurrency: 7, budgetInterval: 10s}'), { budget_percent: { value: 50 }, min_retry_concurrency: 7, budget_interval: '10s' });
});

for (const [policy, expected] of [
  ['{}', { lb_policy: 'LEAST_REQUEST' }],
  ['{simple: UNSPECIFIED}', { lb_policy: 'LEAST_REQUEST' }],
  ['{simple: LEAST_CONN}', { lb_policy: 'LEAST_REQUEST' }],
  ['{simple: RANDOM}', { lb_policy: 'RANDOM' }],
  ['{simple: ROUND_ROBIN}', {}],
  ['{simple: PASSTHROUGH}', { lb_policy: 'CLUSTER_PROVIDED', type: 'ORIGINAL_DST' }],
  ['{consistentHash: {httpHeaderName: x-user}}', { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: '1024' } }],
  ['{consistentHash: {useSourceIp: true, minimumRingSize: 8}}', { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: '8' } }],
  ['{consistentHash: {httpQueryParameterName: q, ringHash: {minimumRingSize: 16}}}', { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: '16' } }],
  ['{consistentHash: {httpCookie: {name: c}, maglev: {tableSize: 65537}}}', { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: '65537' } }],
  ['{simple: ROUND_ROBIN, warmup: {duration: 30s}}', { round_robin_lb_config: { slow_start_config: { slow_start_window: '30s', aggression: { default_value: 1, runtime_key: '(' }, min_weight_percent: { value: 10 } } } }],
  ['{simple: LEAST_REQUEST, warmupDurationSecs: 30s}', { lb_policy: 'LEAST_REQUEST', least_request_lb_config: { slow_start_config: { slow_start_window: '30s' } } }],
] as const) {
  test(`a load balancer ${policy}`, () => {
    const cluster = clusterOf(app + rule(`trafficPolicy: {loadBalancer: ${policy}}`));
    const keys = ['lb_policy', 'ring_hash_lb_config', 'maglev_lb_config', 'round_robin_lb_config', 'least_request_lb_config'];
    const { type = 'EDS', ...rest } = expected as Record<string, unknown>;
    assert.deepEqual(Object.fromEntries(keys.filter((key) => key in cluster).map((key) => [key, cluster[key]])), rest);
    assert.equal(cluster['type'], type);
  });
}

test('a connection pool: every limit and timeout has its place', () => {
  const cluster = clusterOf(app + rule('trafficPolicy: {connectionPool: {tcp: {maxConnections: 1, connectTimeout: 2s, tcpKeepalive: {probes: 3, time: 4s, interval: 5s}, maxConnectionDuration: 6s}, http: {http1MaxPendingRequests: 7, http2MaxRequests: 8, maxRequestsPerConnection: 9, maxRetries: 10, idleTimeout: 11s, h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 12, http2KeepAlive: {interval: 13s, timeout: 14s}}}}'));
  assert.equal(cluster['connect_timeout'], '2s');
  assert.deepEqual((cluster['circuit_breakers'] as Json)['thresholds'], [{ max_connections: 1, max_pending_requests: 7, max_requests: 8, max_retries: 10, track_remaining: true }]);
  assert.deepEqual(cluster['upstream_connection_options'], { tcp_keepalive: { keepalive_probes: 3, keepalive_time: 4, keepalive_interval: 5 } });
  const options = httpOptions(cluster);
  assert.deepEqual(options['common_http_protocol_options'], { idle_timeout: '11s', max_connection_duration: '6s', max_requests_per_connection: 9 });
  assert.deepEqual(options['explicit_http_config'], { http2_protocol_options: { max_concurrent_streams: 12, connection_keepalive: { interval: '13s', timeout: '14s' } } });
});

test('an idle timeout written for TCP holds for HTTP that has none', () => {
  assert.deepEqual(httpOptions(clusterOf(app + rule('trafficPolicy: {connectionPool: {tcp: {idleTimeout: 3s}}}')))['common_http_protocol_options'], { idle_timeout: '3s' });
});

test('who writes UPGRADE upgrades even a sniffed port; the mesh upgrades declared HTTP only; useClientProtocol asks the client', () => {
  const upgraded = (yaml: string, port: number, mesh: Partial<MeshConfigSpec> = {}) => {
    const options = httpOptions(clusterOf(yaml, `outbound|${port}||app.default.svc.cluster.local`, { mesh }));
    return 'use_downstream_protocol_config' in options ? 'client' : 'http2_protocol_options' in ((options['explicit_http_config'] ?? {}) as Json) ? 'http2' : 'http1';
  };
  const pool = (http: string) => rule(`trafficPolicy: {connectionPool: {http: ${http}}}`);
  assert.equal(upgraded(app + pool('{h2UpgradePolicy: UPGRADE}'), 91), 'http2');
  assert.equal(upgraded(app, 91, { h2UpgradePolicy: 'UPGRADE' }), 'client');
  assert.equal(upgraded(app, 80, { h2UpgradePolicy: 'UPGRADE' }), 'http2');
  assert.equal(upgraded(app + pool('{h2UpgradePolicy: DO_NOT_UPGRADE}'), 80, { h2UpgradePolicy: 'UPGRADE' }), 'http1');
  assert.equal(upgraded(app + pool('{useClientProtocol: true}'), 80, { h2UpgradePolicy: 'UPGRADE' }), 'client');
});

test('outlier detection: every threshold, and what is not said stays Envoy\'s', () => {
  const detection = (text: string) => clusterOf(app + rule(`trafficPolicy: {outlierDetection: ${text}}`));
  const full = detection('{consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, interval: 3s, baseEjectionTime: 4s, maxEjectionPercent: 50, minHealthPercent: 60, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 7}');
  assert.deepEqual(full['outlier_detection'], {
    consecutive_5xx: 0, enforcing_consecutive_5xx: 0, consecutive_gateway_failure: 2, enforcing_consecutive_gateway_failure: 100, interval: '3s', base_ejection_time: '4s', max_ejection_percent: 50,
    enforcing_success_rate: 0, split_external_local_origin_errors: true, consecutive_local_origin_failure: 7, enforcing_consecutive_local_origin_failure: 100, enforcing_local_origin_success_rate: 0,
  });
  assert.deepEqual(full['common_lb_config'], { healthy_panic_threshold: { value: 60 } });
  assert.deepEqual(detection('{}')['outlier_detection'], { enforcing_success_rate: 0 });
});

test('a retry budget has Istio\'s defaults', () => {
  const thresholds = (budget: string) => ((clusterOf(app + rule(`trafficPolicy: {retryBudget: ${budget}}`))['circuit_breakers'] as Json)['thresholds'] as unknown as Json[])[0]?.['retry_budget'];
  assert.deepEqual(thresholds('{}'), { budget_percent: { value: 20 }, min_retry_concurrency: 3 });
  assert.deepEqual(thresholds('{percent: 0, minRetryConcurrency: 9}'), { budget_percent: {}, min_retry_concurrency: 9 });
});

test('the mesh\'s default policy fills the blocks a rule leaves open, also where there is no rule', () => {
  const mesh = { defaultTrafficPolicy: { connectionPool: { tcp: { maxConnections: 11 } }, outlierDetection: { consecutiveErrors: 0, splitExternalLocalOriginErrors: false, maxEjectionPercent: 70, minHealthPercent: 0, outlierDetectionHttpErrorCodes: [] } } };
  const of = (yaml: string) => {
    const cluster = clusterOf(yaml, undefined, { mesh });
    return [((cluster['circuit_breakers'] as Json)['thresholds'] as unknown as Json[])[0]?.['max_connections'], (cluster['outlier_detection'] as Json)['max_ejection_percent']];
  };
  assert.deepEqual(of(app), [11, 70]);
  assert.deepEqual(of(app + rule('trafficPolicy: {outlierDetection: {maxEjectionPercent: 5}}')), [11, 5]);
});

const tlsOf = (cluster: Json): Json => ((cluster['transport_socket'] as Json | undefined)?.['typed_config'] ?? {}) as Json;

test('TLS that the user asks for: SIMPLE takes names from the request and the ServiceEntry; sni, names, CRL and skipping are honoured', () => {
  const simple = clusterOf(external + rule('trafficPolicy: {tls: {mode: SIMPLE}}', 'ext.example'), 'outbound|443||ext.example');
  assert.deepEqual(httpOptions(simple)['upstream_http_protocol_options'], { auto_sni: true, auto_san_validation: true });
  assert.match(JSON.stringify(tlsOf(simple)), /san\.example/);
  assert.equal((((simple['metadata'] as Json)['filter_metadata'] as Json)['istio'] as Json)['alpn_override'], 'false');
  const named = clusterOf(external + rule('trafficPolicy: {tls: {mode: SIMPLE, sni: a.example, subjectAltNames: [b.example], caCertificates: /ca.pem, caCrl: /crl.pem}}', 'ext.example'), 'outbound|443||ext.example');
  assert.equal(tlsOf(named)['sni'], 'a.example');
  assert.match(JSON.stringify(tlsOf(named)), /b\.example.*|crl\.pem/);
  assert.doesNotMatch(JSON.stringify(named), /auto_sni|auto_san/);
  const trusting = clusterOf(external + rule('trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}', 'ext.example'), 'outbound|443||ext.example');
  assert.doesNotMatch(JSON.stringify(tlsOf(trusting)), /match_subject|trusted_ca|system_root/);
});

test('a Secret is read by gateways, and by the workloads a rule selects; another sidecar speaks plaintext, as in Istio', () => {
  const tls = 'trafficPolicy: {tls: {mode: SIMPLE, credentialName: cred, sni: x}}';
  const socket = (extra: string, proxy?: Proxy) => JSON.stringify(clusterOf(external + rule(tls + extra, 'ext.example'), 'outbound|443||ext.example', proxy ? { proxy } : {})['transport_socket'] ?? null);
  assert.equal(socket(''), 'null');
  assert.match(socket('', ingressGateway()), /kubernetes:\/\/cred-cacert/);
  assert.match(socket(', workloadSelector: {matchLabels: {app: productpage}}'), /kubernetes:\/\/cred-cacert/);
});

test('DISABLE sends plaintext to everybody; ISTIO_MUTUAL takes no endpoint for a stranger', () => {
  const disabled = clusterOf(app + rule('trafficPolicy: {tls: {mode: DISABLE}}'));
  assert.equal(disabled['transport_socket'] ?? disabled['transport_socket_matches'], undefined);
  const mutual = clusterOf(app + rule('trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: own.sni, subjectAltNames: [spiffe://x]}}'));
  assert.equal(tlsOf(mutual)['sni'], 'own.sni');
  assert.match(JSON.stringify(tlsOf(mutual)), /spiffe:\/\/x/);
});

test('automatic mutual TLS: not for strangers from outside, not where the namespace refuses it', () => {
  const auto = (yaml: string, name?: string, mesh: Partial<MeshConfigSpec> = {}) => clusterOf(yaml, name, { mesh })['transport_socket_matches'] !== undefined;
  const peer = (mode: string) => `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\nspec: {mtls: {mode: ${mode}}}\n---\n`;
  assert.equal(auto(app), true);
  assert.equal(auto(app + peer('STRICT')), true);
  assert.equal(auto(app + peer('DISABLE')), false);
  assert.equal(auto(app, undefined, { enableAutoMtls: false }), false);
  assert.equal(auto(external, 'outbound|80||ext.example'), false);
});

test('a headless service is called with mutual TLS when all of its endpoints speak it, else in plaintext', () => {
  const headless = 'apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {selector: {app: db}, clusterIP: None, ports: [{name: tcp, port: 90}]}\n---\n';
  const member = podYaml('db-0', '10.0.1.1', { labels: { app: 'db' } });
  const stranger = podYaml('db-1', '10.0.1.2', { labels: { app: 'db', 'security.istio.io/tlsMode': 'disabled' } });
  const secured = (yaml: string) => 'transport_socket' in clusterOf(yaml, 'outbound|90||db.default.svc.cluster.local');
  assert.equal(secured(headless + member), true);
  assert.equal(secured(headless + member + stranger), false);
  assert.equal(secured(headless), false);
});

test('a PROXY header goes before TLS and plaintext alike', () => {
  const cluster = clusterOf(app + rule('trafficPolicy: {proxyProtocol: {version: V2}}'));
  const matches = cluster['transport_socket_matches'] as unknown as Json[];
  assert.deepEqual(matches.map((match) => (match['transport_socket'] as Json)['name']), ['envoy.transport_sockets.upstream_proxy_protocol', 'envoy.transport_sockets.upstream_proxy_protocol']);
  assert.match(JSON.stringify(matches), /"version":"V2"/);
});

test('subsets: a cluster each, with the rule\'s policy and their own over it', () => {
  const yaml = app + rule('trafficPolicy: {loadBalancer: {simple: RANDOM}, portLevelSettings: [{port: {number: 90}, loadBalancer: {simple: ROUND_ROBIN}}]}, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}}, {name: v2, labels: {version: v2}}]');
  const balancer = (port: number, subset: string) => clusterOf(yaml, `outbound|${port}|${subset}|app.default.svc.cluster.local`)['lb_policy'] ?? 'ROUND_ROBIN';
  assert.deepEqual([balancer(80, ''), balancer(80, 'v1'), balancer(80, 'v2'), balancer(90, 'v1'), balancer(90, 'v2')], ['RANDOM', 'LEAST_REQUEST', 'RANDOM', 'LEAST_REQUEST', 'ROUND_ROBIN']);
});

test('a subset\'s port settings leave nothing of the destination in force', () => {
  const yaml = app + rule('trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}, subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}]');
  const cluster = clusterOf(yaml, 'outbound|80|v1|app.default.svc.cluster.local');
  assert.equal(((cluster['circuit_breakers'] as Json)['thresholds'] as unknown as Json[])[0]?.['max_connections'], 4_294_967_295);
});

test('a DestinationRule\'s connection pool holds at the server, too; a Sidecar\'s own comes first', () => {
  const pod = podYaml('productpage-v1-0', '10.0.0.1', { labels: { app: 'app' } });
  const limit = (yaml: string) => ((clusterOf(yaml, 'inbound|80||')['circuit_breakers'] as Json)['thresholds'] as unknown as Json[])[0]?.['max_connections'];
  const pool = rule('trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}');
  assert.equal(limit(app + pod + pool), 3);
  assert.equal(limit(`${app + pod + pool}apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: default}\nspec: {inboundConnectionPool: {tcp: {maxConnections: 4}}}\n`), 4);
});

const mtls = rule('trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}', 'ext.example');
const names = (cluster: Json) => (((((cluster['transport_socket'] as Json)['typed_config'] as Json)['common_tls_context'] as Json)['combined_validation_context'] as Json)['default_validation_context'] as Json)['match_subject_alt_names'];

test('a server of which no name is known is of our own trust domain as soon as others are federated', () => {
  const world = external.replace(', subjectAltNames: [san.example]', '') + mtls;
  const named = (mesh: Partial<MeshConfigSpec>) => names(clusterOf(world, 'outbound|80||ext.example', { mesh }));
  assert.equal(named({}), undefined);
  assert.deepEqual(named({ trustDomain: 'a.example', trustDomainAliases: ['old.example'], caCertificates: [{ pem: '', certSigners: [], trustDomains: ['b.example'] }] }), [{ prefix: 'spiffe://a.example/' }, { prefix: 'spiffe://old.example/' }]);
});
