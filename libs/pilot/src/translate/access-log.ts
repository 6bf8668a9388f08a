import type { EnvoyAls, EnvoyFileAccessLog, EnvoyOtelAls, EnvoyTcpAls, ExtensionProvider } from '@meltemi/config';
import { AccessLog, AccessLogFilter, AndFilter, ResponseFlagFilter } from '@meltemi/api/gen/envoy/config/accesslog/v3/accesslog.ts';
import { ApiVersion } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import { DataSource } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { SubstitutionFormatString } from '@meltemi/api/gen/envoy/config/core/v3/substitution_format_string.ts';
import { ExpressionFilter } from '@meltemi/api/gen/envoy/extensions/access_loggers/filters/cel/v3/cel.ts';
import { OpenTelemetryAccessLogConfig } from '@meltemi/api/gen/envoy/extensions/access_loggers/open_telemetry/v3/logs_service.ts';
import { FileAccessLog } from '@meltemi/api/gen/envoy/extensions/access_loggers/file/v3/file.ts';
import { AnyValue, KeyValue } from '@meltemi/api/gen/opentelemetry/proto/common/v1/common.ts';
import { CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig } from '@meltemi/api/gen/envoy/extensions/access_loggers/grpc/v3/als.ts';
import { celReason } from '@meltemi/match';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { appliedTelemetry } from '../push-context/telemetry.ts';
import { tracePrincipals } from './features/decision-trace.ts';
import type { Direction } from './features/feature.ts';
import { create, createAny, envoyGrpc, typed } from './message.ts';
import { loggingProviders, type ProviderLogging } from './telemetry/logging.ts';
import { providerCluster, providerNamed } from './telemetry/providers.ts';

/** Istio's default line. Source: telemetry_logging.go. */
const defaultText =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% ' +
  '%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

const defaultJson: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};

/** What the filters left about both ends, for the receiver to name them. */
const filterStates: readonly string[] = ['wasm.upstream_peer', 'wasm.upstream_peer_id', 'wasm.downstream_peer', 'wasm.downstream_peer_id', 'upstream_peer', 'downstream_peer'];

/** The bootstrap's own cluster, when the receiver is not a service of the mesh. Source: Istio. */
const bootstrapReceiver = 'envoy_accesslog_service';

const grpcTypes = 'envoy.extensions.access_loggers.grpc.v3.';

/** Whose logs, of which traffic. */
export interface LogContext {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly direction: Direction;
}

/** The loggers that Telemetry and the default providers ask for; when they say nothing, those of MeshConfig: its file and its log service. */
export function accessLogs({ push, proxy, direction }: LogContext, protocol: 'http' | 'tcp', of: 'http' | 'tcp' | 'listener' = protocol): AccessLog[] {
  const { mesh } = push;
  const providers = loggingProviders(mesh, appliedTelemetry(push, proxy).logging, direction === 'inbound' ? 'SERVER' : 'CLIENT');
  const logs = providers?.flatMap((logging) => providerLogs(push, proxy, logging, protocol));
  // as in Istio: providers that cannot be made say nothing, those that are disabled do
  if (logs && (logs.length > 0 || providers?.some(({ disabled }) => disabled))) return logs;
  return [
    ...(mesh.accessLogFile === '' ? [] : [fileLog(mesh.accessLogFile, meshFormat(push))]),
    ...(mesh.enableEnvoyAccessLogService ? [grpcLog(protocol, { cluster: serviceCluster(push, accessLogAddress(push)), logName: `${of}_envoy_accesslog`, settings: undefined })] : []),
  ];
}

/** The loggers of a listener itself, for connections that no filter chain takes: nothing behind it logs those. */
export function listenerAccessLogs(context: LogContext): AccessLog[] {
  if (context.push.mesh.disableEnvoyListenerLog) return [];
  return accessLogs(context, 'tcp', 'listener').map((log) => create(AccessLog, { ...log, filter: log.filter ? bothOf(noFilterChain, log.filter) : noFilterChain }));
}

const noFilterChain = create(AccessLogFilter, { filterSpecifier: { $case: 'responseFlagFilter', value: create(ResponseFlagFilter, { flags: ['NR'] }) } });

function bothOf(...filters: AccessLogFilter[]): AccessLogFilter {
  return create(AccessLogFilter, { filterSpecifier: { $case: 'andFilter', value: create(AndFilter, { filters }) } });
}

function providerLogs(push: PushContext, proxy: Proxy, { name, disabled, filter }: ProviderLogging, protocol: 'http' | 'tcp'): AccessLog[] {
  const provider = disabled ? undefined : providerNamed(push.mesh, name);
  const log = provider && providerLog(push, provider, protocol);
  if (!log) return [];
  // our proxy would refuse an expression it cannot run: everything is logged then
  const usable = filter !== undefined && (!proxy.meltemi || celReason(filter) === undefined);
  return [usable ? { ...log, filter: expressionFilter(filter) } : log];
}

function expressionFilter(expression: string): AccessLogFilter {
  const config = createAny('envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter', ExpressionFilter, { expression });
  return create(AccessLogFilter, { filterSpecifier: { $case: 'extensionFilter', value: typed('envoy.access_loggers.extension_filters.cel', config) } });
}

function meshFormat({ mesh }: PushContext): SubstitutionFormatString {
  // where callers may ask what was decided, the default formats tell the log, too
  const told = mesh.defaultConfig.proxyMetadata[tracePrincipals] ? '%DYNAMIC_METADATA(meltemi:trace)%' : '';
  if (mesh.accessLogEncoding === 'TEXT') return textFormat(mesh.accessLogFormat !== '' ? mesh.accessLogFormat : told === '' ? defaultText : `${defaultText.trimEnd()} ${told}\n`);
  return jsonFormat(parsedFormat(mesh.accessLogFormat) ?? (told === '' ? defaultJson : { ...defaultJson, meltemi_trace: told }));
}

