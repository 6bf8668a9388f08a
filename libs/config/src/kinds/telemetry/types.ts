import type { TargetedPolicy } from '../targeted-policy.ts';
import type { DurationMs } from '../types.ts';

/** telemetry.istio.io Telemetry. */
export interface TelemetrySpec extends TargetedPolicy {
  readonly tracing: readonly TelemetryTracing[];
  readonly metrics: readonly TelemetryMetrics[];
  readonly accessLogging: readonly TelemetryAccessLogging[];
}

/** For which side of a request: as its client, as its server, or both. */
export type WorkloadMode = 'CLIENT_AND_SERVER' | 'CLIENT' | 'SERVER';

/** By the name of an extension provider of MeshConfig. */
export interface ProviderRef {
  readonly name: string;
}

export interface TelemetryTracing {
  readonly match?: { readonly mode: WorkloadMode };
  readonly providers: readonly ProviderRef[];
  /** 0…100. Absent: the parent's. */
  readonly randomSamplingPercentage?: number;
  readonly disableSpanReporting?: boolean;
  readonly customTags: Readonly<Record<string, TracingCustomTag>>;
  readonly useRequestIdForTraceSampling?: boolean;
  readonly enableIstioTags?: boolean;
  readonly disableContextPropagation?: boolean;
}

/** At most one is set. */
export interface TracingCustomTag {
  readonly literal?: { readonly value: string };
  readonly environment?: { readonly name: string; readonly defaultValue: string };
  readonly header?: { readonly name: string; readonly defaultValue: string };
  readonly formatter?: { readonly value: string };
}

export interface TelemetryMetrics {
  readonly providers: readonly ProviderRef[];
  readonly overrides: readonly MetricsOverride[];
  readonly reportingInterval?: DurationMs;
}

export interface MetricsOverride {
  /** Absent: all metrics, both sides. */
  readonly match?: { readonly metric?: IstioMetric; readonly customMetric?: string; readonly mode: WorkloadMode };
  readonly disabled?: boolean;
  readonly tagOverrides: Readonly<Record<string, TagOverride>>;
}

export interface TagOverride {
  readonly operation: 'UPSERT' | 'REMOVE';
  /** A CEL expression; "" for REMOVE. */
  readonly value: string;
}

export type IstioMetric =
  | 'ALL_METRICS' | 'REQUEST_COUNT' | 'REQUEST_DURATION' | 'REQUEST_SIZE' | 'RESPONSE_SIZE' | 'TCP_OPENED_CONNECTIONS' | 'TCP_CLOSED_CONNECTIONS' | 'TCP_SENT_BYTES'
  | 'TCP_RECEIVED_BYTES' | 'GRPC_REQUEST_MESSAGES' | 'GRPC_RESPONSE_MESSAGES';

export interface TelemetryAccessLogging {
  readonly match?: { readonly mode: WorkloadMode };
  readonly providers: readonly ProviderRef[];
  readonly disabled?: boolean;
  /** `expression` is CEL over Envoy's attributes. */
  readonly filter?: { readonly expression: string };
}
