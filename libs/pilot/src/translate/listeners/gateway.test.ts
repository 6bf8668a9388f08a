import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import { featuresFrom } from '../../features.ts';
import { bookinfo, configsOf, ingressGateway, jsonOf, meshOf, proxyOf } from '../../testing/mesh.test-support.ts';
import { chainOf, connected, listenersOf, tableOf, whither } from '../../testing/walk.test-support.ts';
import { routeNames, translate } from '../translate.ts';

const object = (kind: string, name: string, spec: string, { namespace = 'default', born = '2026-01-01T00:00:00Z' } = {}) =>
  `---\napiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${born}"}\nspec: ${spec}\n`;

type Place = Parameters<typeof object>[3];

const gateway = (name: string, servers: string, place?: Place) => object('Gateway', name, `{selector: {istio: ingressgateway}, servers: [${servers}]}`, place);
const server = (port: string, hosts: string, rest = '') => `{port: ${port}, hosts: [${hosts}]${rest}}`;
const http = '{number: 80, name: http, protocol: HTTP}';
const https = '{number: 443, name: https, protocol: HTTPS}';
const tlsPort = '{number: 443, name: tls, protocol: TLS}';
const files = 'serverCertificate: /c.pem, privateKey: /k.pem';
const simple = `, tls: {mode: SIMPLE, ${files}}`;
const passthrough = ', tls: {mode: PASSTHROUGH}';
const rule = (name: string, hosts: string, routes: string, place?: Place) => object('VirtualService', name, `{hosts: [${hosts}], gateways: [gw], ${routes}}`, place);
const to = (host: string) => `route: [{destination: {host: ${host}.default.svc.cluster.local, port: {number: 9080}}}]`;
const young = { born: '2026-02-01T00:00:00Z' };

interface World {
  readonly mesh?: Parameters<typeof meshOf>[1];
  readonly env?: Record<string, string>;
}

function world(yaml: string, { mesh = {}, env = {} }: World = {}) {
  const push = meshOf([...bookinfo(), ...configsOf(yaml)], mesh, undefined, featuresFrom(env));
  assert.deepEqual(push.quarantined, []);
  return push;
}

/** Where a connection to the gateway's port goes: TLS with a server name, or plaintext. */
function dial(yaml: string, port: number, serverName?: string, options: World & { readonly alpn?: readonly string[] } = {}): string {
  const connection = { destinationIp: '10.0.0.9', destinationPort: port, ...(serverName === undefined ? {} : { serverName, transportProtocol: 'tls', applicationProtocols: options.alpn ?? [] }) };
  return connected(listenersOf(world(yaml, options), ingressGateway()).get(`0.0.0.0_${port}`), connection);
}

test('plain HTTP servers of one port share its routes; each TLS server has routes of its own, under Istio\'s names', () => {
  const yaml = gateway('gw', [server(http, '"*"'), server(https, 'a.example', simple), server('{number: 443, name: other, protocol: HTTPS}', 'b.example', simple)].join(', '));
  assert.equal(dial(yaml, 8080), 'routes http.8080');
  assert.equal(dial(yaml, 8443, 'a.example'), 'routes https.443.https.gw.default');
  assert.equal(dial(yaml, 8443, 'b.example'), 'routes https.443.other.gw.default');
  assert.equal(dial(yaml, 8443, 'c.example'), 'closed');
  assert.deepEqual(routeNames(world(yaml), ingressGateway()), ['http.8080', 'https.443.https.gw.default', 'https.443.other.gw.default']);
});

test('a server may bind an address of its own: its listener and routes say so', () => {
  const yaml = gateway('gw', `${server(http, '"*"', ', bind: 10.1.1.1')}, ${server(http.replace('name: http', 'name: other'), '"*"')}`) + rule('r', '"*"', `http: [{${to('details')}}]`);
  const listeners = listenersOf(world(yaml), ingressGateway());
  assert.deepEqual([...listeners.keys()], ['0.0.0.0_8080', '10.1.1.1_8080']);
  assert.equal(connected(listeners.get('10.1.1.1_8080'), { destinationIp: '10.1.1.1', destinationPort: 8080 }), 'routes http.8080.10.1.1.1');
  assert.equal(whither(tableOf(world(yaml), ingressGateway(), 'http.8080.10.1.1.1'), 'http://any/'), 'details:9080');
});

