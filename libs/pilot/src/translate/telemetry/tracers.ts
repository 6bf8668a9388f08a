import type { ExtensionProvider, OpenTelemetryTracing, ProviderHeader, ProxyConfig, ZipkinTracing } from '@meltemi/config';
import { HeaderValue, HeaderValueOption, HeaderValueOption_HeaderAppendAction as Append } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import { OpenTelemetryConfig } from '@meltemi/api/gen/envoy/config/trace/v3/opentelemetry.ts';
import type { Tracing_Http } from '@meltemi/api/gen/envoy/config/trace/v3/http_tracer.ts';
import { ZipkinConfig, ZipkinConfig_CollectorEndpointVersion as ZipkinVersion } from '@meltemi/api/gen/envoy/config/trace/v3/zipkin.ts';
import { EnvironmentResourceDetectorConfig } from '@meltemi/api/gen/envoy/extensions/tracers/opentelemetry/resource_detectors/v3/environment_resource_detector.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { create, createAny, duration, envoyGrpc } from '../message.ts';
import { providerCluster, type ProviderCluster } from './providers.ts';

/** Where spans go. */
export interface Tracer {
  /** Absent: where the proxy's bootstrap says. */
  readonly provider?: Tracing_Http;
  readonly spawnUpstreamSpan: boolean;
  /** 0: the proxy's default. */
  readonly maxTagLength: number;
}

/** The tracer of an extension provider; undefined when it has none that is known here, or its service is not in the mesh. Source: Istio's tracing.go. */
export function configuredTracer(push: PushContext, proxy: Proxy, provider: ExtensionProvider): Tracer | undefined {
  const spawnUpstreamSpan = proxy.type === 'router';
  const { zipkin, opentelemetry } = provider;
  const settings = zipkin ?? opentelemetry;
  const target = settings && providerCluster(push, settings);
  if (!settings || !target) return undefined;
  return { provider: zipkin ? zipkinProvider(target, zipkin) : otelProvider(target, settings as OpenTelemetryTracing, proxy), spawnUpstreamSpan, maxTagLength: settings.maxTagLength };
}

/** The Zipkin collector of defaultConfig.tracing (or the older zipkinAddress), when it is a service of the mesh. */
export function legacyTracer(push: PushContext, proxy: Proxy, config: ProxyConfig): Tracer | undefined {
  const address = config.tracing?.zipkin?.address ?? config.zipkinAddress;
  const colon = address.lastIndexOf(':');
  const target = colon < 0 ? undefined : providerCluster(push, { service: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
  return target && { provider: zipkinProvider(target, { path: '', enable64bitTraceId: false }), spawnUpstreamSpan: proxy.type === 'router', maxTagLength: 0 };
}

function zipkinProvider({ cluster, hostname }: ProviderCluster, { path, enable64bitTraceId }: Pick<ZipkinTracing, 'path' | 'enable64bitTraceId'>): Tracing_Http {
  const config = createAny('envoy.config.trace.v3.ZipkinConfig', ZipkinConfig, {
    collectorCluster: cluster,
    collectorEndpoint: path || '/api/v2/spans',
    collectorHostname: hostname,
    collectorEndpointVersion: ZipkinVersion.HTTP_JSON,
    traceId128bit: !enable64bitTraceId,
    sharedSpanContext: false,
  });
  return provider('envoy.tracers.zipkin', config);
}

function otelProvider({ cluster, hostname }: ProviderCluster, { http, grpc, resourceDetectors, serviceAttributeEnrichment }: OpenTelemetryTracing, proxy: Proxy): Tracing_Http {
  const bySemantics = serviceAttributeEnrichment === 'OTEL_SEMANTIC_CONVENTIONS';
  const exporter: Partial<OpenTelemetryConfig> = http
    ? {
        httpService: {
          httpUri: { uri: joined(hostname, http.path), httpUpstreamType: { $case: 'cluster', value: cluster }, timeout: duration(http.timeout ?? defaultHttpTimeoutMs) },
          requestHeadersToAdd: http.headers.map((header) => create(HeaderValueOption, { header: headerValue(header), appendAction: Append.OVERWRITE_IF_EXISTS_OR_ADD })),
        },
      }
    : { grpcService: { ...envoyGrpc(cluster, hostname), ...(grpc?.timeout === undefined ? {} : { timeout: duration(grpc.timeout) }), initialMetadata: (grpc?.initialMetadata ?? []).map(headerValue) } };
  const config = createAny('envoy.config.trace.v3.OpenTelemetryConfig', OpenTelemetryConfig, {
    ...exporter,
    serviceName: bySemantics ? semanticName(proxy) : proxy.cluster,
    resourceDetectors: resourceDetectors?.environment || bySemantics ? [environmentDetector()] : [],
  });
  return provider('envoy.tracers.opentelemetry', config);
}

/** Istio's documented default. */
const defaultHttpTimeoutMs = 3000;

function joined(host: string, path: string): string {
  return path.startsWith('/') ? `${host}${path}` : `${host}/${path}`;
}

/** Deviation: a header from an environment variable is empty; Istio reads istiod's environment, which says nothing here. */
function headerValue({ name, value }: ProviderHeader): HeaderValue {
  return create(HeaderValue, { key: name, value: value ?? '' });
}

function environmentDetector(): TypedExtensionConfig {
  const typedConfig = createAny('envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig', EnvironmentResourceDetectorConfig, {});
  return create(TypedExtensionConfig, { name: 'envoy.tracers.opentelemetry.resource_detectors.environment', typedConfig });
}

/** OpenTelemetry's order of where a service's name is from. */
function semanticName({ labels, metadata, name }: Proxy): string {
  const workload = metadata['WORKLOAD_NAME'];
  return labels['app.kubernetes.io/instance'] || labels['app.kubernetes.io/name'] || (typeof workload === 'string' ? workload : '') || name.split('.')[0] || 'unknown_service';
}

function provider(name: string, value: Any): Tracing_Http {
  return { name, configType: { $case: 'typedConfig', value } };
}
