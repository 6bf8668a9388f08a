export type { Compiled, Extension, Extensions, HttpFilterExtension, ParseContext } from './extensions.ts';
export type {
  AccessLog, AccessLogFilter, ConnectionView, FilterChain, FilterChainMatcher, HcmConfig, Http1Options, Http2Options, HttpFilter, Listener,
  ListenerFilter, LocalReply, LocalReplyBody, LocalReplyMapper, NetworkFilter, PortPredicate, ProxyProtocolSettings, Scope, ScopedRoutes, SocketTarget, TableSource, TcpProxyConfig, TunnelingConfig, TlvSelection, TracingConfig, WeightedTarget,
} from './listener-types.ts';
export type {
  CircuitBreaker, Cluster, ConsistentHashing, DnsConfig, DynamicHostsConfig, Endpoint, EndpointHealthCheck, GrpcCheck, HealthCheck, HttpCheck, LbPolicy, LoadAssignment, Locality, LocalityEndpoints, MaglevPolicy, OutlierDetection,
  RingHashPolicy, SlowStart, StatusRange, SubsetConfig, SubsetSelector, TcpCheck, TransportSocketMatch, UpstreamHttp,
} from './cluster-types.ts';
export type { DownstreamTls, SanMatcher, Secret, SecretValue, Source, TlsCertificate, TlsCommon, TlsVersion, UpstreamTls, Validation } from './tls-types.ts';
export type { ApiSource, ConfigSource, GoogleTls, GrpcTarget, Reference, SourceSpec } from './config-source-types.ts';
export { compileApiSource, compileConfigSource } from './config-source.ts';
export { defaultHttp2 } from './http-options.ts';
export { compileFilterConfig, type FilterConfig } from './http-filters.ts';
export { compileScope } from './scoped-routes.ts';
export { compileListener } from './listener.ts';
export { compileRouteConfiguration } from './route-configuration.ts';
export { compileCluster } from './cluster.ts';
export { compileDnsCache } from './dynamic-forward-proxy.ts';
export { compileLoadAssignment } from './load-assignment.ts';
export { compileSecret } from './tls.ts';
export { compileSubstitution } from './local-reply.ts';
export { compileLogFilter } from './access-log.ts';
export { compileOverload, type OverloadActionConfig, type OverloadActionName, type OverloadConfig, type OverloadTrigger, type ScaledTimer } from './overload.ts';
export type { FieldDetector, ForwardedForDetector, IpDetector } from './ip-detection.ts';