test('a server may listen on a Unix socket', () => {
  const yaml = gateway('gw', '{port: {number: 0, name: http, protocol: HTTP}, hosts: ["*"], bind: "unix:///run/gw.sock"}');
  const [listener] = Object.values(jsonOf(translate(world(yaml), ingressGateway(), { typeUrl: xdsType.listener }))) as { address: unknown }[];
  assert.deepEqual(listener?.address, { pipe: { path: '/run/gw.sock' } });
});

/** [what, the older Gateway's server, the younger's, whether the younger is served on the port]. */
const neighbours: readonly (readonly [string, string, string, boolean])[] = [
  ['HTTP beside HTTP', server(http, 'a.example'), server(http, 'b.example'), true],
  ['HTTP2 beside HTTP', server(http, 'a.example'), server('{number: 80, name: h2, protocol: HTTP2}', 'b.example'), true],
  ['TCP beside HTTP', server(http, 'a.example'), server('{number: 80, name: tcp, protocol: TCP}', 'b.example'), false],
  ['HTTP beside TCP', server('{number: 80, name: tcp, protocol: TCP}', 'a.example'), server(http, 'b.example'), false],
  ['TCP beside TCP', server('{number: 80, name: tcp, protocol: TCP}', 'a.example'), server('{number: 80, name: tcp2, protocol: TCP}', 'b.example'), false],
  ['HTTPS beside HTTP', server(http, 'a.example'), server('{number: 80, name: https, protocol: HTTPS}', 'b.example', simple), false],
  ['HTTP after HTTPS, for what has no server name', server('{number: 80, name: https, protocol: HTTPS}', 'a.example', simple), server(http, 'b.example'), true],
  ['HTTPS beside HTTPS of another name', server(https, 'a.example', simple), server(https, 'b.example', simple), true],
  ['HTTPS beside HTTPS of the same name', server(https, 'a.example', simple), server(https, 'a.example', simple), false],
  ['one name too many takes the whole server', server(https, 'a.example', simple), server(https, 'a.example, b.example', simple), false],
  ['passthrough beside HTTPS of another name', server(https, 'a.example', simple), server(tlsPort, 'b.example', passthrough), true],
  ['passthrough beside HTTPS of the same name', server(https, 'a.example', simple), server(tlsPort, 'a.example', passthrough), false],
  ['redirects to https of the same name', server(http, 'a.example', ', tls: {httpsRedirect: true}'), server(http, 'a.example', ', tls: {httpsRedirect: true}'), false],
];

for (const [what, older, younger, stays] of neighbours) {
  test(`servers of two Gateways on one port: ${what} ${stays ? 'fits' : 'is left out'}`, () => {
    const routes = (name: string) => object('VirtualService', name, `{hosts: [a.example, b.example], gateways: [${name}], http: [{${to(name === 'old' ? 'details' : 'ratings')}}], tcp: [{${to(name === 'old' ? 'details' : 'ratings')}}], tls: [{match: [{sniHosts: [b.example]}], ${to(name === 'old' ? 'details' : 'ratings')}}]}`);
    const push = world(gateway('old', older) + gateway('young', younger, young) + routes('old') + routes('young'));
    const tables = routeNames(push, ingressGateway()).flatMap((name) => tableOf(push, ingressGateway(), name)?.virtualHosts.flatMap((host) => host.routes.flatMap(({ outcomes }) => outcomes.map(({ action }) => (action.kind === 'forward' ? action.cluster : '')))) ?? []);
    const bytes = [...listenersOf(push, ingressGateway()).values()].flatMap(({ allFilterChains }) => allFilterChains.flatMap(({ networkFilters }) => networkFilters.flatMap((filter) => (filter.kind === 'tcp_proxy' ? filter.config.clusters.map(({ cluster }) => cluster) : []))));
    assert.equal([...tables, ...bytes].some((cluster) => cluster?.includes('ratings')), stays);
    assert.ok([...tables, ...bytes].some((cluster) => cluster?.includes('details')), 'the older one is always served');
  });
}

