import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonToBinary } from '@meltemi/api';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { fail, ok, type Result } from '@meltemi/base';
import {
  compileCluster, compileListener, compileLoadAssignment, compileRouteConfiguration, compileSecret, type Compiled, type ConnectionView, type Extensions, type HttpFilterExtension,
} from './index.ts';

const typed = (name: string, fields: object = {}) => ({ '@type': `type.googleapis.com/${name}`, ...fields });
const routerUrl = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
const corsPolicyUrl = 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy';
const extensions: Extensions = {
  networkFilters: new Map(),
  httpFilters: new Map<string, HttpFilterExtension>([
    [routerUrl, { terminal: true, parse: () => ok('router') }],
    ['type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors', { parse: () => ok('cors'), parseRoute: () => ok('policy'), routeTypeUrls: [corsPolicyUrl] }],
    ['type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault', { parse: (_bytes, ctx) => fail(`${ctx.path}.delay`, 'no') }],
  ]),
  listenerFilters: new Map(),
  accessLoggers: new Map([['type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', { parse: () => ok('file') }]]),
};

const router = { name: 'router', typed_config: typed('envoy.extensions.filters.http.router.v3.Router') };
const hcm = (fields: object = {}) => ({
  name: 'hcm', typed_config: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 's', http_filters: [router], ...('route_config' in fields ? {} : { rds: { route_config_name: 'r80', config_source: { ads: {} } } }), ...fields,
  }),
});
const tcp = (cluster: string) => ({ name: 'tcp', typed_config: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 't', cluster }) });
const address = { socket_address: { address: '0.0.0.0', port_value: 15006 } };

const listenerMessage = (json: object) => Listener.decode(jsonToBinary('envoy.config.listener.v3.Listener', json));
const clusterMessage = (json: object) => Cluster.decode(jsonToBinary('envoy.config.cluster.v3.Cluster', json));
const listener = (json: object) => compileListener(listenerMessage({ name: 'l', address, ...json }), extensions);
const cluster = (json: object) => compileCluster(clusterMessage({ name: 'c', ...json }), extensions);

function value<T>(result: Result<Compiled<T>>): T {
  assert.ok(result.ok, JSON.stringify(result));
  return result.value.value;
}

const paths = (result: Result<unknown>): string[] => (result.ok ? [] : result.error.map((error) => error.path));
const warned = (result: Result<Compiled<unknown>>): string[] => (result.ok ? result.value.warnings.map((warning) => warning.path) : ['refused']);

test('a listener compiles with defaults, names of RDS, SDS and clusters gathered', () => {
  const tls = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true, common_tls_context: {
      alpn_protocols: ['istio-peer-exchange', 'istio'], tls_certificate_sds_secret_configs: [{ name: 'default', sds_config: { ads: {} } }],
      combined_validation_context: {
        default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { prefix: 'spiffe://cluster.local/' } }] },
        validation_context_sds_secret_config: { name: 'ROOTCA', sds_config: { ads: {} } },
      },
    },
  });
  const compiled = value(listener({
    traffic_direction: 'INBOUND', filter_chains: [
      { name: 'mtls', filter_chain_match: { transport_protocol: 'tls', application_protocols: ['istio'] }, transport_socket: { name: 'tls', typed_config: tls }, filters: [hcm()] },
      { name: 'plain', filters: [tcp('inbound|80')] },
    ],
    listener_filters: [{ name: 'i', typed_config: typed('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector'), filter_disabled: { destination_port_range: { start: 3306, end: 3307 } } }],
    access_log: [{ name: 'f', filter: { response_flag_filter: { flags: ['NR'] } }, typed_config: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/dev/stdout' }) }],
  }));
  assert.deepEqual([[...compiled.rdsNames], [...compiled.sdsNames], [...compiled.clusterNames]], [['r80'], ['default', 'ROOTCA'], ['inbound|80']]);
  assert.deepEqual([compiled.bindToPort, compiled.perConnectionBufferLimit, compiled.trafficDirection], [true, 1_048_576, 'inbound']);
  assert.equal(compiled.listenerFilters[0]?.disabled?.(3306), true);
  const chain = compiled.allFilterChains[0];
  assert.equal(chain?.tls?.validationSdsName, 'ROOTCA');
  assert.equal(chain?.tls?.validation?.sanMatchers[0]?.matcher.matches('spiffe://cluster.local/ns/a'), true);
  const filter = chain?.networkFilters[0];
  assert.ok(filter?.kind === 'http_connection_manager');
  assert.deepEqual([filter.config.serverName, filter.config.streamIdleTimeoutMs, filter.config.generateRequestId, filter.config.http1.allowAbsoluteUrl], ['envoy', 300_000, true, true]);
});

