import type {
  ClientTlsSettings,
  ConnectionPoolSettings,
  LocalityLoadBalancerSetting,
  OutlierDetection,
  TcpKeepalive,
  ZoneAwareLoadBalancerSetting,
} from '../destination-rule/types.ts';
import type { ReadinessProbe } from '../readiness-probe.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { ExtensionProvider } from './extension-provider.ts';
import type { ForwardClientCert, ProxyHeaders } from './proxy-headers.ts';
import type { ProxyTracing } from './proxy-tracing.ts';
import type { CertificateData, ConfigSource, ExternalCa, PrivateKeyProvider, RemoteService, ServiceEntryVisibility, ServiceScopeConfig } from './seldom.ts';
import type { DurationMs, LabelSelector, StringMap, Struct } from '../types.ts';
import type { HttpRetry } from '../virtual-service/types.ts';

/** Istio's MeshConfig with its documented defaults filled in (so a plain scalar here holds Istio's default, not proto3's zero). */
export interface MeshConfigSpec {
  /** Default 15001. */
  readonly proxyListenPort: number;
  /** Default 15006. */
  readonly proxyInboundListenPort: number;
  /** 0: no HTTP proxy port. */
  readonly proxyHttpPort: number;
  /** Default 10 s. */
  readonly connectTimeout: DurationMs;
  readonly hboneIdleTimeout?: DurationMs;
  /** Default 0: no timeout. */
  readonly protocolDetectionTimeout: DurationMs;
  readonly tcpKeepalive?: TcpKeepalive;
  readonly ingressClass: string;
  readonly ingressService: string;
  readonly ingressControllerMode: 'UNSPECIFIED' | 'OFF' | 'DEFAULT' | 'STRICT';
  readonly ingressSelector: string;
  readonly enableTracing: boolean;
  /** "" logs nothing. */
  readonly accessLogFile: string;
  readonly accessLogFormat: string;
  readonly accessLogEncoding: 'TEXT' | 'JSON';
  readonly enableEnvoyAccessLogService: boolean;
  readonly disableEnvoyListenerLog: boolean;
  readonly defaultConfig: ProxyConfig;
  /** Default ALLOW_ANY. */
  readonly outboundTrafficPolicy: { readonly mode: 'REGISTRY_ONLY' | 'ALLOW_ANY' | 'ALLOW_ANY_DYNAMIC_DNS'; readonly tls?: ClientTlsSettings };
  readonly inboundTrafficPolicy: { readonly mode: 'PASSTHROUGH' | 'LOCALHOST' };
  readonly configSources: readonly ConfigSource[];
  /** Default true. */
  readonly enableAutoMtls: boolean;
  /** Default cluster.local. */
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly caCertificates: readonly CertificateData[];
  /** Default ["*"]. */
  readonly defaultServiceExportTo: readonly string[];
  readonly defaultVirtualServiceExportTo: readonly string[];
  readonly defaultDestinationRuleExportTo: readonly string[];
  /** Default istio-system. */
  readonly rootNamespace: string;
  readonly localityLbSetting?: LocalityLoadBalancerSetting;
  readonly zoneAwareLbSetting?: ZoneAwareLoadBalancerSetting;
  /** Default 60 s. */
  readonly dnsRefreshRate: DurationMs;
  readonly h2UpgradePolicy: 'DO_NOT_UPGRADE' | 'UPGRADE';
  readonly inboundClusterStatName: string;
  readonly outboundClusterStatName: string;
  readonly certificates: readonly { readonly secretName: string; readonly dnsNames: readonly string[] }[];
  readonly serviceSettings: readonly ServiceSettings[];
  readonly serviceScopeConfigs: readonly ServiceScopeConfig[];
  readonly enablePrometheusMerge: boolean;
  readonly verifyCertificateAtClient?: boolean;
  readonly ca?: ExternalCa;
  readonly extensionProviders: readonly ExtensionProvider[];
  readonly defaultProviders: DefaultProviders;
  readonly discoverySelectors: readonly LabelSelector[];
  readonly pathNormalization: { readonly normalization: PathNormalization };
  readonly defaultHttpRetryPolicy?: HttpRetry;
  readonly defaultInboundHttpRetryPolicy?: HttpRetry;
  readonly meshMTLS?: MeshTlsConfig;
  readonly tlsDefaults?: MeshTlsConfig;
  readonly defaultTrafficPolicy?: { readonly connectionPool?: ConnectionPoolSettings; readonly outlierDetection?: OutlierDetection };
  readonly serviceEntryVisibility?: ServiceEntryVisibility;
}