/** A JSON format that is not JSON is answered with the default, as Istio does. */
function parsedFormat(text: string): Readonly<Record<string, unknown>> | undefined {
  if (text === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function providerLog(push: PushContext, provider: ExtensionProvider, protocol: 'http' | 'tcp'): AccessLog | undefined {
  if (provider.envoyFileAccessLog) return fileLog(provider.envoyFileAccessLog.path || '/dev/stdout', providerFormat(push, provider.name, provider.envoyFileAccessLog));
  if (provider.envoyOtelAls) return otelLog(push, provider.envoyOtelAls);
  const als = protocol === 'http' ? provider.envoyHttpAls : provider.envoyTcpAls;
  if (!als) return undefined;
  return grpcLog(protocol, { cluster: serviceCluster(push, { host: als.service, port: als.port }), logName: als.logName || `${protocol}_envoy_accesslog`, settings: als });
}

/** The provider "envoy" follows MeshConfig's format unless it has its own. */
function providerFormat(push: PushContext, name: string, { logFormat, omitEmptyValues }: EnvoyFileAccessLog): SubstitutionFormatString {
  if (name === 'envoy' && !logFormat && !omitEmptyValues) return meshFormat(push);
  const format = logFormat?.labels ? jsonFormat(logFormat.labels) : textFormat(logFormat?.text || defaultText);
  return { ...format, omitEmptyValues };
}

function fileLog(path: string, logFormat: SubstitutionFormatString): AccessLog {
  const config = createAny('envoy.extensions.access_loggers.file.v3.FileAccessLog', FileAccessLog, { path, accessLogFormat: { $case: 'logFormat', value: logFormat } });
  return create(AccessLog, typed('envoy.access_loggers.file', config));
}

function textFormat(text: string): SubstitutionFormatString {
  const line = text.endsWith('\n') ? text : `${text}\n`;
  return create(SubstitutionFormatString, { format: { $case: 'textFormatSource', value: create(DataSource, { specifier: { $case: 'inlineString', value: line } }) } });
}

function jsonFormat(labels: Readonly<Record<string, unknown>>): SubstitutionFormatString {
  return create(SubstitutionFormatString, { format: { $case: 'jsonFormat', value: { ...labels } } });
}

function otelLog(push: PushContext, provider: EnvoyOtelAls): AccessLog | undefined {
  const target = providerCluster(push, provider);
  if (!target) return undefined;
  const text = (value: unknown): AnyValue => create(AnyValue, { value: { $case: 'stringValue', value: typeof value === 'string' ? value : '' } });
  const labels = Object.entries(provider.logFormat?.labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const config = createAny('envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig', OpenTelemetryAccessLogConfig, {
    commonConfig: create(CommonGrpcAccessLogConfig, { logName: provider.logName || 'otel_envoy_accesslog', grpcService: envoyGrpc(target.cluster, target.hostname), transportApiVersion: ApiVersion.V3 }),
    disableBuiltinLabels: true,
    body: text(provider.logFormat?.text || defaultText),
    ...(labels.length > 0 ? { attributes: { values: labels.map(([key, value]) => create(KeyValue, { key, value: text(value) })) } } : {}),
  });
  return create(AccessLog, typed('envoy.access_loggers.open_telemetry', config));
}

function grpcLog(protocol: 'http' | 'tcp', options: { readonly cluster: string; readonly logName: string; readonly settings: EnvoyTcpAls | EnvoyAls | undefined }): AccessLog {
  const { settings } = options;
  const commonConfig = create(CommonGrpcAccessLogConfig, {
    logName: options.logName,
    grpcService: envoyGrpc(options.cluster),
    transportApiVersion: ApiVersion.V3,
    filterStateObjectsToLog: settings && settings.filterStateObjectsToLog.length > 0 ? [...settings.filterStateObjectsToLog] : [...filterStates],
  });
  if (protocol === 'tcp') return create(AccessLog, typed('envoy.access_loggers.tcp_grpc', createAny(`${grpcTypes}TcpGrpcAccessLogConfig`, TcpGrpcAccessLogConfig, { commonConfig })));
  const config = createAny(`${grpcTypes}HttpGrpcAccessLogConfig`, HttpGrpcAccessLogConfig, {
    commonConfig,
    ...(settings && 'additionalRequestHeadersToLog' in settings && additionalToLog(settings)),
  });
  return create(AccessLog, typed('envoy.access_loggers.http_grpc', config));
}

function additionalToLog({ additionalRequestHeadersToLog, additionalResponseHeadersToLog, additionalResponseTrailersToLog }: EnvoyAls): Pick<HttpGrpcAccessLogConfig, 'additionalRequestHeadersToLog' | 'additionalResponseHeadersToLog' | 'additionalResponseTrailersToLog'> {
  return {
    additionalRequestHeadersToLog: [...additionalRequestHeadersToLog],
    additionalResponseHeadersToLog: [...additionalResponseHeadersToLog],
    additionalResponseTrailersToLog: [...additionalResponseTrailersToLog],
  };
}

/** defaultConfig.envoyAccessLogService.address, "host:port". */
function accessLogAddress({ mesh }: PushContext): { readonly host: string; readonly port: number } {
  const text = mesh.defaultConfig.envoyAccessLogService?.address ?? '';
  const colon = text.lastIndexOf(':');
  return colon < 0 ? { host: text, port: 0 } : { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

function serviceCluster(push: PushContext, { host, port }: { readonly host: string; readonly port: number }): string {
  return providerCluster(push, { service: host, port })?.cluster ?? bootstrapReceiver;
}