const view = (over: Partial<ConnectionView>): ConnectionView => ({
  destinationPort: 80, destinationIp: '10.0.0.1', serverName: '', transportProtocol: 'raw_buffer', applicationProtocols: [], directSourceIp: '10.9.9.9',
  sourceIp: '10.9.9.9', sourcePort: 1234, localIp: '10.0.0.1', ...over,
});

test('filter chains are chosen in Envoy\'s order, without going back', () => {
  const chain = (name: string, filter_chain_match: object) => ({ name, filter_chain_match, filters: [tcp(name)] });
  const range = (address_prefix: string, prefix_len: number) => [{ address_prefix, prefix_len }];
  const { filterChains } = value(listener({
    filter_chains: [
      chain('port', { destination_port: 443, server_names: ['a.com'] }), chain('net', { prefix_ranges: range('10.1.0.0', 16) }),
      chain('host', { prefix_ranges: range('10.1.1.1', 32) }), chain('sni', { server_names: ['www.a.com'] }), chain('wild', { server_names: ['*.a.com'] }),
      chain('istio', { transport_protocol: 'tls', application_protocols: ['istio'] }), chain('tls', { transport_protocol: 'tls' }),
      chain('local', { source_type: 'SAME_IP_OR_LOOPBACK' }), chain('source', { source_prefix_ranges: range('10.7.0.0', 16), source_ports: [7] }), chain('any', {}),
    ],
    default_filter_chain: { name: 'default', filters: [tcp('d')] },
  }));
  for (const [over, name] of [
    [{ destinationPort: 443, serverName: 'a.com' }, 'port'], [{ destinationPort: 443, serverName: 'www.a.com' }, 'default'],
    [{ destinationIp: '10.1.2.3' }, 'net'], [{ destinationIp: '10.1.1.1' }, 'host'], [{ serverName: 'WWW.a.com' }, 'sni'], [{ serverName: 'x.y.a.com' }, 'wild'],
    [{ transportProtocol: 'tls', applicationProtocols: ['h2', 'istio'] }, 'istio'], [{ transportProtocol: 'tls', applicationProtocols: ['h2'] }, 'tls'],
    [{ sourceIp: '127.0.0.1' }, 'local'], [{ sourceIp: '10.0.0.1' }, 'local'], [{ sourceIp: '10.7.0.1', sourcePort: 7 }, 'source'], [{ sourceIp: '10.7.0.1' }, 'default'], [{}, 'any'],
  ] as const) assert.equal(filterChains.match(view(over))?.name, name, JSON.stringify(over));
});

test('two chains for the same connections are refused', () => {
  assert.deepEqual(paths(listener({ filter_chains: [
    { filter_chain_match: { server_names: ['a', 'b'] }, filters: [tcp('x')] }, { filter_chain_match: { server_names: ['b'] }, filters: [tcp('y')] },
  ] })), ['filter_chains[1].filter_chain_match']);
});