export type PathNormalization = 'DEFAULT' | 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

export interface ServiceSettings {
  readonly settings?: { readonly clusterLocal: boolean };
  readonly hosts: readonly string[];
}

export interface DefaultProviders {
  readonly tracing: readonly string[];
  readonly metrics: readonly string[];
  readonly accessLogging: readonly string[];
}

export interface MeshTlsConfig {
  readonly minProtocolVersion: 'TLS_AUTO' | 'TLSV1_2' | 'TLSV1_3';
  readonly ecdhCurves: readonly string[];
  readonly cipherSuites: readonly string[];
}

/** MeshConfig.defaultConfig, and the annotation proxy.istio.io/config. */
export interface ProxyConfig {
  readonly configPath: string;
  readonly binaryPath: string;
  readonly serviceCluster?: string;
  readonly tracingServiceName?: 'APP_LABEL_AND_NAMESPACE' | 'CANONICAL_NAME_ONLY' | 'CANONICAL_NAME_AND_NAMESPACE';
  /** Default 45 s. */
  readonly drainDuration: DurationMs;
  readonly discoveryAddress: string;
  readonly discoveryRefreshDelay?: DurationMs;
  readonly zipkinAddress: string;
  readonly statsdUdpAddress: string;
  readonly envoyMetricsServiceAddress: string;
  /** Default 15000. */
  readonly proxyAdminPort: number;
  readonly availabilityZone: string;
  readonly controlPlaneAuthPolicy: 'NONE' | 'MUTUAL_TLS' | 'INHERIT';
  readonly customConfigFile: string;
  readonly statNameLength: number;
  readonly concurrency?: number;
  readonly proxyBootstrapTemplatePath: string;
  readonly interceptionMode: 'REDIRECT' | 'TPROXY' | 'NONE';
  readonly tracing?: ProxyTracing;
  readonly sds?: { readonly enabled: boolean; readonly k8sSaJwtPath: string };
  readonly envoyAccessLogService?: RemoteService;
  readonly envoyMetricsService?: RemoteService;
  readonly proxyMetadata: StringMap;
  readonly runtimeValues: StringMap;
  /** Default 15020. */
  readonly statusPort: number;
  readonly extraStatTags: readonly string[];
  readonly gatewayTopology?: GatewayTopology;
  /** Default 5 s. */
  /** Undefined: as the proxy's flags say. */
  readonly terminationDrainDuration?: DurationMs;
  readonly meshId: string;
  readonly readinessProbe?: ReadinessProbe;
  readonly proxyStatsMatcher?: { readonly inclusionPrefixes: readonly string[]; readonly inclusionSuffixes: readonly string[]; readonly inclusionRegexps: readonly string[] };
  readonly holdApplicationUntilProxyStarts?: boolean;
  readonly caCertificatesPem: readonly string[];
  readonly image?: { readonly imageType: string };
  readonly privateKeyProvider?: PrivateKeyProvider;
  readonly proxyHeaders?: ProxyHeaders;
  readonly fileFlushInterval?: DurationMs;
  readonly fileFlushMinSizeKb: number;
  readonly statsCompression?: boolean;
  readonly connectionSettings?: ConnectionSettings;
}

export interface GatewayTopology {
  readonly numTrustedProxies: number;
  readonly forwardClientCertDetails: ForwardClientCert;
  readonly proxyProtocol?: Struct;
}
