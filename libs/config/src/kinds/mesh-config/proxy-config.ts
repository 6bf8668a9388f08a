import { object, stringMap, strings } from '../../schema/containers.ts';
import { bool, duration, int, oneOf, string } from '../../schema/scalars.ts';
import { optional, withDefault } from '../../schema/schema.ts';
import { readinessProbe } from '../readiness-probe.ts';
import type { Struct } from '../types.ts';
import { connectionSettings } from './connection-settings.ts';
import { forwardClientCerts, proxyHeaders } from './proxy-headers.ts';
import { proxyTracing } from './proxy-tracing.ts';
import { privateKeyProvider, remoteService, sdsFlags } from './seldom.ts';
import type { GatewayTopology, ProxyConfig } from './types.ts';

const topology = object<GatewayTopology>({
  numTrustedProxies: int('uint32'),
  forwardClientCertDetails: oneOf(forwardClientCerts),
  proxyProtocol: optional(object<Struct>({})),
});

/** MeshConfig.defaultConfig, and the annotation proxy.istio.io/config. Defaults: mesh/v1alpha1/proxy.proto. */
export const proxyConfig = object<ProxyConfig>(
  {
    configPath: withDefault(string(), './etc/istio/proxy'),
    binaryPath: withDefault(string(), '/usr/local/bin/envoy'),
    serviceCluster: optional(string()),
    tracingServiceName: optional(oneOf(['APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE'])),
    drainDuration: withDefault(duration(), 45_000),
    discoveryAddress: string(),
    discoveryRefreshDelay: optional(duration()),
    zipkinAddress: string(),
    statsdUdpAddress: string(),
    envoyMetricsServiceAddress: string(),
    proxyAdminPort: withDefault(int('int32'), 15000),
    availabilityZone: string(),
    controlPlaneAuthPolicy: withDefault(oneOf(['NONE', 'MUTUAL_TLS', 'INHERIT']), 'MUTUAL_TLS'),
    customConfigFile: string(),
    statNameLength: withDefault(int('int32'), 189),
    concurrency: optional(int('int32', { min: 0 })),
    proxyBootstrapTemplatePath: string(),
    interceptionMode: oneOf(['REDIRECT', 'TPROXY', 'NONE']),
    tracing: optional(proxyTracing),
    sds: optional(sdsFlags),
    envoyAccessLogService: optional(remoteService),
    envoyMetricsService: optional(remoteService),
    proxyMetadata: stringMap(),
    runtimeValues: stringMap(),
    statusPort: withDefault(int('int32'), 15020),
    extraStatTags: strings(),
    gatewayTopology: optional(topology),
    terminationDrainDuration: optional(duration()),
    meshId: string(),
    readinessProbe: optional(readinessProbe),
    proxyStatsMatcher: optional(
      object<NonNullable<ProxyConfig['proxyStatsMatcher']>>({ inclusionPrefixes: strings(), inclusionSuffixes: strings(), inclusionRegexps: strings() }),
    ),
    holdApplicationUntilProxyStarts: optional(bool()),
    caCertificatesPem: strings(),
    image: optional(object<{ readonly imageType: string }>({ imageType: string() })),
    privateKeyProvider: optional(privateKeyProvider),
    proxyHeaders: optional(proxyHeaders),
    fileFlushInterval: optional(duration()),
    fileFlushMinSizeKb: withDefault(int('uint32'), 64),
    statsCompression: optional(bool()),
    connectionSettings: optional(connectionSettings),
  },
  { oneofs: [{ keys: ['serviceCluster', 'tracingServiceName'] }] },
);