test('ports are those of the Service in front, unless it says they are not', () => {
  const label = 'experimental.istio.io/disable-gateway-port-translation';
  const ports = (yaml: string, extra = '') => [...listenersOf(world(extra + yaml), ingressGateway()).keys()];
  assert.deepEqual(ports(gateway('gw', server(http, '"*"'))), ['0.0.0.0_8080']);
  assert.deepEqual(ports(gateway('gw', server('{number: 81, name: http, protocol: HTTP}', '"*"'))), ['0.0.0.0_81']);
  const service = `---\napiVersion: v1\nkind: Service\nmetadata: {name: aside, namespace: istio-system, labels: {${label}: "true"}}\nspec: {ports: [{name: http, port: 81, targetPort: 8181}], selector: {istio: ingressgateway}}\n`;
  assert.deepEqual(ports(gateway('gw', server('{number: 81, name: http, protocol: HTTP}', '"*"')), service), ['0.0.0.0_81']);
});

test('a proxy that says it has no privileges is asked for no port below 1024', () => {
  const yaml = gateway('gw', `${server('{number: 81, name: http, protocol: HTTP}', '"*"')}, ${server('{number: 8181, name: other, protocol: HTTP}', '"*"')}`);
  const weak = proxyOf('router~10.0.0.9~gw.istio-system~istio-system.svc.cluster.local', { NAMESPACE: 'istio-system', LABELS: { istio: 'ingressgateway' }, UNPRIVILEGED_POD: 'true' });
  assert.deepEqual([...listenersOf(world(yaml), weak).keys()], ['0.0.0.0_8181']);
  assert.deepEqual([...listenersOf(world(yaml), ingressGateway()).keys()], ['0.0.0.0_81', '0.0.0.0_8181']);
});

test('gateways can be kept to Gateway objects of their own namespace', () => {
  const yaml = gateway('far', server(http, '"*"')) + gateway('near', server('{number: 81, name: http, protocol: HTTP}', '"*"'), { namespace: 'istio-system' });
  assert.deepEqual([...listenersOf(world(yaml, { env: { PILOT_SCOPE_GATEWAY_TO_NAMESPACE: 'true' } }), ingressGateway()).keys()], ['0.0.0.0_81']);
});

test('TCP goes where the first rule with a route for the port says, by weight', () => {
  const tcp = server('{number: 31400, name: tcp, protocol: TCP}', '"*"');
  const weighted = 'tcp: [{match: [{port: 1}], route: [{destination: {host: reviews}}]}, {match: [{port: 31400, gateways: [gw], sourceLabels: {app: nobody}}], route: [{destination: {host: details, port: {number: 9080}}, weight: 20}, {destination: {host: ratings, port: {number: 9080}}, weight: 80}]}]';
  assert.equal(dial(gateway('gw', tcp) + rule('r', '"*"', weighted), 31400), '20 details:9080, 80 ratings:9080');
  assert.deepEqual([...listenersOf(world(gateway('gw', tcp)), ingressGateway()).keys()], [], 'without a route nobody listens');
  const terminated = gateway('gw', server('{number: 443, name: tls, protocol: TLS}', 'a.example', simple)) + rule('r', 'a.example', `tcp: [{${to('details')}}]`);
  assert.equal(dial(terminated, 8443, 'a.example'), 'details:9080', 'after TLS, too');
  assert.equal(dial(terminated, 8443, 'b.example'), 'closed');
});

test('TLS is passed through by the server name of the rule\'s matches, wildcards included; of two for one name the first stays', () => {
  const names = (sni: string, host: string) => `{match: [{sniHosts: [${sni}]}], ${to(host)}}`;
  const yaml = gateway('gw', server(tlsPort, '"*.example"', passthrough)) + rule('r', '"*.example"', `tls: [${names('a.example', 'details')}, ${names('"*.b.example"', 'ratings')}, ${names('a.example, c.example', 'reviews')}, {match: [{sniHosts: [d.example], port: 1}], ${to('reviews')}}]`);
  assert.equal(dial(yaml, 8443, 'a.example'), 'details:9080');
  assert.equal(dial(yaml, 8443, 'x.b.example'), 'ratings:9080');
  for (const name of ['c.example', 'd.example', 'b.example']) assert.equal(dial(yaml, 8443, name), 'closed', name);
});

