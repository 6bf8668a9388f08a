export { keyText, type ConfigKey, type ObjectMeta, type RawObject, type Config } from './object.ts';
export type {
  DurationMs,
  Struct,
  StringMap,
  StringMatch,
  Percent,
  PortSelector,
  Destination,
  WorkloadSelector,
  MatchLabelsSelector,
  LabelSelector,
  LabelSelectorRequirement,
} from './kinds/types.ts';
export type {
  EnvoyFilterSpec,
  EnvoyConfigObjectPatch,
  EnvoyApplyTo,
  EnvoyPatchOperation,
  EnvoyPatchContext,
  EnvoyPatch,
  EnvoyConfigObjectMatch,
  EnvoyProxyMatch,
  EnvoyListenerMatch,
  EnvoyFilterChainMatch,
  EnvoyFilterNameMatch,
  EnvoyRouteConfigurationMatch,
  EnvoyVirtualHostMatch,
  EnvoyClusterMatch,
} from './kinds/envoy-filter/types.ts';
export type {
  TelemetrySpec,
  WorkloadMode,
  ProviderRef,
  TelemetryTracing,
  TracingCustomTag,
  TelemetryMetrics,
  MetricsOverride,
  TagOverride,
  IstioMetric,
  TelemetryAccessLogging,
} from './kinds/telemetry/types.ts';
export { readPatchValue, patchedMessages, type PatchValue } from './kinds/envoy-filter/patch-value.ts';
export { currentFilterName } from './kinds/envoy-filter/filter-names.ts';
export type {
  VirtualServiceSpec,
  HttpRoute,
  Delegate,
  Headers,
  HeaderOperations,
  HttpMatchRequest,
  HttpRouteDestination,
  RouteDestination,
  TlsRoute,
  TcpRoute,
  TlsMatchAttributes,
  L4MatchAttributes,
  HttpRedirect,
  HttpDirectResponse,
  HttpBody,
  HttpRewrite,
  RegexRewrite,
  HttpRetry,
  CorsPolicy,
  HttpFaultInjection,
  FaultDelay,
  FaultAbort,
  HttpMirrorPolicy,
} from './kinds/virtual-service/types.ts';
export type {
  DestinationRuleSpec,
  Subset,
  TrafficPolicy,
  PortTrafficPolicy,
  TunnelSettings,
  RetryBudget,
  SimpleLb,
  LoadBalancerSettings,
  ConsistentHashLb,
  HttpCookie,
  WarmupConfiguration,
  LocalityLoadBalancerSetting,
  LocalityDistribute,
  LocalityFailover,
  ZoneAwareLoadBalancerSetting,
  ConnectionPoolSettings,
  TcpSettings,
  TcpKeepalive,
  HttpSettings,
  OutlierDetection,
  ClientTlsMode,
  ClientTlsSettings,
} from './kinds/destination-rule/types.ts';
export type {
  GatewaySpec,
  Server,
  Port,
  ServerTlsMode,
  TlsProtocol,
  ServerTlsSettings,
  TlsCertificate,
} from './kinds/gateway/types.ts';
export type {
  ServiceEntryResolution,
  ServiceEntrySpec,
  ServiceEntryPort,
} from './kinds/service-entry/types.ts';
export type {
  WorkloadEntrySpec,
} from './kinds/workload-entry/types.ts';
export type {
  SidecarSpec,
  CaptureMode,
  IstioIngressListener,
  IstioEgressListener,
  SidecarOutboundTrafficPolicy,
} from './kinds/sidecar/types.ts';
export type {
  PeerAuthenticationSpec,
  MutualTlsMode,
  MutualTls,
} from './kinds/peer-authentication/types.ts';
export type {
  MeshConfigSpec,
  PathNormalization,
  ServiceSettings,
  DefaultProviders,
  MeshTlsConfig,
  ProxyConfig,
  GatewayTopology,
} from './kinds/mesh-config/types.ts';
export type { ExtensionProvider, EnvoyFileAccessLog, EnvoyAls, EnvoyTcpAls, EnvoyOtelAls, SdsProvider } from './kinds/mesh-config/extension-provider.ts';
export type { ProviderService, ProviderHeader, ProviderHttpService, ZipkinTracing, OpenTelemetryTracing, DatadogTracing, SkyWalkingTracing, LightstepTracing } from './kinds/mesh-config/tracing-provider.ts';
export type { ProxyTracing, ProxyCustomTag } from './kinds/mesh-config/proxy-tracing.ts';
export type { ProxyHeaders, ClientCertDetails, ForwardClientCert } from './kinds/mesh-config/proxy-headers.ts';
export type { ConnectionSettings } from './kinds/mesh-config/connection-settings.ts';
export type { CertificateData, RemoteService, ServiceEntryVisibility, ServiceScopeConfig } from './kinds/mesh-config/seldom.ts';
export type {
  KubeServiceSpec,
  KubeServicePort,
} from './kinds/kubernetes/service/types.ts';
export type {
  EndpointsSpec,
  EndpointsSubset,
  EndpointAddress,
  EndpointPort,
  ObjectReference,
} from './kinds/kubernetes/endpoints/types.ts';
export type {
  EndpointSliceSpec,
  SliceEndpoint,
} from './kinds/kubernetes/endpoint-slice/types.ts';
export type {
  PodSpec,
  PodContainer,
  ContainerPort,
  PodStatus,
} from './kinds/kubernetes/pod/types.ts';
export type {
  DeploymentSpec,
  PodTemplate,
} from './kinds/kubernetes/deployment/types.ts';
export type {
  NamespaceSpec,
} from './kinds/kubernetes/namespace/types.ts';
export type {
  ServiceAccountSpec,
} from './kinds/kubernetes/service-account/types.ts';
export type {
  ConfigMapSpec,
} from './kinds/kubernetes/config-map/types.ts';
export {
  defaultStoreLimits,
  matchesFilter,
  type ConfigStore,
  type StoreLimits,
  type StoredObject,
  type StoreFilter,
  type StoreList,
  type UnreadableValue,
  type Expectation,
  type StoreWrite,
  type CommitDone,
  type Conflict,
  type StoreError,
  type WatchOptions,
  type StoreEvent,
  type StatusRecord,
  type StatusUpdate,
  type StatusStore,
  type StatusEvent,
} from './store/config-store.ts';
export { problemText, type ConfigSource, type SourceEvent, type SourceLocation, type SourceProblem } from './store/config-source.ts';
export { mergeSources, type MergedEvent, type MergeOptions, type Origin } from './store/merge-sources.ts';
export { memoryConfigStore, type MemoryStoreOptions } from './store/memory-store.ts';
export { RevisionStore, maxQueuedWrites, type RevisionStoreOptions, type Journal, type JournalRecord, type StoreContents } from './store/revision-store.ts';
export type { LeasedValues, LeasedEvent } from './store/leased-values.ts';
export { statusLeasedValues, type StatusLeasedValuesOptions } from './store/status-leased-values.ts';
export { sealWrites, sealStatus, conflictsOf, conflictError, stampObject, storedObject, keyProblem, deepFreeze, type SealedWrite } from './store/seal.ts';
export { difference, type Change, type Entry } from './store/change-log.ts';
export type {
  AuthorizationPolicySpec,
  AuthorizationRule,
  AuthorizationSource,
  AuthorizationOperation,
  AuthorizationCondition,
} from './kinds/authorization-policy/types.ts';
export type { ParentReference, BackendObjectReference, BackendRef, NamespacedReference, LocalObjectReference } from './kinds/gateway-api/references.ts';
export type { HttpRouteFilter, GrpcRouteFilter, HeaderModifier, PathModifier, RequestRedirect, UrlRewrite, RequestMirror, CorsFilter } from './kinds/gateway-api/filters.ts';
export type { HttpRouteSpec, HttpRouteRule, HttpRouteMatch, ValueMatch, HttpBackendRef, HttpRouteTimeouts, HttpRouteRetry } from './kinds/gateway-api/http-route/types.ts';
export type { GrpcRouteSpec, GrpcRouteRule, GrpcRouteMatch, GrpcMethodMatch, GrpcBackendRef } from './kinds/gateway-api/grpc-route/types.ts';
export type { TcpRouteSpec, TlsRouteSpec, L4RouteRule } from './kinds/gateway-api/l4-route/types.ts';
export type { KubeGatewaySpec, GatewayListenerSpec, ListenerTls, RouteNamespaces, RouteGroupKind, GatewayAddress, GatewayTls, FrontendTls, GatewayClassSpec, ListenerSetSpec } from './kinds/gateway-api/gateway/types.ts';
export type { ReferenceGrantSpec } from './kinds/gateway-api/reference-grant/kind.ts';
export type { BackendTlsPolicySpec, BackendTlsValidation, PolicyTargetReference } from './kinds/gateway-api/backend-tls-policy/kind.ts';
export type { IngressSpec, IngressRule, IngressPath, IngressBackend, IngressTls, IngressClassSpec } from './kinds/kubernetes/ingress/types.ts';
export type { SecretSpec } from './kinds/kubernetes/secret/kind.ts';
export { secretValues, type SecretBytes } from './kinds/kubernetes/secret/values.ts';
export { gatewayApiGroup } from './kinds/gateway-api/group.ts';
export type { TargetReference, TargetedPolicy } from './kinds/targeted-policy.ts';
export type { RequestAuthenticationSpec, JwtRule, JwtHeader, ClaimToHeader } from './kinds/request-authentication/types.ts';
export type { ExtAuthzGrpcProvider, ExtAuthzHttpProvider, ExtAuthzRequestBody } from './kinds/mesh-config/ext-authz-provider.ts';
export type { ConfigKind } from './kinds/kind.ts';
export { kinds, findKind, kindByAlias, isOfKind } from './kinds/registry.ts';
export { virtualService } from './kinds/virtual-service/kind.ts';
export { destinationRule } from './kinds/destination-rule/kind.ts';
export { gateway } from './kinds/gateway/kind.ts';
export { serviceEntry } from './kinds/service-entry/kind.ts';
export { workloadEntry } from './kinds/workload-entry/kind.ts';
export { sidecar } from './kinds/sidecar/kind.ts';
export { peerAuthentication } from './kinds/peer-authentication/kind.ts';
export { meshConfig } from './kinds/mesh-config/kind.ts';
export { meshNetworks } from './kinds/mesh-networks/kind.ts';
export type { MeshNetworksSpec, Network, NetworkEndpoints, NetworkGateway } from './kinds/mesh-networks/types.ts';
export type { ProxyConfigSpec } from './kinds/proxy-config/kind.ts';
export { overlaidProxyConfig } from './kinds/mesh-config/overlay.ts';
export { meshConfigAmong, type FoundMeshConfig } from './kinds/mesh-config/among.ts';
export { defaultMeshConfig, meshConfigFrom, meshNetworksFrom } from './kinds/mesh-config/read.ts';
export { kubeService } from './kinds/kubernetes/service/kind.ts';
export { endpoints } from './kinds/kubernetes/endpoints/kind.ts';
export { endpointSlice } from './kinds/kubernetes/endpoint-slice/kind.ts';
export { pod } from './kinds/kubernetes/pod/kind.ts';
export { deployment } from './kinds/kubernetes/deployment/kind.ts';
export { namespace } from './kinds/kubernetes/namespace/kind.ts';
export { serviceAccount } from './kinds/kubernetes/service-account/kind.ts';
export { configMap } from './kinds/kubernetes/config-map/kind.ts';
export { authorizationPolicy } from './kinds/authorization-policy/kind.ts';
export { requestAuthentication } from './kinds/request-authentication/kind.ts';
export { toRawObject, groupOwner, splitApiVersion, type GroupOwner } from './envelope.ts';
export { decode, type Decoded } from './decode.ts';
export { parseYamlDocuments, type ParsedDocument, type LocatedError } from './documents/parse.ts';
export type { Position } from './documents/locate.ts';
export { validateDocuments, type ValidateEntry } from './documents/validate.ts';
export { isCipherSuite } from './kinds/gateway/cipher-suites.ts';
export { isRe2, regexReason } from './rules/regex.ts';
export { fieldSupport, supportedKinds, exceptionsOf, covers, type FieldSupport } from './support/support.ts';
export type { Exception, Support } from './support/exception.ts';
export { migrationReport, templateConsequence, type MigrationReport, type MigratedObject, type MigratedField, type Classification } from './support/migrate.ts';
export { usedFields, type UsedField } from './support/used.ts';
export { isMeant } from './support/check.ts';
export { customResourceDefinition, kindsWithDefinition, type CustomResourceDefinition } from './crd/definition.ts';
export { jsonSchemaBreaches } from './crd/json-schema.ts';
export type { OpenApiSchema } from './crd/schema.ts';
export { list, map, object, stringMap, strings, struct } from './schema/containers.ts';
export { int, oneOf, string } from './schema/scalars.ts';
export { optional, required, withDefault, type Schema } from './schema/schema.ts';
export { byNamespace, labelIndex, selectorIndex, type LabelIndex, type SelectorIndex } from './labels/label-index.ts';
export { selects } from './labels/selects.ts';
