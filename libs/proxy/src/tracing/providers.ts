import { OpenTelemetryConfig } from '@meltemi/api/gen/envoy/config/trace/v3/opentelemetry.ts';
import { ZipkinConfig } from '@meltemi/api/gen/envoy/config/trace/v3/zipkin.ts';
import type { HttpService } from '@meltemi/api/gen/envoy/config/core/v3/http_service.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import { StaticConfigResourceDetectorConfig } from '@meltemi/api/gen/envoy/extensions/tracers/opentelemetry/resource_detectors/v3/static_config_resource_detector.ts';
import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import { durationMs } from '@meltemi/route';
import type { Extension, ParseContext } from '@meltemi/snapshot';
import { compileGrpcService, type GrpcTarget } from '../http/grpc-service.ts';

/** Where spans go, and in which words. */
export type TracerProvider = ZipkinProvider | OtlpProvider;

export interface ZipkinProvider {
  readonly kind: 'zipkin';
  readonly cluster: string;
  readonly path: string;
  readonly authority: string;
  readonly traceId128: boolean;
  /** A server's span has its client's id. */
  readonly shared: boolean;
  /** Every request has a server span and a client span of its own. */
  readonly split: boolean;
}

export interface OtlpProvider {
  readonly kind: 'opentelemetry';
  /** Null: contexts are passed on, spans go nowhere. */
  readonly exporter: { readonly kind: 'grpc'; readonly target: GrpcTarget } | ({ readonly kind: 'http' } & OtlpHttpTarget) | null;
  readonly serviceName: string;
  /** Resource attributes besides the service's name; `environment` adds OTEL_RESOURCE_ATTRIBUTES. */
  readonly attributes: readonly (readonly [string, string])[];
  readonly readsEnvironment: boolean;
  /** Every trace is sampled, whatever was decided. */
  readonly alwaysOn: boolean;
}

export interface OtlpHttpTarget {
  readonly cluster: string;
  readonly authority: string;
  readonly path: string;
  readonly timeoutMs: number;
  readonly headers: readonly (readonly [string, string])[];
}

const configs = 'type.googleapis.com/envoy.config.trace.v3';
const otel = 'type.googleapis.com/envoy.extensions.tracers.opentelemetry';
const defaultTimeoutMs = 5000;

/** The tracing providers of this proxy. */
export const tracerExtensions: ReadonlyMap<string, Extension> = new Map<string, Extension>([
  [`${configs}.ZipkinConfig`, { parse: parseZipkin }],
  [`${configs}.OpenTelemetryConfig`, { parse: parseOtlp }],
  ...['OpenCensusConfig', 'DatadogConfig', 'LightstepConfig', 'SkyWalkingConfig', 'XRayConfig', 'DynamicOtConfig', 'TraceServiceConfig'].map((name): [string, Extension] => [
    `${configs}.${name}`, { parse: (_bytes, ctx) => fail(ctx.path, `${name} is not supported: use OpenTelemetryConfig or ZipkinConfig`) },
  ]),
]);

function parseZipkin(bytes: Uint8Array, { path }: ParseContext): Result<ZipkinProvider> {
  const message = ZipkinConfig.decode(bytes);
  const errors: FieldError[] = [];
  if (message.collectorCluster === '') errors.push({ path: `${path}.collector_cluster`, message: 'is required' });
  if (message.collectorEndpoint === '') errors.push({ path: `${path}.collector_endpoint`, message: 'is required, like /api/v2/spans' });
  if (message.collectorEndpointVersion !== 1) errors.push({ path: `${path}.collector_endpoint_version`, message: 'only HTTP_JSON is supported' });
  if (errors.length > 0) return err(errors);
  return ok({
    kind: 'zipkin', cluster: message.collectorCluster, path: message.collectorEndpoint, authority: message.collectorHostname || message.collectorCluster,
    traceId128: message.traceId128bit, shared: message.sharedSpanContext ?? true, split: message.splitSpansForRequest,
  });
}

function parseOtlp(bytes: Uint8Array, ctx: ParseContext): Result<OtlpProvider> {
  const message = OpenTelemetryConfig.decode(bytes);
  const { path } = ctx;
  if (message.grpcService && message.httpService) return fail(path, 'only one of grpc_service and http_service may be set');
  const exporter = message.httpService ? httpTarget(message.httpService, `${path}.http_service`) : message.grpcService ? grpcTarget(message, ctx) : ok(null);
  if (!exporter.ok) return exporter;
  const resources = detectors(message.resourceDetectors, `${path}.resource_detectors`);
  if (!resources.ok) return resources;
  const sampler = message.sampler?.typedConfig?.typeUrl;
  if (sampler !== undefined && sampler !== `${otel}.samplers.v3.AlwaysOnSamplerConfig`) return fail(`${path}.sampler`, `${sampler} is not supported: leave it out, or use AlwaysOnSamplerConfig`);
  return ok({ kind: 'opentelemetry', exporter: exporter.value, serviceName: message.serviceName || 'unknown_service:envoy', ...resources.value, alwaysOn: sampler !== undefined });
}

function grpcTarget(message: OpenTelemetryConfig, ctx: ParseContext): Result<OtlpProvider['exporter']> {
  const target = compileGrpcService(message.grpcService, defaultTimeoutMs, { path: `${ctx.path}.grpc_service`, warn: (path, reason) => ctx.warn(path, reason) });
  return target.ok ? ok({ kind: 'grpc', target: target.value }) : target;
}

function httpTarget(service: HttpService, path: string): Result<OtlpProvider['exporter']> {
  const uri = service.httpUri;
  const cluster = uri?.httpUpstreamType?.value ?? '';
  if (!uri || cluster === '') return fail(`${path}.http_uri.cluster`, 'is required');
  const [, authority, rest] = /^(?:https?:\/\/)?([^/?]*)(.*)$/.exec(uri.uri) ?? [];
  const headers = service.requestHeadersToAdd.map(({ header }): [string, string] => [(header?.key ?? '').toLowerCase(), header?.value ?? '']);
  if (headers.some(([name]) => name === '' || name.startsWith(':') || name === 'host')) return fail(`${path}.request_headers_to_add`, 'a name is missing, or is one that only the proxy sets');
  return ok({ kind: 'http', cluster, authority: authority || cluster, path: rest?.startsWith('/') === true ? rest : `/${rest ?? ''}`, timeoutMs: durationMs(uri.timeout, 0) || defaultTimeoutMs, headers });
}

function detectors(list: readonly TypedExtensionConfig[], path: string): Result<Pick<OtlpProvider, 'attributes' | 'readsEnvironment'>> {
  const attributes: [string, string][] = [];
  let readsEnvironment = false;
  for (const [i, { typedConfig }] of list.entries()) {
    const name = typedConfig?.typeUrl.replace(`${otel}.resource_detectors.v3.`, '') ?? '';
    if (name === 'EnvironmentResourceDetectorConfig') readsEnvironment = true;
    else if (name === 'StaticConfigResourceDetectorConfig' && typedConfig) attributes.push(...Object.entries(StaticConfigResourceDetectorConfig.decode(typedConfig.value).attributes));
    else return fail(`${path}[${i}]`, `${name} is not supported: use EnvironmentResourceDetectorConfig or StaticConfigResourceDetectorConfig`);
  }
  return ok({ attributes, readsEnvironment });
}
