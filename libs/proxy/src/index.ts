export { ignoreConnection, type ByteConnection, type ConnectionObserver, type ConnectionSink } from './connection.ts';
export { CodeStats, codeStatsByPrefix } from './code-stats.ts';
export { latin1, latin1Write } from './latin1.ts';
export { moduleExtension, moduleTypeUrl, type ModuleLoad, type ModuleRef } from './filters/http/module/module-filter.ts';
export { maxClientHelloBytes, readClientHello, type ClientHello } from './inspect/client-hello.ts';
export { readProxyHeader, writeProxyHeader, type ProxyAddresses, type ProxyHeader, type ProxyTlv } from './inspect/proxy-protocol.ts';
export { SilentDestinations } from './inspect/silent-destinations.ts';
export { maxSniffedLineBytes, readHttpPreface } from './inspect/http-preface.ts';
export { AtomicRows, sharedRowsBuffer, type AtomicRowsOptions } from './atomic-rows.ts';
export type { SharedCell } from './shared-cell.ts';
export { LocalRows, type SharedRow, type SharedRows } from './shared-rows.ts';
export { AtomicState, LocalState, sharedStateBuffer, type SharedState } from './shared-state.ts';
export { nodeFacts, unknownNode, type NodeFacts } from './node.ts';
export {
  FilterEvents, FilterStatus, HttpStreamFilter, HttpTerminalFilter, NetworkStreamFilter, type ConnectionControls, type FilterContext, type HttpFilterConfig,
  type HttpFilterFactory, type LocalReply, type NetworkFilterConfig, type NetworkFilterContext, type NetworkFilterFactory, type StreamControls,
} from './filter.ts';
export type { RequestReceiver, RequestWriter, ResponseReceiver, ResponseWriter, UpstreamReset } from './stream.ts';
export {
  ClusterLimits, originalDestination, type CapturedConnectionInfo, type Clusters, type ClusterStats, type ConnectionCallbacks, type NewStreamOptions, type PendingStream, type PoolFailure, type StreamCallbacks,
  type UpstreamCluster, type UpstreamConnectionInfo,
} from './upstream.ts';
export { codecErrors, type CodecError } from './codec/http1/errors.ts';
export { Http1RequestParser, type RequestParserOptions, type RequestSink } from './codec/http1/request-parser.ts';
export { Http1ResponseParser, type ResponseSink } from './codec/http1/response-parser.ts';
export { defaultHttp1Limits, type Http1Limits } from './codec/http1/limits.ts';
export { Http1ServerConnection, type RequestHandler, type ServerConnectionOptions } from './codec/http1/server-connection.ts';
export { Http1ClientConnection, type ClientConnectionOwner } from './codec/http1/client-connection.ts';
export { http2ConnectionErrors, Http2Error, http2ErrorName, http2StreamErrors, type Http2CodecError } from './codec/http2/errors.ts';
export { http2Stats, type Http2Stats } from './codec/http2/http2-stats.ts';
export type { Http2CodecOptions } from './codec/http2/options.ts';
export { Http2ServerConnection, type Http2RequestHandler } from './codec/http2/server-connection.ts';
export type { Http2ServerStream } from './codec/http2/server-stream.ts';
export { Http2ClientConnection, type Http2ClientOwner } from './codec/http2/client-connection.ts';
export type { Http2ClientStream } from './codec/http2/client-stream.ts';
export { HttpConnectionManager, type HttpDeps, type RouteHolder } from './http/connection-manager.ts';
export { DrainPace, type DrainStrategy } from './http/drain-pace.ts';
export { HttpSession } from './http/http-session.ts';
export { sendAsync, type AsyncAnswer, type AsyncCall, type AsyncFailure, type AsyncPort, type AsyncRequest } from './http/async-request.ts';
export { callGrpc, type GrpcCall, type GrpcFailure } from './http/grpc-call.ts';
export { compileGrpcService, metadataOf, type GrpcTarget } from './http/grpc-service.ts';
export { tracerExtensions } from './tracing/providers.ts';
export type { SpanExporter } from './tracing/span-exporter.ts';
export { OverloadState, type Pressures } from './overload/overload-state.ts';
export { RequestIds } from './http/request-id.ts';
export { filterExtensions, httpFilterFactory, httpFilters, networkFilterFactory, networkFilters } from './filters/registry.ts';
export { Balancer, emptyHostSet, healthOf, Host, HostStore, keepPassing, newHostState, plainPick, type BalanceParts, type HostLists, type HostSet, type LbStat, type LocalZone, type HostState, type PickContext, type Picker } from './balance/index.ts';
export { ClusterChecker } from './resilience/health-check/cluster-checker.ts';
export type { HealthCheckStats } from './resilience/health-check/host-checker.ts';
export { createProbe, type CheckTransport } from './resilience/health-check/create-probe.ts';
export { ClusterWord, HostRows } from './resilience/host-rows.ts';
export { OutlierDetector, type OutlierParts } from './resilience/outlier-detector.ts';
export { GuardedConnection } from './filters/network/guarded-connection.ts';
export { TcpStats } from './filters/network/tcp-proxy/tcp-stats.ts';
export { tcpLogsOnTheWay } from './filters/network/tcp-proxy/tcp-logs.ts';
export { TcpSession, type TcpSessionOptions } from './filters/network/tcp-proxy/tcp-session.ts';
export { fileAccessLoggers, type FileAccessLogConfig, type LineSink } from './access-log/index.ts';
export { grpcAccessLogExtensions, parseSinkKey, sinkKey, type GrpcAccessLogConfig } from './reports/grpc-access-log.ts';
export { isOtelAccessLog, otelAccessLoggers, type OtelAccessLogConfig } from './reports/otel-access-log.ts';
export { OtelLogExporter } from './reports/otel-log-exporter.ts';
export { httpAccessLogEntry, peerMetadataKey, tcpAccessLogEntry } from './reports/access-log-entry.ts';
export type { JwtConfig } from './filters/http/jwt-authn/settings.ts';
export { applyClaims, jwtMetadata } from './filters/http/jwt-authn/effects.ts';
export type { Requirement as JwtRequirement } from './filters/http/jwt-authn/requirement.ts';
export type { Provider as JwtProvider } from './filters/http/jwt-authn/provider.ts';
export type { ExtAuthzConfig } from './filters/http/ext-authz/settings.ts';
export type { FaultConfig } from './filters/http/fault/fault-config.ts';
export type { AccessRules } from './filters/http/rbac/access-check.ts';
