import { routesOf, type MeshFeature, type Shape } from './shape.ts';

/** Where our proxy listens and logs. */
export interface SidecarPlace {
  readonly port: number;
  readonly adminPort: number;
  readonly accessLog: string;
}

type Json = Readonly<Record<string, unknown>>;

const types = 'type.googleapis.com';
const loopback = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** What pilot sends a sidecar for a port (libs/pilot/golden/bookinfo-sidecar.json), as an Envoy bootstrap with static resources; with an access log and an authorization policy besides. */
export function sidecarBootstrap(shape: Shape, place: SidecarPlace): Json {
  return {
    node: { id: 'sidecar~127.0.0.1~bench-1.default~default.svc.cluster.local', cluster: 'bench.default', metadata: { NAMESPACE: 'default', WORKLOAD_NAME: 'bench', LABELS: { app: 'bench', version: 'v1' } } },
    admin: { address: loopback(place.adminPort) },
    static_resources: { listeners: [listener(shape, place)], clusters: [cluster(shape)] },
  };
}

const clusterName = 'outbound|80||backend.default.svc.cluster.local';

function listener(shape: Shape, place: SidecarPlace): Json {
  const filter = shape.protocol === 'tcp' ? tcpProxy(place) : connectionManager(shape, place);
  return { name: 'bench', traffic_direction: 'OUTBOUND', address: loopback(place.port), filter_chains: [{ filters: [filter], ...downstreamTls(shape) }] };
}

function cluster(shape: Shape): Json {
  const http2 = { '@type': `${types}/envoy.extensions.upstreams.http.v3.HttpProtocolOptions`, explicit_http_config: { http2_protocol_options: {} } };
  return {
    name: clusterName, type: 'STATIC', connect_timeout: '10s', lb_policy: 'LEAST_REQUEST',
    circuit_breakers: { thresholds: [{ max_connections: 4294967295, max_pending_requests: 4294967295, max_requests: 4294967295, max_retries: 4294967295 }] },
    load_assignment: { cluster_name: clusterName, endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(shape.backendPort) } }] }] },
    ...(shape.protocol === 'http2' ? { typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 } } : {}),
    ...upstreamTls(shape),
  };
}

function downstreamTls({ tlsIn }: Shape): Json {
  if (!tlsIn) return {};
  const validation = tlsIn.clientCa === undefined ? {} : { validation_context: { trusted_ca: { filename: tlsIn.clientCa } } };
  const common_tls_context = { tls_certificates: [pem(tlsIn.leaf)], tls_params: { tls_minimum_protocol_version: 'TLSv1_3' }, ...validation };
  const required = tlsIn.clientCa === undefined ? {} : { require_client_certificate: true };
  return { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': `${types}/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`, common_tls_context, ...required } } };
}

function upstreamTls({ tlsOut }: Shape): Json {
  if (!tlsOut) return {};
  const validation_context = { trusted_ca: { filename: tlsOut.ca }, match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: tlsOut.backend.spiffe } }] };
  const common_tls_context = { tls_certificates: [pem(tlsOut.leaf)], tls_params: { tls_maximum_protocol_version: 'TLSv1_3' }, validation_context };
  return { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': `${types}/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`, common_tls_context, sni: tlsOut.backend.dns } } };
}

function pem({ certFile, keyFile }: { readonly certFile: string; readonly keyFile: string }): Json {
  return { certificate_chain: { filename: certFile }, private_key: { filename: keyFile } };
}

function typed(name: string, type: string, config: Json = {}): Json {
  return { name, typed_config: { '@type': `${types}/${type}`, ...config } };
}

function accessLog({ accessLog: path }: SidecarPlace): readonly Json[] {
  return [typed('envoy.access_loggers.file', 'envoy.extensions.access_loggers.file.v3.FileAccessLog', { path })];
}

function tcpProxy(place: SidecarPlace): Json {
  return typed('envoy.filters.network.tcp_proxy', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 'bench', cluster: clusterName, access_log: accessLog(place) });
}

function connectionManager(shape: Shape, place: SidecarPlace): Json {
  return typed('envoy.filters.network.http_connection_manager', 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'outbound_0.0.0.0_80;', codec_type: shape.protocol === 'http2' ? 'HTTP2' : 'AUTO',
    route_config: { name: '80', virtual_hosts: virtualHosts(shape) }, http_filters: filters(shape), access_log: has(shape, 'access log') ? accessLog(place) : [],
    use_remote_address: false, generate_request_id: has(shape, 'request id'), stream_idle_timeout: '0s', normalize_path: true, path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    ...(shape.http10 ? { http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'bench' } } : {}),
    request_id_extension: { typed_config: { '@type': `${types}/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig`, use_request_id_for_trace_sampling: true } },
  });
}

function has({ without }: Shape, feature: MeshFeature): boolean {
  return without?.includes(feature) !== true;
}

function virtualHosts(shape: Shape): readonly Json[] {
  const count = shape.routes ?? 1;
  if (count === 1) return [{ name: 'backend', domains: ['*'], routes: [route('/', shape)] }];
  return [...Map.groupBy(routesOf(count), ({ host }) => host)].map(([host, routes]) => ({ name: host, domains: [host, `${host}:*`], routes: routes.map(({ prefix }) => route(prefix, shape)) }));
}

function route(prefix: string, shape: Shape): Json {
  const retry = { retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes', num_retries: 2, host_selection_retry_max_attempts: '5' };
  const retry_policy = has(shape, 'retries') ? { retry_policy: retry } : {};
  return { name: 'default', match: { prefix }, route: { cluster: clusterName, timeout: '0s', max_grpc_timeout: '0s', ...retry_policy }, decorator: { operation: `backend:80${prefix}*` } };
}

/** The full sidecar set, in the order Istio runs it. */
function filters(shape: Shape): readonly Json[] {
  const all: readonly (readonly [feature: MeshFeature, filter: Json])[] = [
    ['peer metadata', typed('envoy.filters.http.peer_metadata', 'io.istio.http.peer_metadata.Config', { upstream_discovery: [{ istio_headers: {} }, { workload_discovery: {} }], upstream_propagation: [{ istio_headers: {} }] })],
    ['rbac', typed('envoy.filters.http.rbac', 'envoy.extensions.filters.http.rbac.v3.RBAC', { rules: policies() })],
    ['fault and cors', typed('envoy.filters.http.fault', 'envoy.extensions.filters.http.fault.v3.HTTPFault')],
    ['fault and cors', typed('envoy.filters.http.cors', 'envoy.extensions.filters.http.cors.v3.Cors')],
    ['metrics', typed('istio.stats', 'stats.PluginConfig')],
  ];
  return [...all.flatMap(([feature, filter]) => (has(shape, feature) ? [filter] : [])), typed('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router')];
}

/** Two policies; the first lets nobody of the bench in, so both are evaluated for each request. */
function policies(): Json {
  return {
    action: 'ALLOW',
    policies: {
      'ns[default]-policy[admin]-rule[0]': { permissions: [{ and_rules: { rules: [{ url_path: { path: { prefix: '/admin' } } }, { header: { name: ':method', string_match: { exact: 'DELETE' } } }] } }], principals: [{ header: { name: 'x-role', string_match: { exact: 'admin' } } }] },
      'ns[default]-policy[reads]-rule[0]': {
        permissions: [{ and_rules: { rules: [{ or_rules: { rules: ['GET', 'POST'].map((method) => ({ header: { name: ':method', string_match: { exact: method } } })) } }, { not_rule: { url_path: { path: { prefix: '/private' } } } }] } }],
        principals: [{ any: true }],
      },
    },
  };
}
