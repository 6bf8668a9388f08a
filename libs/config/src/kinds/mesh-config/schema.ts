import { list, object, strings } from '../../schema/containers.ts';
import { bool, duration, int, oneOf, string } from '../../schema/scalars.ts';
import { optional, withDefault } from '../../schema/schema.ts';
import { clientTls, connectionPool, localityLbSetting, outlierDetection, tcpKeepalive, zoneAwareLbSetting } from '../destination-rule/schema.ts';
import { labelSelector } from '../schema.ts';
import { retries } from '../virtual-service/schema.ts';
import { extensionProvider } from './extension-provider.ts';
import { proxyConfig } from './proxy-config.ts';
import { certificateData, configSource, dnsCertificate, externalCa, serviceEntryVisibility, serviceScopeConfig } from './seldom.ts';
import type * as mesh from './types.ts';

const tlsConfig = object<mesh.MeshTlsConfig>({ minProtocolVersion: oneOf(['TLS_AUTO', 'TLSV1_2', 'TLSV1_3']), ecdhCurves: strings(), cipherSuites: strings() });
const everyone = withDefault(strings(), ['*']);

/** Defaults: istio.io/istio pkg/config/mesh and the comments of mesh/v1alpha1/config.proto. */
export const schema = object<mesh.MeshConfigSpec>({
  proxyListenPort: withDefault(int('int32'), 15001),
  proxyInboundListenPort: withDefault(int('int32'), 15006),
  proxyHttpPort: int('int32'),
  connectTimeout: withDefault(duration(), 10_000),
  hboneIdleTimeout: optional(duration()),
  protocolDetectionTimeout: duration(),
  tcpKeepalive: optional(tcpKeepalive),
  ingressClass: withDefault(string(), 'istio'),
  ingressService: withDefault(string(), 'istio-ingressgateway'),
  ingressControllerMode: withDefault(oneOf(['UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT']), 'STRICT'),
  ingressSelector: withDefault(string(), 'ingressgateway'),
  enableTracing: withDefault(bool(), true),
  accessLogFile: string(),
  accessLogFormat: string(),
  accessLogEncoding: oneOf(['TEXT', 'JSON']),
  enableEnvoyAccessLogService: bool(),
  disableEnvoyListenerLog: bool(),
  defaultConfig: proxyConfig,
  outboundTrafficPolicy: object<mesh.MeshConfigSpec['outboundTrafficPolicy']>({
    mode: withDefault(oneOf(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']), 'ALLOW_ANY'),
    tls: optional(clientTls),
  }),
  inboundTrafficPolicy: object<mesh.MeshConfigSpec['inboundTrafficPolicy']>({ mode: oneOf(['PASSTHROUGH', 'LOCALHOST']) }),
  configSources: list(configSource),
  enableAutoMtls: withDefault(bool(), true),
  trustDomain: withDefault(string(), 'cluster.local'),
  trustDomainAliases: strings(),
  caCertificates: list(certificateData),
  defaultServiceExportTo: everyone,
  defaultVirtualServiceExportTo: everyone,
  defaultDestinationRuleExportTo: everyone,
  rootNamespace: withDefault(string(), 'istio-system'),
  localityLbSetting: optional(localityLbSetting),
  zoneAwareLbSetting: optional(zoneAwareLbSetting),
  dnsRefreshRate: withDefault(duration(), 60_000),
  h2UpgradePolicy: oneOf(['DO_NOT_UPGRADE', 'UPGRADE']),
  inboundClusterStatName: string(),
  outboundClusterStatName: string(),
  certificates: list(dnsCertificate),
  serviceSettings: list(
    object<mesh.ServiceSettings>({ settings: optional(object<{ readonly clusterLocal: boolean }>({ clusterLocal: bool() })), hosts: strings() }),
  ),
  serviceScopeConfigs: list(serviceScopeConfig),
  enablePrometheusMerge: withDefault(bool(), true),
  verifyCertificateAtClient: optional(bool()),
  ca: optional(externalCa),
  extensionProviders: list(extensionProvider),
  defaultProviders: object<mesh.DefaultProviders>({ tracing: strings(), metrics: strings(), accessLogging: strings() }),
  discoverySelectors: list(labelSelector),
  pathNormalization: object<mesh.MeshConfigSpec['pathNormalization']>({
    normalization: oneOf(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']),
  }),
  defaultHttpRetryPolicy: optional(retries),
  defaultInboundHttpRetryPolicy: optional(retries),
  meshMTLS: optional(tlsConfig),
  tlsDefaults: optional(tlsConfig),
  defaultTrafficPolicy: optional(
    object<NonNullable<mesh.MeshConfigSpec['defaultTrafficPolicy']>>({ connectionPool: optional(connectionPool), outlierDetection: optional(outlierDetection) }),
  ),
  serviceEntryVisibility: optional(serviceEntryVisibility),
});