test('servers of one name for rules of different namespaces share a port where TLS passes through or does not begin; where it ends the first has the name', () => {
  const red = { namespace: 'red' };
  const blue = { namespace: 'blue' };
  const second = (port: string) => port.replace('name: ', 'name: second-');
  const bound = (name: string, hosts: string, routes: string, place: Place) => object('VirtualService', name, `{hosts: [${hosts}], gateways: [default/gw], ${routes}}`, place);
  const passed = gateway('gw', [server(tlsPort, '"red/*.example"', passthrough), server(second(tlsPort), '"blue/*.example"', passthrough)].join(', '));
  const byName = (sni: string, host: string) => `tls: [{match: [{sniHosts: [${sni}]}], ${to(host)}}]`;
  const yaml = passed + bound('r', 'r.example', byName('r.example', 'details'), red) + bound('b', 'b.example', byName('b.example', 'ratings'), blue);
  assert.equal(dial(yaml, 8443, 'r.example'), 'details:9080');
  assert.equal(dial(yaml, 8443, 'b.example'), 'ratings:9080');

  const settings = ', tls: {httpsRedirect: false}';
  const plain = gateway('gw', [server(http, '"red/*.example"', settings), server(second(http), '"blue/*.example"', settings)].join(', ')) + bound('r', 'r.example', `http: [{${to('details')}}]`, red) + bound('b', 'b.example', `http: [{${to('ratings')}}]`, blue);
  assert.deepEqual(['r.example', 'b.example'].map((host) => whither(tableOf(world(plain), ingressGateway(), 'http.8080'), `http://${host}/`)), ['details:9080', 'ratings:9080']);

  const ended = gateway('gw', [server(tlsPort, '"red/*.example"', simple), server(second(tlsPort), '"blue/*.example"', simple)].join(', ')) + bound('r', 'r.example', `tcp: [{${to('details')}}]`, red) + bound('b', 'b.example', `tcp: [{${to('ratings')}}]`, blue);
  assert.equal(dial(ended, 8443, 'b.example'), 'details:9080');
});

test('a rule with hosts that the server does not have passes nothing through, nor do its TCP routes', () => {
  const pass = (hosts: string, routes: string) => dial(gateway('gw', server(tlsPort, 'a.example', passthrough)) + rule('r', hosts, routes), 8443, 'a.example');
  assert.equal(pass('b.example', `tls: [{match: [{sniHosts: [b.example]}], ${to('details')}}]`), 'closed');
  assert.equal(pass('a.example', `tcp: [{${to('details')}}]`), 'closed');
});

test('AUTO_PASSTHROUGH passes mutual TLS of the mesh to the cluster that its server name spells', () => {
  const yaml = gateway('gw', server('{number: 15443, name: tls, protocol: TLS}', '"*.local"', ', tls: {mode: AUTO_PASSTHROUGH}')) + object('DestinationRule', 'reviews', '{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}');
  const name = 'outbound_.9080_._.reviews.default.svc.cluster.local';
  const subset = 'outbound_.9080_.v1_.reviews.default.svc.cluster.local';
  assert.equal(dial(yaml, 15443, name, { alpn: ['istio'] }), name);
  assert.equal(dial(yaml, 15443, subset, { alpn: ['istio-peer-exchange', 'istio'] }), subset);
  assert.equal(dial(yaml, 15443, name, { alpn: ['h2'] }), 'closed', 'others are not let in');
  assert.equal(dial(yaml, 15443, 'reviews.default.svc.cluster.local', { alpn: ['istio'] }), 'closed');
  const push = world(yaml);
  const clusters = jsonOf(translate(push, ingressGateway(), { typeUrl: xdsType.cluster })) as Record<string, { transport_socket?: unknown; transport_socket_matches?: unknown }>;
  assert.ok(clusters[name] && clusters[subset]);
  assert.deepEqual([clusters[name]?.transport_socket, clusters[name]?.transport_socket_matches], [undefined, undefined], 'no TLS is added to the client\'s');
  const endpoints = jsonOf(translate(push, ingressGateway(), { typeUrl: xdsType.endpoint, names: [subset] })) as Record<string, { endpoints?: { lb_endpoints: unknown[] }[] }>;
  assert.equal(endpoints[subset]?.endpoints?.flatMap((group) => group.lb_endpoints).length, 1);
});

