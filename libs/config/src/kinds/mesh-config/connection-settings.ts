import { object } from '../../schema/containers.ts';
import { bool, duration, int, oneOf } from '../../schema/scalars.ts';
import { optional } from '../../schema/schema.ts';
import type { DurationMs } from '../types.ts';

/** Limits of listeners and HTTP connections. Absent fields: the profile's, or Envoy's. */
export interface ConnectionSettings {
  readonly profile: 'SIDECAR' | 'EDGE';
  readonly listenerPerConnectionBufferLimitBytes?: number;
  readonly clusterPerConnectionBufferLimitBytes?: number;
  readonly httpIdleTimeout?: DurationMs;
  readonly httpMaxConnectionDuration?: DurationMs;
  readonly httpDrainTimeout?: DurationMs;
  readonly httpRequestTimeout?: DurationMs;
  readonly httpRequestHeadersTimeout?: DurationMs;
  readonly httpStreamIdleTimeout?: DurationMs;
  readonly httpMaxStreamDuration?: DurationMs;
  readonly httpMaxConcurrentStreams?: number;
  readonly http2InitialStreamWindowSize?: number;
  readonly http2InitialConnectionWindowSize?: number;
  readonly httpHeadersWithUnderscoresAction: (typeof underscores)[number];
  readonly httpMergeSlashes?: boolean;
  readonly httpPathWithEscapedSlashesAction: (typeof escapedSlashes)[number];
  readonly listenerConnectionLimit?: number;
  readonly globalDownstreamConnectionLimit?: number;
}

const underscores = ['HEADERS_WITH_UNDERSCORES_UNSPECIFIED', 'HEADERS_WITH_UNDERSCORES_ALLOW', 'HEADERS_WITH_UNDERSCORES_REJECT_REQUEST', 'HEADERS_WITH_UNDERSCORES_DROP_HEADER'] as const;
const escapedSlashes = ['PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED', 'KEEP_UNCHANGED', 'REJECT_REQUEST', 'UNESCAPE_AND_REDIRECT', 'UNESCAPE_AND_FORWARD'] as const;

const noNegative = optional(int('int32', { min: 0 }));
const positive = optional(int('int32', { min: 1 }));
const window = optional(int('int32', { min: 65_535 }));
const time = optional(duration({ minMs: 0 }));

export const connectionSettings = object<ConnectionSettings>({
  profile: oneOf(['SIDECAR', 'EDGE']),
  listenerPerConnectionBufferLimitBytes: noNegative,
  clusterPerConnectionBufferLimitBytes: noNegative,
  httpIdleTimeout: time,
  httpMaxConnectionDuration: time,
  httpDrainTimeout: time,
  httpRequestTimeout: time,
  httpRequestHeadersTimeout: time,
  httpStreamIdleTimeout: time,
  httpMaxStreamDuration: time,
  httpMaxConcurrentStreams: positive,
  http2InitialStreamWindowSize: window,
  http2InitialConnectionWindowSize: window,
  httpHeadersWithUnderscoresAction: oneOf(underscores),
  httpMergeSlashes: optional(bool()),
  httpPathWithEscapedSlashesAction: oneOf(escapedSlashes),
  listenerConnectionLimit: positive,
  globalDownstreamConnectionLimit: positive,
});
