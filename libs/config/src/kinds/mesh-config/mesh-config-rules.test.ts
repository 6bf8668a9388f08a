import { table } from '../../testing/verdict.ts';
import { meshConfig } from './kind.ts';

const proxy = (fields: string): string => `{defaultConfig: {${fields}}}`;
const provider = (fields: string): string => `{extensionProviders: [{name: p, ${fields}}]}`;

table(meshConfig, {
  good: [
    ['a proxy with everything in place', proxy('discoveryAddress: "istiod.istio-system.svc:15012", tracing: {zipkin: {address: "$(HOST_IP):9411"}, sampling: 100, customTags: {a: {literal: {value: b}}}}, drainDuration: 45s, proxyHeaders: {server: {disabled: true}, forwardedClientCert: SANITIZE}, gatewayTopology: {numTrustedProxies: 1, proxyProtocol: {}}')],
    ['an IPv6 address of pilot', proxy('discoveryAddress: "[2001:db8::1]:15012"')],
    ['edge limits', proxy('connectionSettings: {profile: EDGE, httpIdleTimeout: 0s, http2InitialStreamWindowSize: 65535, httpMergeSlashes: true, httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_REJECT_REQUEST}')],
    ['OpenTelemetry over HTTP', provider('opentelemetry: {service: otel.monitoring.svc.cluster.local, port: 4318, http: {path: /v1/traces, timeout: 5s, headers: [{name: a, envName: TOKEN}]}, resourceDetectors: {environment: {}}}')],
    ['OpenTelemetry over gRPC', provider('opentelemetry: {service: monitoring/otel.example.com, port: 4317, grpc: {initialMetadata: [{name: a, value: b}]}}')],
    ['Zipkin', provider('zipkin: {service: zipkin.istio-system.svc.cluster.local, port: 9411, enable64bitTraceId: true, traceContextOption: USE_B3_WITH_W3C_PROPAGATION}')],
    ['records over OpenTelemetry', provider('envoyOtelAls: {service: otel.example.com, port: 4317, logFormat: {text: a, labels: {b: c}}}')],
    ['both locality settings', '{localityLbSetting: {enabled: true}, zoneAwareLbSetting: {enabled: true}}'],
    ['selectors', '{discoverySelectors: [{matchLabels: {istio: "on"}}], serviceScopeConfigs: [{servicesSelector: {matchExpressions: [{key: a, operator: Exists}]}, scope: GLOBAL}], serviceEntryVisibility: {defaultVisibility: NAMESPACE}}'],
  ],
  bad: [
    ['an address without port', proxy('discoveryAddress: istiod'), 'spec.defaultConfig.discoveryAddress', /host:port/],
    ['a tracer at port 0', proxy('tracing: {zipkin: {address: "zipkin:0"}}'), 'spec.defaultConfig.tracing.zipkin.address', /65535/],
    ['a tracer nowhere', proxy('tracing: {datadog: {}}'), 'spec.defaultConfig.tracing.datadog.address', /required/],
    ['two tracers', proxy('tracing: {zipkin: {address: "a:1"}, datadog: {address: "a:1"}}'), 'spec.defaultConfig.tracing', /only one of/],
    ['sampling of 101 %', proxy('tracing: {sampling: 101}'), 'spec.defaultConfig.tracing.sampling', /100/],
    ['draining for half a second', proxy('drainDuration: 1500ms'), 'spec.defaultConfig.drainDuration', /whole seconds/],
    ['an inherited policy', proxy('controlPlaneAuthPolicy: INHERIT'), 'spec.defaultConfig.controlPlaneAuthPolicy', /MUTUAL_TLS/],
    ['names of both sorts', proxy('serviceCluster: a, tracingServiceName: CANONICAL_NAME_ONLY'), 'spec.defaultConfig', /only one of/],
    ['an accelerator that never polls', proxy('privateKeyProvider: {qat: {pollDelay: 0s}}'), 'spec.defaultConfig.privateKeyProvider.qat.pollDelay', /0/],
    ['an accelerator without delay', proxy('privateKeyProvider: {cryptomb: {}}'), 'spec.defaultConfig.privateKeyProvider.cryptomb.pollDelay', /required/],
    ['no accelerator', proxy('privateKeyProvider: {}'), 'spec.defaultConfig.privateKeyProvider', /one of/],
    ['a window below 64 KiB', proxy('connectionSettings: {http2InitialStreamWindowSize: 1000}'), 'spec.defaultConfig.connectionSettings.http2InitialStreamWindowSize', /65535/],
    ['no streams', proxy('connectionSettings: {httpMaxConcurrentStreams: 0}'), 'spec.defaultConfig.connectionSettings.httpMaxConcurrentStreams', /range 1/],
    ['a negative timeout', proxy('connectionSettings: {httpIdleTimeout: -1s}'), 'spec.defaultConfig.connectionSettings.httpIdleTimeout', /at least 0ms/],
    ['curves inside the mesh', '{meshMTLS: {ecdhCurves: [P-256]}}', 'spec.meshMTLS.ecdhCurves', /tlsDefaults/],
    ['a back-off without attempts', '{defaultInboundHttpRetryPolicy: {attempts: 0, backoff: 1s}}', 'spec.defaultInboundHttpRetryPolicy.backoff', /attempts is 0/],
    ['a negative pool', '{defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: -1}}}}', 'spec.defaultTrafficPolicy.connectionPool.tcp.maxConnections', /negative/],
    ['an empty trust domain', '{trustDomain: ""}', 'spec.trustDomain', /trust domain/],
    ['an external CA with a number', '{ca: {address: 5}}', 'spec.ca.address', /a string/],
  ],
  warns: [
    ['a misspelt header', proxy('proxyHeaders: {requestID: {disabled: true}}'), 'spec.defaultConfig.proxyHeaders.requestID', /did you mean "requestId"/],
    ['a header of two values', provider('zipkin: {service: a, port: 1, headers: [{name: a, value: b, envName: c}]}'), 'spec.extensionProviders[0].zipkin.headers[0]', /only one of/],
    ['a provider’s unknown field', provider('zipkin: {service: a, port: 1, sampling: 5}'), 'spec.extensionProviders[0].zipkin.sampling', /unknown field/],
    ['a provider of a service that is none', provider('zipkin: {service: "a b", port: 1}'), 'spec.extensionProviders[0].zipkin.service', /cannot be used/],
    ['a provider twice', '{extensionProviders: [{name: a, prometheus: {}}, {name: a, prometheus: {}}]}', 'spec.extensionProviders[1].name', /never used/],
    ['OpenTelemetry over both', provider('opentelemetry: {service: a, port: 1, http: {path: /}, grpc: {}}'), 'spec.extensionProviders[0].opentelemetry.grpc', /beside http/],
    ['a curve nobody knows', '{tlsDefaults: {ecdhCurves: [P-1]}}', 'spec.tlsDefaults.ecdhCurves[0]', /not a curve/],
    ['a curve twice', '{tlsDefaults: {ecdhCurves: [P-256, P-256]}}', 'spec.tlsDefaults.ecdhCurves[1]', /already/],
    ['the old way to give addresses', proxy('proxyMetadata: {ISTIO_META_DNS_AUTO_ALLOCATE: "true"}'), 'spec.defaultConfig.proxyMetadata.ISTIO_META_DNS_AUTO_ALLOCATE', /deprecated/],
    ['a per-try timeout of requests that arrive', '{defaultInboundHttpRetryPolicy: {attempts: 1, perTryTimeout: 1s}}', 'spec.defaultInboundHttpRetryPolicy.perTryTimeout', /no effect/],
  ],
});