/** The TLS of the first server's chain, as Envoy's JSON. */
function tlsOf(settings: string, options: World = {}): Record<string, unknown> {
  const listeners = jsonOf(translate(world(gateway('gw', server(https, 'a.example', `, tls: {${settings}}`)), options), ingressGateway(), { typeUrl: xdsType.listener }));
  const [listener] = Object.values(listeners) as { filter_chains: { transport_socket: { typed_config: Record<string, unknown> } }[] }[];
  return listener?.filter_chains[0]?.transport_socket.typed_config ?? {};
}

const common = (context: Record<string, unknown>) => context['common_tls_context'] as Record<string, unknown>;
const secretNames = (context: Record<string, unknown>) => ((common(context)['tls_certificate_sds_secret_configs'] ?? []) as { name: string }[]).map(({ name }) => name);
const validation = (context: Record<string, unknown>) => common(context)['combined_validation_context'] as { default_validation_context: Record<string, unknown>; validation_context_sds_secret_config: { name: string } } | undefined;

test('Secrets are asked for by Istio\'s names, the CA under the credential\'s with -cacert or its own', () => {
  assert.deepEqual(secretNames(tlsOf('mode: SIMPLE, credentialName: shop')), ['kubernetes://shop']);
  assert.deepEqual(secretNames(tlsOf('mode: SIMPLE, credentialNames: [rsa, ecdsa]')), ['kubernetes://rsa', 'kubernetes://ecdsa']);
  const ca = (settings: string) => validation(tlsOf(settings))?.validation_context_sds_secret_config.name;
  assert.equal(ca('mode: MUTUAL, credentialName: shop'), 'kubernetes://shop-cacert');
  assert.equal(ca('mode: MUTUAL, credentialNames: [rsa, ecdsa]'), 'kubernetes://rsa-cacert');
  assert.equal(ca('mode: MUTUAL, credentialName: shop, caCertCredentialName: clients'), 'kubernetes://clients');
  assert.equal(ca('mode: SIMPLE, credentialName: shop'), undefined);
});

test('who must show a certificate: MUTUAL and ISTIO_MUTUAL; OPTIONAL_MUTUAL checks one that is shown', () => {
  const required = (settings: string) => tlsOf(settings)['require_client_certificate'];
  assert.deepEqual(['SIMPLE', 'OPTIONAL_MUTUAL', 'MUTUAL'].map((mode) => required(`mode: ${mode}, credentialName: shop`)), [false, false, true]);
  assert.equal(required('mode: ISTIO_MUTUAL'), true);
  assert.ok(validation(tlsOf('mode: OPTIONAL_MUTUAL, credentialName: shop')));
});

