import { list, object, stringMap, struct } from '../../schema/containers.ts';
import { bool, duration, int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import type { DurationMs, StringMap, Struct } from '../types.ts';

/** Where spans (or log records) go: "host" or "namespace/host", and the port of that service. */
export interface ProviderService {
  readonly service: string;
  readonly port: number;
}

/** A header to send along; exactly one of the values is set. */
export interface ProviderHeader {
  readonly name: string;
  readonly value?: string;
  /** An environment variable of the proxy that holds the value. */
  readonly envName?: string;
}

export interface ZipkinTracing extends ProviderService {
  /** 0: 256. */
  readonly maxTagLength: number;
  readonly enable64bitTraceId: boolean;
  /** "" is /api/v2/spans. */
  readonly path: string;
  readonly traceContextOption: 'USE_B3' | 'USE_B3_WITH_W3C_PROPAGATION';
  readonly timeout?: DurationMs;
  readonly headers: readonly ProviderHeader[];
}

export interface OpenTelemetryTracing extends ProviderService {
  readonly maxTagLength: number;
  /** Absent: gRPC. */
  readonly http?: ProviderHttpService;
  readonly grpc?: { readonly timeout?: DurationMs; readonly initialMetadata: readonly ProviderHeader[] };
  readonly resourceDetectors?: { readonly environment?: Struct; readonly dynatrace?: Struct };
  readonly serviceAttributeEnrichment: 'ISTIO_CANONICAL' | 'OTEL_SEMANTIC_CONVENTIONS';
  readonly dynatraceSampler?: DynatraceSampler;
}

export interface ProviderHttpService {
  readonly path: string;
  readonly timeout?: DurationMs;
  readonly headers: readonly ProviderHeader[];
}

export interface DynatraceSampler {
  readonly tenant: string;
  readonly clusterId: number;
  readonly rootSpansPerMinute: number;
  readonly httpService?: ProviderService & { readonly http?: ProviderHttpService };
}

export interface DatadogTracing extends ProviderService {
  readonly maxTagLength: number;
}

export interface SkyWalkingTracing extends ProviderService {
  readonly accessToken: string;
}

export interface LightstepTracing extends DatadogTracing {
  readonly accessToken: string;
}

export interface OpenCensusTracing extends DatadogTracing {
  readonly context: readonly (typeof traceContexts)[number][];
}

export interface StackdriverProvider {
  readonly debug: boolean;
  readonly maxNumberOfAttributes?: number;
  readonly maxNumberOfAnnotations?: number;
  readonly maxNumberOfMessageEvents?: number;
  readonly maxTagLength: number;
  readonly logging?: { readonly labels: StringMap };
}

export const providerService = { service: required(string({ minLength: 1 })), port: required(int('uint32', { min: 1, max: 65_535 })) };

const header = object<ProviderHeader>({ name: string(), value: optional(string()), envName: optional(string()) }, { oneofs: [{ keys: ['value', 'envName'] }] });

const httpService = object<ProviderHttpService>({ path: string(), timeout: optional(duration()), headers: list(header) });

export const zipkin = object<ZipkinTracing>({
  ...providerService,
  maxTagLength: int('uint32'),
  enable64bitTraceId: bool(),
  path: string(),
  traceContextOption: oneOf(['USE_B3', 'USE_B3_WITH_W3C_PROPAGATION']),
  timeout: optional(duration()),
  headers: list(header),
});

export const opentelemetry = object<OpenTelemetryTracing>({
  ...providerService,
  maxTagLength: int('uint32'),
  http: optional(httpService),
  grpc: optional(object<NonNullable<OpenTelemetryTracing['grpc']>>({ timeout: optional(duration()), initialMetadata: list(header) })),
  resourceDetectors: optional(object<NonNullable<OpenTelemetryTracing['resourceDetectors']>>({ environment: optional(struct()), dynatrace: optional(struct()) })),
  serviceAttributeEnrichment: oneOf(['ISTIO_CANONICAL', 'OTEL_SEMANTIC_CONVENTIONS']),
  dynatraceSampler: optional(
    object<DynatraceSampler>({
      tenant: string(),
      clusterId: int('int32'),
      rootSpansPerMinute: int('uint32'),
      httpService: optional(object<NonNullable<DynatraceSampler['httpService']>>({ ...providerService, http: optional(httpService) })),
    }),
  ),
});

export const datadog = object<DatadogTracing>({ ...providerService, maxTagLength: int('uint32') });

export const skywalking = object<SkyWalkingTracing>({ ...providerService, accessToken: string() });

export const lightstep = object<LightstepTracing>({ ...providerService, maxTagLength: int('uint32'), accessToken: string() });

const traceContexts = ['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3'] as const;

/** Also of ProxyConfig.tracing. */
export const traceContext = list(oneOf(traceContexts));

export const opencensus = object<OpenCensusTracing>({ ...providerService, maxTagLength: int('uint32'), context: traceContext });

const count = optional(int('uint64'));

export const stackdriver = object<StackdriverProvider>({
  debug: bool(),
  maxNumberOfAttributes: count,
  maxNumberOfAnnotations: count,
  maxNumberOfMessageEvents: count,
  maxTagLength: int('uint32'),
  logging: optional(object<NonNullable<StackdriverProvider['logging']>>({ labels: stringMap() })),
});