test('what a listener cannot do is refused by its path', () => {
  const at = 'filter_chains[0].filters[0].typed_config';
  assert.deepEqual(paths(listener({ filter_chains: [{ filters: [hcm({
    original_ip_detection_extensions: [{ name: 'x' }], codec_type: 'HTTP2',
    http_filters: [{ name: 'fault', typed_config: typed('envoy.extensions.filters.http.fault.v3.HTTPFault') }, { name: 'x', typed_config: typed('google.protobuf.Empty') }, router],
  })] }] })), [`${at}.codec_type`, `${at}.http_filters[0].typed_config.delay`, `${at}.http_filters[1].typed_config`, `${at}.original_ip_detection_extensions[0].typed_config`]);
  assert.deepEqual(paths(listener({})), ['filter_chains']);
  assert.deepEqual(paths(listener({ filter_chains: [{ filters: [{ name: 'n', typed_config: typed('google.protobuf.Empty') }] }] })), [at]);
});

test('an optional unknown filter and tuning are warnings', () => {
  const filters = [{ name: 'x', is_optional: true, typed_config: typed('google.protobuf.Empty') }, router];
  assert.deepEqual(warned(listener({ enable_mptcp: true, filter_chains: [{ filters: [hcm({ http_filters: filters })] }] })),
    ['enable_mptcp', 'filter_chains[0].filters[0].typed_config.http_filters[0].typed_config']);
});

test('inline routes carry the path of the manager, per-route settings go through their filter', () => {
  const policy = { c: typed('envoy.extensions.filters.http.cors.v3.CorsPolicy') };
  const route = (typed_per_filter_config: object) => ({ name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], typed_per_filter_config, routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] }] });
  const config = value(compileRouteConfiguration(RouteConfiguration.decode(jsonToBinary('envoy.config.route.v3.RouteConfiguration', route(policy))), extensions));
  assert.equal(config.virtualHosts[0]?.routes[0]?.outcomes[0]?.perFilter.get('c')?.config, 'policy');
  assert.deepEqual(paths(listener({ filter_chains: [{ filters: [hcm({ route_config: route({ z: typed('google.protobuf.Empty') }) })] }] })),
    ['filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].typed_per_filter_config[z]']);
});

test('a PROXY header in front of matched sockets is the cluster\'s: the same before each, or before none', () => {
  const wrapped = (version: string) => ({ name: 'pp', typed_config: typed('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', { config: { version }, transport_socket: { name: 'raw', typed_config: typed('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer') } }) });
  const matched = (...versions: string[]) => cluster({ type: 'EDS', eds_cluster_config: { eds_config: { ads: {} } }, transport_socket_matches: versions.map((version, i) => ({ name: `m${i}`, match: {}, transport_socket: wrapped(version) })) });
  assert.equal(value(matched('V2', 'V2')).proxyProtocol?.version, 2);
  assert.deepEqual(paths(matched('V1', 'V2')), ['transport_socket_matches']);
});

test('a cluster compiles with Envoy\'s defaults', () => {
  const compiled = value(cluster({
    type: 'EDS', eds_cluster_config: { eds_config: { ads: {} } }, lb_policy: 'LEAST_REQUEST', outlier_detection: { consecutive_5xx: 3 },
    lb_subset_config: { fallback_policy: 'ANY_ENDPOINT', subset_selectors: [{ keys: ['version', 'a'] }] },
    transport_socket_matches: [{ name: 'mtls', match: { tlsMode: 'istio' }, transport_socket: { name: 'tls', typed_config: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', { sni: 'x' }) } }],
    typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', { use_downstream_protocol_config: {} }) },
  }));
  assert.deepEqual([compiled.edsServiceName, compiled.connectTimeoutMs, compiled.circuitBreakers.default.maxRetries, compiled.healthyPanicThreshold], ['c', 5000, 3, 50]);
  assert.deepEqual(compiled.lbPolicy, { kind: 'least_request', choiceCount: 2, activeRequestBias: 1, fullScan: false, slowStart: null });
  assert.deepEqual([compiled.outlierDetection?.consecutive5xx, compiled.outlierDetection?.maxEjectionPercent], [3, 10]);
  assert.deepEqual(compiled.subsets?.selectors[0]?.keys, ['a', 'version']);
  assert.deepEqual([compiled.transportSocketMatches[0]?.tls?.sni, compiled.tls, compiled.http.protocol], ['x', null, 'downstream']);
});

test('what a cluster cannot do is refused by its path', () => {
  assert.deepEqual(paths(cluster({ http2_protocol_options: {}, connect_timeout: '0s' })),
    ['http2_protocol_options', 'connect_timeout']);
  assert.deepEqual(paths(cluster({ type: 'ORIGINAL_DST' })), ['lb_policy']);
  assert.deepEqual(paths(cluster({ type: 'EDS' })), ['eds_cluster_config']);
  assert.deepEqual(paths(cluster({ load_assignment: { cluster_name: 'c', endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 'name', port_value: 1 } } } }] }] } })),
    ['load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address']);
  const autoSni = { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
    upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true }, explicit_http_config: { http_protocol_options: {} },
  }) };
  assert.equal(paths(cluster({ typed_extension_protocol_options: autoSni })).length, 1);
  assert.equal(compileCluster(clusterMessage({ name: 'c', typed_extension_protocol_options: autoSni }), { ...extensions, autoTlsNames: true }).ok, true);
});

