import type { Exception, KindExceptions } from './exception.ts';

const refused = (consequence: string, ...names: readonly string[]): Exception[] => names.map((name) => ({ path: `defaultConfig.${name}`, support: 'refused', consequence }));

/** ProxyConfig inside MeshConfig: much of it is for Istio's injector and agent. */
export const proxyExceptions: readonly KindExceptions[] = [
  {
    group: 'mesh.istio.io',
    kinds: ['MeshConfig'],
    fields: [
      ...refused('is for Istio’s agent, which starts Envoy; here the proxy is started with its own flags', 'configPath', 'binaryPath', 'customConfigFile', 'proxyBootstrapTemplatePath', 'discoveryRefreshDelay', 'proxyAdminPort', 'statusPort', 'runtimeValues', 'controlPlaneAuthPolicy', 'availabilityZone', 'statNameLength'),
      ...refused('is for the injector, which there is none of: set it where the proxy is started', 'interceptionMode', 'image', 'holdApplicationUntilProxyStarts'),
      ...['discoveryAddress', 'concurrency', 'drainDuration', 'terminationDrainDuration', 'proxyMetadata', 'meshId'].map((name): Exception => ({ path: `defaultConfig.${name}`, support: 'approximated', consequence: 'counts where a proxy starts: `meltemi workload entry configure` writes it for machines outside of Kubernetes' })),
      { path: 'defaultConfig.readinessProbe', support: 'approximated', consequence: 'is run by proxies that are started with it (metadata PROXY_CONFIG), not by what pilot’s MeshConfig says' },
      ...refused('has no effect: proxies serve every statistic', 'proxyStatsMatcher', 'extraStatTags', 'statsCompression'),
      ...refused('has no effect: metrics are asked for, not sent', 'statsdUdpAddress', 'envoyMetricsServiceAddress', 'envoyMetricsService'),
      ...refused('has no effect: logs are written every second', 'fileFlushInterval', 'fileFlushMinSizeKb'),
      ...refused('has no effect: proxies trust the roots that citadel gives them', 'caCertificatesPem'),
      ...refused('has no effect: keys are used in software', 'privateKeyProvider'),
      ...refused('has no effect: the proxy’s certificates come from citadel', 'sds'),
      ...refused('nothing reads it yet: Istio’s defaults hold', 'tracingServiceName'),
      ...refused('has no tracer in our proxy: spans go to Zipkin or, by Telemetry, to OpenTelemetry collectors', 'tracing.datadog', 'tracing.lightstep', 'tracing.stackdriver', 'tracing.openCensusAgent'),
      ...refused('has no effect: the collector is called as the mesh calls its own', 'tracing.tlsSettings'),
      ...refused('has no effect: connections are limited by the overload manager of a bootstrap', 'connectionSettings.listenerConnectionLimit', 'connectionSettings.globalDownstreamConnectionLimit'),
      { path: 'defaultConfig.envoyAccessLogService.tlsSettings', support: 'refused', consequence: 'has no effect: the service is called as the mesh calls its own' },
      { path: 'defaultConfig.envoyAccessLogService.tcpKeepalive', support: 'refused', consequence: 'has no effect: the service is called as the mesh calls its own' },
    ],
  },
];
