import type { Exception, KindExceptions } from './exception.ts';

const refused = (consequence: string, ...paths: readonly string[]): Exception[] => paths.map((path) => ({ path, support: 'refused', consequence }));

/** MeshConfig and MeshNetworks; the proxies' part of MeshConfig is in exceptions-proxy.ts. */
export const meshExceptions: readonly KindExceptions[] = [
  {
    group: 'mesh.istio.io',
    kinds: ['MeshConfig'],
    fields: [
      ...refused('has no effect: there is no ambient mode, so no HBONE', 'hboneIdleTimeout'),
      ...refused('has no effect: give pilot its sources as flags (--manifests, --store)', 'configSources'),
      ...refused('has no effect: proxies trust the roots that citadel gives them', 'verifyCertificateAtClient'),
      { path: 'caCertificates', support: 'approximated', consequence: 'counts for the trust domains it names, through citadel --mesh-config; without trustDomains it has no effect' },
      ...refused('has no effect: certificates come from citadel', 'caCertificates[].certSigners'),
      ...refused('has no effect: certificates come from citadel', 'ca', 'certificates'),
      ...refused('has no effect: statistics have Envoy’s names', 'inboundClusterStatName', 'outboundClusterStatName'),
      ...refused('has no effect: every service is of one cluster', 'serviceSettings', 'serviceScopeConfigs'),
      ...refused('has no effect: proxies serve their metrics, applications their own', 'enablePrometheusMerge'),
      ...refused('has no effect: exportTo alone decides', 'serviceEntryVisibility'),
      ...refused('has no effect: requests that arrive are not retried', 'defaultInboundHttpRetryPolicy'),
      ...refused('has no effect, as in Istio: use consecutive5xxErrors', 'defaultTrafficPolicy.outlierDetection.consecutiveErrors'),
      ...refused('has no effect: applications are called on the address they listen on', 'inboundTrafficPolicy'),
      ...refused('nothing reads it: its tracer has been given up', 'extensionProviders[].lightstep', 'extensionProviders[].opencensus', 'extensionProviders[].stackdriver'),
      ...refused('has no tracer in our proxy: spans go to Zipkin or OpenTelemetry collectors', 'extensionProviders[].datadog', 'extensionProviders[].skywalking'),
      ...refused('has no effect: the collector is sent what Envoy sends by itself', 'extensionProviders[].zipkin.timeout', 'extensionProviders[].zipkin.headers'),
      ...refused('has no effect: spans are not sampled or described by Dynatrace', 'extensionProviders[].opentelemetry.dynatraceSampler', 'extensionProviders[].opentelemetry.resourceDetectors.dynatrace'),
      { path: 'extensionProviders[].zipkin.traceContextOption', support: 'refused', values: ['USE_B3_WITH_W3C_PROPAGATION'], consequence: 'has no effect: contexts are passed on in B3 headers alone' },
      { path: '**.headers[].envName', support: 'approximated', consequence: 'leaves the header empty: no environment is read' },
      { path: '**.initialMetadata[].envName', support: 'approximated', consequence: 'leaves the header empty: no environment is read' },
      ...refused('nothing reads it: secrets come from files and from the mesh’s own objects', 'extensionProviders[].sds'),
    ],
  },
  {
    group: 'mesh.istio.io',
    kinds: ['MeshNetworks'],
    fields: [
      ...refused('has no effect, as in Istio: a gateway stands where the endpoints are that it stands for', 'networks{}.gateways[].locality'),
    ],
  },
];
