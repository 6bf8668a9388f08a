/** Ports of the bench's proxy. */
export interface SidecarPorts {
  readonly port: number;
  readonly backendPort: number;
  readonly adminPort: number;
}

const type = (name: string) => `type.googleapis.com/${name}`;
const loopback = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** What pilot sends a sidecar for an outbound HTTP port (libs/pilot/golden/bookinfo-sidecar.json), as an Envoy bootstrap with static resources. */
export function sidecarBootstrap({ port, backendPort, adminPort }: SidecarPorts): unknown {
  return {
    node: { id: 'sidecar~127.0.0.1~bench-1.default~default.svc.cluster.local', cluster: 'bench.default', metadata: { NAMESPACE: 'default', WORKLOAD_NAME: 'bench', LABELS: { app: 'bench', version: 'v1' } } },
    admin: { address: loopback(adminPort) },
    static_resources: {
      listeners: [{ name: 'outbound', traffic_direction: 'OUTBOUND', address: loopback(port), filter_chains: [{ filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: connectionManager() }] }] }],
      clusters: [{
        name: cluster, type: 'STATIC', connect_timeout: '10s', lb_policy: 'LEAST_REQUEST',
        circuit_breakers: { thresholds: [{ max_connections: 4294967295, max_pending_requests: 4294967295, max_requests: 4294967295, max_retries: 4294967295 }] },
        load_assignment: { cluster_name: cluster, endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(backendPort) } }] }] },
      }],
    },
  };
}

const cluster = 'outbound|80||backend.default.svc.cluster.local';

function connectionManager() {
  return {
    '@type': type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'outbound_0.0.0.0_80;',
    route_config: { name: '80', virtual_hosts: [{ name: 'backend', domains: ['*'], routes: [route()] }] },
    http_filters: filters(),
    use_remote_address: false, generate_request_id: true, stream_idle_timeout: '0s', normalize_path: true, path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    request_id_extension: { typed_config: { '@type': type('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig'), use_request_id_for_trace_sampling: true } },
  };
}

function route() {
  const retry_policy = { retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes', num_retries: 2, host_selection_retry_max_attempts: '5' };
  return { name: 'default', match: { prefix: '/' }, route: { cluster, timeout: '0s', max_grpc_timeout: '0s', retry_policy }, decorator: { operation: 'backend:80/*' } };
}

/** The full sidecar set, in the order Istio runs it. */
function filters() {
  const metadata = { '@type': type('io.istio.http.peer_metadata.Config'), upstream_discovery: [{ istio_headers: {} }, { workload_discovery: {} }], upstream_propagation: [{ istio_headers: {} }] };
  return [
    { name: 'envoy.filters.http.peer_metadata', typed_config: metadata },
    { name: 'envoy.filters.http.fault', typed_config: { '@type': type('envoy.extensions.filters.http.fault.v3.HTTPFault') } },
    { name: 'envoy.filters.http.cors', typed_config: { '@type': type('envoy.extensions.filters.http.cors.v3.Cors') } },
    { name: 'istio.stats', typed_config: { '@type': type('stats.PluginConfig') } },
    { name: 'envoy.filters.http.router', typed_config: { '@type': type('envoy.extensions.filters.http.router.v3.Router') } },
  ];
}
