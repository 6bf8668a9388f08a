/** Names that Envoy gave up, and what it calls these filters now. Source: istio.io/istio pkg/config/xds/deprecated.go. */
const http: Readonly<Record<string, string>> = {
  'envoy.buffer': 'buffer', 'envoy.cors': 'cors', 'envoy.csrf': 'csrf', 'envoy.http_dynamo_filter': 'dynamo', 'envoy.ext_authz': 'ext_authz', 'envoy.fault': 'fault',
  'envoy.grpc_http1_bridge': 'grpc_http1_bridge', 'envoy.grpc_json_transcoder': 'grpc_json_transcoder', 'envoy.grpc_web': 'grpc_web', 'envoy.gzip': 'gzip',
  'envoy.health_check': 'health_check', 'envoy.ip_tagging': 'ip_tagging', 'envoy.lua': 'lua', 'envoy.rate_limit': 'ratelimit', 'envoy.router': 'router', 'envoy.squash': 'squash',
};

const network: Readonly<Record<string, string>> = {
  'envoy.client_ssl_auth': 'client_ssl_auth', 'envoy.ext_authz': 'ext_authz', 'envoy.http_connection_manager': 'http_connection_manager', 'envoy.mongo_proxy': 'mongo_proxy',
  'envoy.ratelimit': 'ratelimit', 'envoy.redis_proxy': 'redis_proxy', 'envoy.tcp_proxy': 'tcp_proxy',
};

const listener: Readonly<Record<string, string>> = {
  'envoy.listener.http_inspector': 'http_inspector', 'envoy.listener.original_dst': 'original_dst', 'envoy.listener.original_src': 'original_src',
  'envoy.listener.proxy_protocol': 'proxy_protocol', 'envoy.listener.tls_inspector': 'tls_inspector',
};

const names = { http, network, listener } as const;

/** The name of today for a filter of this kind; any other name as it is. */
export function currentFilterName(kind: keyof typeof names, name: string): string {
  const known = names[kind][name];
  return known === undefined ? name : `envoy.filters.${kind}.${known}`;
}
