/** Bootstraps in the words of Envoy's documentation, as plain objects. */
export type Json = Readonly<Record<string, unknown>>;

export const anyPort = { socket_address: { address: '127.0.0.1', port_value: 0 } };
const types = 'type.googleapis.com/envoy.extensions';
export const typeOf = {
  router: `${types}.filters.http.router.v3.Router`,
  fault: `${types}.filters.http.fault.v3.HTTPFault`,
  cors: `${types}.filters.http.cors.v3.Cors`,
  corsPolicy: `${types}.filters.http.cors.v3.CorsPolicy`,
  rbac: `${types}.filters.http.rbac.v3.RBAC`,
  jwtAuthn: `${types}.filters.http.jwt_authn.v3.JwtAuthentication`,
  extAuthz: `${types}.filters.http.ext_authz.v3.ExtAuthz`,
  networkRbac: `${types}.filters.network.rbac.v3.RBAC`,
  hcm: `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
  tcpProxy: `${types}.filters.network.tcp_proxy.v3.TcpProxy`,
  downstreamTls: `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
  upstreamTls: `${types}.transport_sockets.tls.v3.UpstreamTlsContext`,
  httpOptions: `${types}.upstreams.http.v3.HttpProtocolOptions`,
  fileLog: `${types}.access_loggers.file.v3.FileAccessLog`,
  stdoutLog: `${types}.access_loggers.stream.v3.StdoutAccessLog`,
  tlsInspector: `${types}.filters.listener.tls_inspector.v3.TlsInspector`,
  proxyProtocol: `${types}.filters.listener.proxy_protocol.v3.ProxyProtocol`,
  previousHosts: `${types}.retry.host.previous_hosts.v3.PreviousHostsPredicate`,
} as const;

export function filter(name: string, type: string, config: Json = {}): Json {
  return { name, typed_config: { '@type': type, ...config } };
}

export const router = filter('envoy.filters.http.router', typeOf.router);

/** A whole bootstrap with an admin port. */
export function bootstrap(listeners: readonly Json[], clusters: readonly Json[], more: Json = {}): Json {
  return { node: { id: 'test', cluster: 'tests' }, admin: { address: anyPort }, static_resources: { listeners, clusters }, ...more };
}

export interface HttpListener {
  readonly name?: string;
  readonly routes?: readonly Json[];
  readonly virtualHosts?: readonly Json[];
  readonly routeConfig?: Json;
  readonly hcm?: Json;
  /** HTTP filters before the router. */
  readonly filters?: readonly Json[];
  readonly listener?: Json;
  /** Fields of the filter chain: transport_socket. */
  readonly chain?: Json;
}

export function connectionManager(spec: HttpListener): Json {
  const virtualHosts = spec.virtualHosts ?? [{ name: 'all', domains: ['*'], routes: spec.routes ?? [] }];
  return filter('envoy.filters.network.http_connection_manager', typeOf.hcm, {
    stat_prefix: spec.name ?? 'web', route_config: { name: 'local', virtual_hosts: virtualHosts, ...spec.routeConfig }, http_filters: [...(spec.filters ?? []), router], ...spec.hcm,
  });
}

export function httpListener(spec: HttpListener): Json {
  return { name: spec.name ?? 'web', address: anyPort, filter_chains: [{ filters: [connectionManager(spec)], ...spec.chain }], ...spec.listener };
}

export function tcpListener(name: string, proxy: Json, listener: Json = {}, chain: Json = {}): Json {
  return { name, address: anyPort, filter_chains: [{ filters: [filter('envoy.filters.network.tcp_proxy', typeOf.tcpProxy, { stat_prefix: name, ...proxy })], ...chain }], ...listener };
}

export function endpoint(port: number, more: Json = {}): Json {
  return { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } }, ...more };
}

/** A static cluster over loopback ports. */
export function cluster(name: string, endpoints: readonly (number | Json)[], more: Json = {}): Json {
  return {
    name, connect_timeout: '1s', type: 'STATIC', lb_policy: 'ROUND_ROBIN',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: endpoints.map((each) => (typeof each === 'number' ? endpoint(each) : each)) }] }, ...more,
  };
}

/** A route that forwards. */
export function route(match: Json, to: string | Json, more: Json = {}): Json {
  return { match, route: typeof to === 'string' ? { cluster: to } : to, ...more };
}

/** typed_extension_protocol_options with these HttpProtocolOptions. */
export function httpOptions(options: Json): Json {
  return { typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': typeOf.httpOptions, ...options } } };
}

/** A cluster that is spoken to over HTTP/2. */
export const http2Only = httpOptions({ explicit_http_config: { http2_protocol_options: {} } });

export function fileLog(path: string, more: Json = {}, filterOf: Json = {}): Json {
  return { ...filter('envoy.access_loggers.file', typeOf.fileLog, { path, ...more }), ...filterOf };
}