test('names, pins, versions and ciphers are told to the proxy; TLS 1.2 at least', () => {
  const pin = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';
  const context = tlsOf(`mode: MUTUAL, credentialName: shop, subjectAltNames: [client.example], verifyCertificateSpki: ["${pin}"], minProtocolVersion: TLSV1_3, maxProtocolVersion: TLSV1_3`);
  const checks = validation(context)?.default_validation_context ?? {};
  assert.deepEqual([checks['match_subject_alt_names'], checks['verify_certificate_spki']], [[{ exact: 'client.example' }], [pin]]);
  assert.deepEqual(common(context)['tls_params'], { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' });
  assert.deepEqual(common(tlsOf('mode: SIMPLE, credentialName: shop, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]'))['tls_params'], { tls_minimum_protocol_version: 'TLSv1_2', cipher_suites: ['ECDHE-RSA-AES128-GCM-SHA256'] });
  const tlsDefaults = { minProtocolVersion: 'TLSV1_3' as const, ecdhCurves: ['P-256'], cipherSuites: [] };
  assert.deepEqual(common(tlsOf('mode: SIMPLE, credentialName: shop', { mesh: { tlsDefaults } }))['tls_params'], { tls_minimum_protocol_version: 'TLSv1_3', ecdh_curves: ['P-256'] });
});

/** The connection manager of a plain HTTP server, compiled. */
function managerOf(protocol: string, options: World = {}, proxy = ingressGateway()) {
  const listener = listenersOf(world(gateway('gw', server(`{number: 80, name: http, protocol: ${protocol}}`, '"*"')), options), proxy).get('0.0.0.0_8080');
  const filter = chainOf(listener, { destinationIp: '10.0.0.9', destinationPort: 8080 })?.networkFilters[0];
  assert.equal(filter?.kind, 'http_connection_manager');
  return { listener, config: filter.config };
}

test('HTTP/1.0 is for those who ask for it: by switch, or by the proxy\'s metadata', () => {
  assert.equal(managerOf('HTTP').config.http1.acceptHttp10, false);
  assert.equal(managerOf('HTTP', { env: { PILOT_HTTP10: 'true' } }).config.http1.acceptHttp10, true);
  const old = proxyOf('router~10.0.0.9~gw.istio-system~istio-system.svc.cluster.local', { NAMESPACE: 'istio-system', LABELS: { istio: 'ingressgateway' }, HTTP10: '1' });
  assert.equal(managerOf('HTTP', {}, old).config.http1.acceptHttp10, true);
});

test('gRPC-Web is translated on ports that say so', () => {
  const names = (protocol: string) => managerOf(protocol).config.httpFilters.map(({ name }) => name).filter((name) => name.includes('grpc_web'));
  assert.deepEqual([names('GRPC-WEB'), names('HTTP'), names('GRPC')], [['envoy.filters.http.grpc_web'], [], []]);
});

test('headers that the proxy writes itself are as MeshConfig wants them', () => {
  const base = { ...world('').mesh.defaultConfig };
  const config = (proxyHeaders: object) => managerOf('HTTP', { mesh: { defaultConfig: { ...base, proxyHeaders: { forwardedClientCert: 'UNDEFINED' as const, ...proxyHeaders } } } }).config;
  const byDefault = managerOf('HTTP').config;
  assert.deepEqual([byDefault.serverName, byDefault.serverHeader, byDefault.generateRequestId, byDefault.appendXForwardedPort, byDefault.http1.preserveCase, byDefault.proxy100Continue], ['istio-envoy', 'overwrite', true, false, false, true]);
  assert.deepEqual([config({ server: { disabled: true, value: '' } }).serverHeader, config({ server: { value: 'shop' } }).serverName], ['pass-through', 'shop']);
  assert.equal(config({ requestId: { disabled: true } }).generateRequestId, false);
  assert.equal(config({ xForwardedPort: { enabled: true } }).appendXForwardedPort, true);
  assert.equal(config({ preserveHttp1HeaderCase: true }).http1.preserveCase, true);
});

test('paths are normalized as MeshConfig says', () => {
  const paths = (normalization: 'NONE' | 'DEFAULT' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES') => {
    const { normalizePath, mergeSlashes, escapedSlashes } = managerOf('HTTP', { mesh: { pathNormalization: { normalization } } }).config;
    return [normalizePath, mergeSlashes, escapedSlashes];
  };
  assert.deepEqual(paths('NONE'), [false, false, 'keep']);
  assert.deepEqual(paths('DEFAULT'), [true, false, 'keep']);
  assert.deepEqual(paths('BASE'), [true, false, 'keep']);
  assert.deepEqual(paths('MERGE_SLASHES'), [true, true, 'keep']);
  assert.deepEqual(paths('DECODE_AND_MERGE_SLASHES'), [true, true, 'unescape-forward']);
});

test('a handshake at a gateway has 15 seconds, or what the switch says; behind a load balancer the PROXY protocol is read', () => {
  const { listener } = managerOf('HTTP');
  assert.equal(listener?.allFilterChains[0]?.transportSocketConnectTimeoutMs, 15_000);
  assert.equal(managerOf('HTTP', { env: { PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT: '0s' } }).listener?.allFilterChains[0]?.transportSocketConnectTimeoutMs, 0);
  const behind = { ...world('').mesh.defaultConfig, gatewayTopology: { numTrustedProxies: 0, forwardClientCertDetails: 'UNDEFINED' as const, proxyProtocol: {} } };
  assert.deepEqual(managerOf('HTTP', { mesh: { defaultConfig: behind } }).listener?.listenerFilters.map(({ kind }) => kind), ['proxy_protocol']);
});