function assignment(json: object) {
  return compileLoadAssignment(ClusterLoadAssignment.decode(jsonToBinary('envoy.config.endpoint.v3.ClusterLoadAssignment', { cluster_name: 'c', ...json })));
}

test('endpoints keep weight, health, metadata and locality', () => {
  const endpoint = (ip: string, more: object = {}) => ({ endpoint: { address: { socket_address: { address: ip, port_value: 80 } } }, ...more });
  const compiled = value(assignment({ endpoints: [
    { locality: { region: 'r', zone: 'z' }, load_balancing_weight: 3, lb_endpoints: [endpoint('10.0.0.1', { health_status: 'DRAINING', load_balancing_weight: 2, metadata: { filter_metadata: { 'envoy.lb': { v: '1' } } } })] },
    { priority: 1, lb_endpoints: [endpoint('fd00::1')] },
  ] }));
  assert.deepEqual(compiled.priorities.map((localities) => localities.flatMap((locality) => locality.endpoints.map((one) => [one.key, one.health, one.weight]))), [[['10.0.0.1:80', 'unhealthy', 2]], [['[fd00::1]:80', 'healthy', 1]]]);
  assert.deepEqual(compiled.priorities[0]?.[0]?.endpoints[0]?.metadata, { 'envoy.lb': { v: '1' } });
  assert.deepEqual(paths(assignment({ endpoints: [{ priority: 1 }] })), ['endpoints']);
  assert.deepEqual(value(assignment({})).priorities, [[]]);
});

test('secrets hold certificates or trust', () => {
  const secret = (json: object) => compileSecret(Secret.decode(jsonToBinary('envoy.extensions.transport_sockets.tls.v3.Secret', { name: 's', ...json })));
  const certificate = value(secret({ tls_certificate: { certificate_chain: { inline_string: 'chain' }, private_key: { filename: '/key' } } })).value;
  assert.deepEqual(certificate, { kind: 'certificate', certificate: { certificateChain: { kind: 'inline', bytes: Buffer.from('chain') }, privateKey: { kind: 'file', path: '/key' }, password: null } });
  assert.equal(value(secret({ validation_context: { trusted_ca: { inline_string: 'ca' } } })).value.kind, 'validation');
  assert.deepEqual(paths(secret({ tls_certificate: {} })), ['tls_certificate.certificate_chain', 'tls_certificate.private_key']);
  assert.deepEqual(paths(secret({})), ['']);
});

