import { HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig, type CommonGrpcAccessLogConfig } from '@meltemi/api/gen/envoy/extensions/access_loggers/grpc/v3/als.ts';
import { fail, ok, type Result } from '@meltemi/base';
import type { Extension } from '@meltemi/snapshot';

/** A gRPC access log: which cluster takes the entries, under which name. */
export interface GrpcAccessLogConfig {
  readonly kind: 'http' | 'tcp';
  readonly logName: string;
  readonly clusterName: string;
  /** Longest time an entry waits before it is sent; Envoy's default is one second. */
  readonly flushMs: number;
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
}

const httpType = 'type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig';
const tcpType = 'type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig';

/** Envoy's gRPC access loggers, for the registry of extensions. */
export const grpcAccessLogExtensions: ReadonlyMap<string, Extension> = new Map<string, Extension>([
  [httpType, {
    parse: (bytes, { path }) => {
      const { commonConfig, additionalRequestHeadersToLog, additionalResponseHeadersToLog } = HttpGrpcAccessLogConfig.decode(bytes);
      return common('http', commonConfig, path, additionalRequestHeadersToLog, additionalResponseHeadersToLog);
    },
  }],
  [tcpType, { parse: (bytes, { path }) => common('tcp', TcpGrpcAccessLogConfig.decode(bytes).commonConfig, path, [], []) }],
]);

/** The sink key under which a worker hands its entries to the control thread. */
export function sinkKey(config: GrpcAccessLogConfig): string {
  return `${config.kind}|${config.clusterName}|${config.logName}`;
}

export function parseSinkKey(key: string): Pick<GrpcAccessLogConfig, 'kind' | 'clusterName' | 'logName'> {
  const [kind = '', ...rest] = key.split('|');
  return { kind: kind === 'tcp' ? 'tcp' : 'http', logName: rest.at(-1) ?? '', clusterName: rest.slice(0, -1).join('|') };
}

function common(kind: 'http' | 'tcp', config: CommonGrpcAccessLogConfig | undefined, path: string, requestHeaders: readonly string[], responseHeaders: readonly string[]): Result<GrpcAccessLogConfig> {
  const service = config?.grpcService?.targetSpecifier;
  if (service?.$case !== 'envoyGrpc' || service.value.clusterName === '') return fail(`${path}.common_config.grpc_service`, 'needs envoy_grpc with a cluster_name: google_grpc is not supported');
  const flush = config?.bufferFlushInterval;
  return ok({
    kind, logName: config?.logName ?? '', clusterName: service.value.clusterName,
    flushMs: flush ? Number(flush.seconds) * 1000 + flush.nanos / 1e6 : 1000,
    requestHeaders: requestHeaders.map((name) => name.toLowerCase()), responseHeaders: responseHeaders.map((name) => name.toLowerCase()),
  });
}
