import type { GrpcService } from '@meltemi/api/gen/envoy/config/core/v3/grpc_service.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { compileFormat, toWire, type Formatter, type StreamInfo } from '@meltemi/http';
import { durationMs, refuse, use, warn, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { checkSettings } from '../filters/check-settings.ts';

/** A gRPC service that a filter calls. */
export interface GrpcTarget {
  readonly cluster: string;
  /** "" = the cluster's name. */
  readonly authority: string;
  readonly timeoutMs: number;
  /** Bytes of an answer's message; null = gRPC's 4 MiB. */
  readonly maxBytes: number | null;
  readonly metadata: readonly (readonly [string, Formatter])[];
}

const noRetries = warn('calls of filters are not retried, but for connections that died unused');

const serviceFields: FieldTable<GrpcService> = {
  targetSpecifier: { kind: 'oneof', cases: { envoyGrpc: use, googleGrpc: refuse('only envoy_grpc, by the name of a cluster, is supported') } },
  timeout: use, initialMetadata: use, retryPolicy: noRetries,
};

/** Compiles a GrpcService; `defaultTimeoutMs` is the filter's own for calls whose service says none. Paths begin with ctx.path. */
export function compileGrpcService(message: GrpcService | undefined, defaultTimeoutMs: number, ctx: Pick<ParseContext, 'path' | 'warn'>): Result<GrpcTarget> {
  const { path } = ctx;
  if (message === undefined) return err([{ path, message: 'is required' }]);
  const errors = checkSettings(message, serviceFields, ctx);
  const target = message.targetSpecifier?.$case === 'envoyGrpc' ? message.targetSpecifier.value : null;
  if (target === null || target.clusterName === '') errors.push({ path: `${path}.envoy_grpc.cluster_name`, message: 'is required: name the cluster of the service' });
  if (target?.retryPolicy !== undefined) ctx.warn(`${path}.envoy_grpc.retry_policy`, 'calls of filters are not retried, but for connections that died unused');
  const metadata: (readonly [string, Formatter])[] = [];
  for (const [i, { key, value, rawValue }] of message.initialMetadata.entries()) {
    const format = compileFormat(rawValue.length > 0 ? Buffer.from(rawValue).toString('latin1') : toWire(value), { wire: true });
    if (format.ok && key !== '') metadata.push([key.toLowerCase(), format.value]);
    else errors.push(...(format.ok ? [{ path: `${path}.initial_metadata[${i}].key`, message: 'is required' }] : prefixed(format.error, `${path}.initial_metadata[${i}].value`)));
  }
  if (errors.length > 0 || target === null) return err(errors);
  return ok({ cluster: target.clusterName, authority: target.authority, timeoutMs: durationMs(message.timeout, 0) || defaultTimeoutMs, maxBytes: target.maxReceiveMessageLength ?? null, metadata });
}

/** The metadata of one call. */
export function metadataOf(target: GrpcTarget, info: StreamInfo): (readonly [string, string])[] {
  return target.metadata.map(([name, format]) => [name, format.format(info)] as const);
}

function prefixed(errors: readonly FieldError[], path: string): FieldError[] {
  return errors.map(({ message }) => ({ path, message }));
}
