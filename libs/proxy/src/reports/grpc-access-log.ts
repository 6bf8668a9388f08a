import { HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig, type CommonGrpcAccessLogConfig } from '@meltemi/api/gen/envoy/extensions/access_loggers/grpc/v3/als.ts';
import { err, fail, ok, type Result } from '@meltemi/base';
import type { FormatOptions } from '@meltemi/http';
import { compileCustomTags, durationMs, Report, type CustomTag } from '@meltemi/route';
import type { Extension, ParseContext } from '@meltemi/snapshot';

/** A gRPC access log: which cluster takes the entries, under which name. */
export interface GrpcAccessLogConfig {
  readonly kind: 'http' | 'tcp';
  readonly logName: string;
  readonly clusterName: string;
  /** Longest time an entry waits before it is sent; Envoy's default is one second. */
  readonly flushMs: number;
  /** Bytes of entries that are sent without waiting for more; Envoy's default is 16 KiB, 0 = each at once. */
  readonly bufferBytes: number;
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  readonly responseTrailers: readonly string[];
  /** Names of filter state that entries carry. */
  readonly filterState: readonly string[];
  readonly customTags: readonly CustomTag[];
}

const defaultBufferBytes = 16_384;
const httpType = 'type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig';
const tcpType = 'type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig';

/** Envoy's gRPC access loggers, for the registry of extensions; `options` are for the formats of their tags. */
export function grpcAccessLoggers(options: FormatOptions = {}): [string, Extension][] {
  return [
    [httpType, {
      parse: (bytes, ctx) => {
        const message = HttpGrpcAccessLogConfig.decode(bytes);
        const shared = common('http', message.commonConfig, { ctx, options });
        if (!shared.ok) return shared;
        return ok({ ...shared.value, requestHeaders: lower(message.additionalRequestHeadersToLog), responseHeaders: lower(message.additionalResponseHeadersToLog), responseTrailers: lower(message.additionalResponseTrailersToLog) });
      },
    }],
    [tcpType, { parse: (bytes, ctx) => common('tcp', TcpGrpcAccessLogConfig.decode(bytes).commonConfig, { ctx, options }) }],
  ];
}

export const isGrpcAccessLog = (url: string): boolean => url === httpType || url === tcpType;

/** The sink key under which a worker hands its entries to the control thread. */
export function sinkKey(config: GrpcAccessLogConfig): string {
  return `${config.kind}|${config.clusterName}|${config.logName}`;
}

export function parseSinkKey(key: string): Pick<GrpcAccessLogConfig, 'kind' | 'clusterName' | 'logName'> {
  const [kind = '', ...rest] = key.split('|');
  return { kind: kind === 'tcp' ? 'tcp' : 'http', logName: rest.at(-1) ?? '', clusterName: rest.slice(0, -1).join('|') };
}

function common(kind: 'http' | 'tcp', config: CommonGrpcAccessLogConfig | undefined, { ctx, options }: { readonly ctx: ParseContext; readonly options: FormatOptions }): Result<GrpcAccessLogConfig> {
  const path = `${ctx.path}.common_config`;
  const service = config?.grpcService?.targetSpecifier;
  if (service?.$case !== 'envoyGrpc' || service.value.clusterName === '') return fail(`${path}.grpc_service`, 'needs envoy_grpc with a cluster_name: google_grpc is not supported');
  if ((config?.logName ?? '') === '') return fail(`${path}.log_name`, 'is required');
  if ((config?.grpcService?.initialMetadata.length ?? 0) > 0) ctx.warn(`${path}.grpc_service.initial_metadata`, 'is not sent');
  if (config?.grpcStreamRetryPolicy !== undefined) ctx.warn(`${path}.grpc_stream_retry_policy`, 'a stream that ends is opened again a second later, for ever');
  const report = new Report(options);
  const customTags = compileCustomTags(config?.customTags ?? [], `${path}.custom_tags`, report);
  if (report.errors.length > 0) return err(report.errors);
  return ok({
    kind, logName: config?.logName ?? '', clusterName: service.value.clusterName, flushMs: durationMs(config?.bufferFlushInterval, 1000), bufferBytes: config?.bufferSizeBytes ?? defaultBufferBytes,
    requestHeaders: [], responseHeaders: [], responseTrailers: [], filterState: config?.filterStateObjectsToLog ?? [], customTags,
  });
}

function lower(names: readonly string[]): string[] {
  return names.map((name) => name.toLowerCase());
}