test('the SPIFFE validator says whose roots vouch for which trust domain; others are refused', () => {
  const validator = (config: object) => compileSecret(Secret.decode(jsonToBinary('envoy.extensions.transport_sockets.tls.v3.Secret', { name: 's', validation_context: { custom_validator_config: { name: 'v', typed_config: config } } })));
  const spiffe = (...domains: object[]) => validator(typed('envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig', { trust_domains: domains }));
  const compiled = value(spiffe({ name: 'a.example', trust_bundle: { inline_string: 'a' } }, { name: 'b.example', trust_bundle: { filename: '/b.pem' } })).value;
  assert.ok(compiled.kind === 'validation');
  assert.deepEqual(compiled.validation.trustDomains, [{ name: 'a.example', roots: { kind: 'inline', bytes: Buffer.from('a') } }, { name: 'b.example', roots: { kind: 'file', path: '/b.pem' } }]);
  const at = 'validation_context.custom_validator_config';
  assert.deepEqual(paths(spiffe()), [`${at}.typed_config.trust_domains`]);
  assert.deepEqual(paths(spiffe({ name: 'a' }, { name: 'a', trust_bundle: { inline_string: 'a' } }, { name: 'spiffe://b', trust_bundle: { inline_string: 'b' } })), [`${at}.typed_config.trust_domains[0].trust_bundle`, `${at}.typed_config.trust_domains[1].name`, `${at}.typed_config.trust_domains[2].name`]);
  assert.deepEqual(paths(validator(typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'))), [at]);
});

test('no decoded bytes make a compiler throw', () => {
  const fuzz = <T>(seed: Uint8Array, decode: (bytes: Uint8Array) => T, compile: (message: T) => unknown): void => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 6 }), (flips) => {
      const bytes = Buffer.from(seed);
      for (const [at, byte] of flips) bytes[at] = byte;
      let message: T;
      try {
        message = decode(bytes);
      } catch {
        return;
      }
      compile(message);
    }), { numRuns: 300 });
  };
  const aListener = listenerMessage({ name: 'l', address, filter_chains: [{ filter_chain_match: { server_names: ['a'] }, filters: [hcm()] }] });
  const aCluster = clusterMessage({ name: 'c', lb_subset_config: { subset_selectors: [{ keys: ['a'] }] }, outlier_detection: { consecutive_5xx: 1 } });
  fuzz(Listener.encode(aListener).finish(), (bytes) => Listener.decode(bytes), (message) => compileListener(message, extensions));
  fuzz(Cluster.encode(aCluster).finish(), (bytes) => Cluster.decode(bytes), (message) => compileCluster(message, extensions));
});

test('the PROXY protocol is refused by its field unless the proxy reads it: addresses would be wrong', () => {
  const message = listenerMessage({ name: 'l', address, listener_filters: [{ name: 'pp', typed_config: typed('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol') }], filter_chains: [{ filters: [tcp('c')] }] });
  assert.deepEqual(paths(compileListener(message, extensions)), ['listener_filters[0].typed_config']);
  assert.equal(compileListener(message, { ...extensions, proxyProtocol: true }).ok, true);
});

test('settings that nothing here can follow are refused by their path', () => {
  const at = 'filter_chains[0].filters[0].typed_config.http_protocol_options';
  const preserveCase = { '@type': 'type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig', forward_reason_phrase: true };
  const options = { allow_absolute_url: false, allow_chunked_length: true, send_fully_qualified_url: true, header_key_format: { stateful_formatter: { name: 'preserve_case', typed_config: preserveCase } } };
  assert.deepEqual(paths(listener({ filter_chains: [{ filters: [hcm({ http_protocol_options: options })] }] })).toSorted(),
    [`${at}.header_key_format.stateful_formatter.forward_reason_phrase`]);
  assert.deepEqual(paths(listener({ filter_chains: [{ filters: [hcm({ http_protocol_options: { allow_absolute_url: true } })] }] })), []);
});

test('settings that only tune are warned of by their path', () => {
  const at = 'filter_chains[0].filters[0].typed_config';
  const tuned = listener({
    freebind: true,
    filter_chains: [{ filters: [hcm({ drain_timeout: '1s', stream_error_on_invalid_http_message: true })] }],
  });
  assert.deepEqual(warned(tuned).toSorted(), [`${at}.drain_timeout`, 'freebind'].toSorted());
  assert.deepEqual(warned(cluster({ type: 'STRICT_DNS', respect_dns_ttl: true, load_assignment: { cluster_name: 'c' } })), ['respect_dns_ttl']);
});
