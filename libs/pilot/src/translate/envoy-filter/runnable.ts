import { ok } from '@meltemi/base';
import { unknownProcess } from '@meltemi/http';
import type { Extension, Extensions, HttpFilterExtension } from '@meltemi/snapshot';

const prefix = 'type.googleapis.com/';
const http = 'envoy.extensions.filters.http.';
const network = 'envoy.extensions.filters.network.';
const loggers = 'envoy.extensions.access_loggers.';

/** HTTP filters of Meltemi's proxy, with what routes may say to them: true for the same message, else another's. */
export const httpFilterTypes: readonly (readonly [type: string, route?: true | string])[] = [
  ['io.istio.http.peer_metadata.Config'],
  [`${http}health_check.v3.HealthCheck`],
  [`${http}ext_authz.v3.ExtAuthz`, `${http}ext_authz.v3.ExtAuthzPerRoute`],
  [`${http}jwt_authn.v3.JwtAuthentication`, `${http}jwt_authn.v3.PerRouteConfig`],
  [`${http}rbac.v3.RBAC`, `${http}rbac.v3.RBACPerRoute`],
  [`${http}grpc_web.v3.GrpcWeb`],
  [`${http}grpc_http1_bridge.v3.Config`],
  [`${http}grpc_stats.v3.FilterConfig`],
  [`${http}fault.v3.HTTPFault`, true],
  [`${http}cors.v3.Cors`, `${http}cors.v3.CorsPolicy`],
  [`${http}csrf.v3.CsrfPolicy`, true],
  [`${http}local_ratelimit.v3.LocalRateLimit`, true],
  [`${http}ratelimit.v3.RateLimit`, `${http}ratelimit.v3.RateLimitPerRoute`],
  [`${http}buffer.v3.Buffer`, `${http}buffer.v3.BufferPerRoute`],
  [`${http}compressor.v3.Compressor`, `${http}compressor.v3.CompressorPerRoute`],
  [`${http}decompressor.v3.Decompressor`],
  [`${http}dynamic_forward_proxy.v3.FilterConfig`, `${http}dynamic_forward_proxy.v3.PerRouteConfig`],
  [`${http}header_mutation.v3.HeaderMutation`, `${http}header_mutation.v3.HeaderMutationPerRoute`],
  ['stats.PluginConfig'],
  [`${http}router.v3.Router`],
  ['meltemi.filters.http.decision_trace.v1.DecisionTrace'],
  ['meltemi.filters.http.module.v1.Module', true],
];

/** Network filters besides those that end a chain. */
export const networkFilterTypes: readonly string[] = [
  `${network}rbac.v3.RBAC`, `${network}ext_authz.v3.ExtAuthz`, `${network}connection_limit.v3.ConnectionLimit`, `${network}local_ratelimit.v3.LocalRateLimit`, `${network}sni_cluster.v3.SniCluster`, `${network}sni_dynamic_forward_proxy.v3.FilterConfig`,
  'envoy.tcp.metadataexchange.config.MetadataExchange', 'stats.PluginConfig',
];

export const accessLoggerTypes: readonly string[] = [
  `${loggers}file.v3.FileAccessLog`, `${loggers}stream.v3.StdoutAccessLog`, `${loggers}stream.v3.StderrAccessLog`, `${loggers}open_telemetry.v3.OpenTelemetryAccessLogConfig`,
  `${loggers}grpc.v3.HttpGrpcAccessLogConfig`, `${loggers}grpc.v3.TcpGrpcAccessLogConfig`,
];

export const tracerTypes: readonly string[] = ['envoy.config.trace.v3.ZipkinConfig', 'envoy.config.trace.v3.OpenTelemetryConfig'];

const accepts: Extension = { parse: () => ok(null) };

function httpFilter(type: string, route: true | string | undefined): HttpFilterExtension {
  const terminal = type.endsWith('.Router');
  return { ...accepts, terminal, ...(route === undefined ? {} : { parseRoute: () => ok(null), routeTypeUrls: [`${prefix}${route === true ? type : route}`] }) };
}

const all = (types: readonly string[]) => new Map(types.map((type) => [`${prefix}${type}`, accepts] as const));

/**
 * What Meltemi's proxy runs, for compiling a resource as it would. Only the filters' places are known here, not what they say of their own settings
 * (a test in the harness compares the lists with the proxy's).
 */
export const runnable: Extensions = {
  // A process of which nothing is known: formats may ask for what a real one knows.
  formats: unknownProcess,
  httpFilters: new Map(httpFilterTypes.map(([type, route]) => [`${prefix}${type}`, httpFilter(type, route)] as const)),
  networkFilters: all(networkFilterTypes),
  listenerFilters: new Map(),
  accessLoggers: all(accessLoggerTypes),
  tracers: all(tracerTypes),
  http2: true,
  autoTlsNames: true,
  proxyProtocol: true,
};
