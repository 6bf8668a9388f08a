import { object, strings, struct } from '../../schema/containers.ts';
import { bool, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import type { Struct } from '../types.ts';
import { extAuthzGrpc, extAuthzHttp, type ExtAuthzGrpcProvider, type ExtAuthzHttpProvider } from './ext-authz-provider.ts';
import * as tracing from './tracing-provider.ts';

/** One provider by name; exactly one of the others is set. */
export interface ExtensionProvider {
  readonly name: string;
  readonly prometheus?: Struct;
  readonly envoyFileAccessLog?: EnvoyFileAccessLog;
  readonly envoyHttpAls?: EnvoyAls;
  readonly envoyTcpAls?: EnvoyTcpAls;
  readonly envoyOtelAls?: EnvoyOtelAls;
  readonly envoyExtAuthzHttp?: ExtAuthzHttpProvider;
  readonly envoyExtAuthzGrpc?: ExtAuthzGrpcProvider;
  readonly zipkin?: tracing.ZipkinTracing;
  readonly opentelemetry?: tracing.OpenTelemetryTracing;
  readonly datadog?: tracing.DatadogTracing;
  readonly skywalking?: tracing.SkyWalkingTracing;
  readonly lightstep?: tracing.LightstepTracing;
  readonly opencensus?: tracing.OpenCensusTracing;
  readonly stackdriver?: tracing.StackdriverProvider;
  readonly sds?: SdsProvider;
}

/** `path` "" is /dev/stdout. */
export interface EnvoyFileAccessLog {
  readonly path: string;
  readonly logFormat?: { readonly text?: string; readonly labels?: Struct };
  readonly omitEmptyValues: boolean;
}

export interface EnvoyTcpAls extends tracing.ProviderService {
  readonly logName: string;
  readonly filterStateObjectsToLog: readonly string[];
}

export interface EnvoyAls extends EnvoyTcpAls {
  readonly additionalRequestHeadersToLog: readonly string[];
  readonly additionalResponseHeadersToLog: readonly string[];
  readonly additionalResponseTrailersToLog: readonly string[];
}

/** Log records to an OpenTelemetry collector; both parts of the format may be set. */
export interface EnvoyOtelAls extends tracing.ProviderService {
  readonly logName: string;
  readonly logFormat?: { readonly text: string; readonly labels?: Struct };
}

export interface SdsProvider extends tracing.ProviderService {
  readonly name: string;
}

const tcpAls = { ...tracing.providerService, logName: string(), filterStateObjectsToLog: strings() };

const httpAls = object<EnvoyAls>({
  ...tcpAls,
  additionalRequestHeadersToLog: strings(),
  additionalResponseHeadersToLog: strings(),
  additionalResponseTrailersToLog: strings(),
});

const fileLog = object<EnvoyFileAccessLog>({
  path: string(),
  logFormat: optional(
    object<NonNullable<EnvoyFileAccessLog['logFormat']>>({ text: optional(string()), labels: optional(struct()) }, { oneofs: [{ keys: ['text', 'labels'] }] }),
  ),
  omitEmptyValues: bool(),
});

const otelAls = object<EnvoyOtelAls>({
  ...tracing.providerService,
  logName: string(),
  logFormat: optional(object<NonNullable<EnvoyOtelAls['logFormat']>>({ text: string(), labels: optional(struct()) })),
});

const providers = {
  prometheus: optional(object<Struct>({})),
  envoyFileAccessLog: optional(fileLog),
  envoyHttpAls: optional(httpAls),
  envoyTcpAls: optional(object<EnvoyTcpAls>(tcpAls)),
  envoyOtelAls: optional(otelAls),
  envoyExtAuthzHttp: optional(extAuthzHttp),
  envoyExtAuthzGrpc: optional(extAuthzGrpc),
  zipkin: optional(tracing.zipkin),
  opentelemetry: optional(tracing.opentelemetry),
  datadog: optional(tracing.datadog),
  skywalking: optional(tracing.skywalking),
  lightstep: optional(tracing.lightstep),
  opencensus: optional(tracing.opencensus),
  stackdriver: optional(tracing.stackdriver),
  sds: optional(object<SdsProvider>({ ...tracing.providerService, name: string() })),
};

export const extensionProvider = object<ExtensionProvider>(
  { name: required(string({ minLength: 1 })), ...providers },
  { oneofs: [{ keys: Object.keys(providers), required: true }] },
);
