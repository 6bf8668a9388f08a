import type { AnyValue, KeyValue } from '@meltemi/api/gen/opentelemetry/proto/common/v1/common.ts';
import { OpenTelemetryAccessLogConfig } from '@meltemi/api/gen/envoy/extensions/access_loggers/open_telemetry/v3/logs_service.ts';
import type { LogRecord } from '@meltemi/api/gen/opentelemetry/proto/logs/v1/logs.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { compileFormat, fromWire, type FormatOptions, type StreamInfo } from '@meltemi/http';
import { durationMs } from '@meltemi/route';
import type { Extension, ParseContext } from '@meltemi/snapshot';
import { compileGrpcService, type GrpcTarget } from '../http/grpc-service.ts';
import type { NodeFacts } from '../node.ts';

/** An OpenTelemetry access log: where its records go, and what they say. */
export interface OtelAccessLogConfig {
  readonly target: GrpcTarget;
  readonly logName: string;
  /** Longest wait of a record for others; 1 s when unset, as in Envoy. */
  readonly flushMs: number;
  /** Bytes of records that are sent without waiting for more; 16 KiB when unset, 0 = each at once. */
  readonly bufferBytes: number;
  /** The resource has log_name, zone_name, cluster_name and node_name besides. */
  readonly builtInLabels: boolean;
  readonly resourceAttributes: readonly KeyValue[];
  readonly body: ValueFormat | null;
  readonly attributes: readonly { readonly key: string; readonly value: ValueFormat }[];
  /** "" or ends with a dot. */
  readonly statPrefix: string;
}

type ValueFormat = (info: StreamInfo) => AnyValue;

const typeUrl = 'type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig';
const defaultBufferBytes = 16_384;
/** A collector that takes longer loses the batch: as in Envoy no call is repeated. */
const defaultTimeoutMs = 5000;

/** Envoy's OpenTelemetry access logger, for the registry of extensions; `options` are for its formats. */
export function otelAccessLoggers(options: FormatOptions = {}): [string, Extension][] {
  return [[typeUrl, { parse: (bytes, ctx) => parse(bytes, ctx, options) }]];
}

export const isOtelAccessLog = (url: string): boolean => url === typeUrl;

function parse(bytes: Uint8Array, ctx: ParseContext, options: FormatOptions): Result<OtelAccessLogConfig> {
  const message = OpenTelemetryAccessLogConfig.decode(bytes);
  const common = message.commonConfig;
  const path = `${ctx.path}.common_config`;
  const errors: FieldError[] = [];
  if ((common?.logName ?? '') === '') errors.push({ path: `${path}.log_name`, message: 'is required' });
  const target = compileGrpcService(common?.grpcService, defaultTimeoutMs, { path: `${path}.grpc_service`, warn: (at, reason) => ctx.warn(at, reason) });
  if (!target.ok) errors.push(...target.error);
  if (common?.grpcStreamRetryPolicy !== undefined) ctx.warn(`${path}.grpc_stream_retry_policy`, 'records that are not taken are dropped and counted');
  if ((common?.filterStateObjectsToLog.length ?? 0) > 0) ctx.warn(`${path}.filter_state_objects_to_log`, 'filter state is not sent: name it in attributes');
  if ((common?.customTags.length ?? 0) > 0) ctx.warn(`${path}.custom_tags`, 'are not sent: name them in attributes');
  for (const [i, { typedConfig }] of message.formatters.entries())
    if (!knownFormatters.some((name) => typedConfig?.typeUrl.endsWith(name) === true)) errors.push({ path: `${ctx.path}.formatters[${i}]`, message: `${typedConfig?.typeUrl ?? 'an empty one'} is not supported: req_without_query and metadata are, and need no mention` });
  const body = message.body === undefined ? null : compileValue(message.body, `${ctx.path}.body`, options, errors);
  const attributes = (message.attributes?.values ?? []).map(({ key, value }) => ({ key, value: compileValue(value, `${ctx.path}.attributes["${key}"]`, options, errors) }));
  if (errors.length > 0 || !target.ok) return err(errors);
  return ok({
    target: target.value, logName: common?.logName ?? '', flushMs: durationMs(common?.bufferFlushInterval, 1000), bufferBytes: common?.bufferSizeBytes ?? defaultBufferBytes,
    builtInLabels: !message.disableBuiltinLabels, resourceAttributes: message.resourceAttributes?.values ?? [], body, attributes,
    statPrefix: message.statPrefix === '' ? '' : `${message.statPrefix}.`,
  });
}

const knownFormatters = ['envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery', 'envoy.extensions.formatter.metadata.v3.Metadata'];
const nothing: ValueFormat = () => ({});

/** Texts are formats; lists and maps of them keep their shape. */
function compileValue(value: AnyValue | undefined, path: string, options: FormatOptions, errors: FieldError[]): ValueFormat {
  const inner = value?.value;
  switch (inner?.$case) {
    case 'stringValue': {
      const format = compileFormat(inner.value, options);
      if (format.ok) return (info) => ({ value: { $case: 'stringValue', value: fromWire(format.value.format(info)) } });
      errors.push(...format.error.map(({ message }) => ({ path, message })));
      return nothing;
    }
    case 'arrayValue': {
      const values = inner.value.values.map((one, i) => compileValue(one, `${path}[${i}]`, options, errors));
      return (info) => ({ value: { $case: 'arrayValue', value: { values: values.map((one) => one(info)) } } });
    }
    case 'kvlistValue': {
      const values = inner.value.values.map(({ key, value: one }) => ({ key, format: compileValue(one, `${path}["${key}"]`, options, errors) }));
      return (info) => ({ value: { $case: 'kvlistValue', value: { values: values.map(({ key, format }) => ({ key, value: format(info) })) } } });
    }
    default:
      errors.push({ path, message: 'only texts, lists and maps of texts can be formatted' });
      return nothing;
  }
}

const noBytes = Buffer.alloc(0);

/** What a stream leaves in the log. */
export function otelLogRecord(config: OtelAccessLogConfig, info: StreamInfo): LogRecord {
  return {
    timeUnixNano: BigInt(Math.round(info.startTimeMs * 1000)) * 1000n,
    ...(config.body !== null && { body: config.body(info) }),
    attributes: config.attributes.map(({ key, value }) => ({ key, value: value(info) })),
    traceId: info.traceId === null ? noBytes : Buffer.from(info.traceId.padStart(32, '0'), 'hex'),
    spanId: info.spanId === null ? noBytes : Buffer.from(info.spanId, 'hex'),
  };
}

/** Whom the records speak of. */
export function otelResource({ builtInLabels, logName, resourceAttributes }: OtelAccessLogConfig, node: NodeFacts): KeyValue[] {
  const label = (key: string, value: string): KeyValue => ({ key, value: { value: { $case: 'stringValue', value } } });
  return [...(builtInLabels ? [label('log_name', logName), label('zone_name', node.locality.zone), label('cluster_name', node.cluster), label('node_name', node.id)] : []), ...resourceAttributes];
}
