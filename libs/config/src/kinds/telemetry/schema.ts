import { list, map, object } from '../../schema/containers.ts';
import { bool, double, oneOf, someTime, string } from '../../schema/scalars.ts';
import { optional, required, withCel } from '../../schema/schema.ts';
import { targetFields } from '../targeted-policy.ts';
import type * as telemetry from './types.ts';

const providers = list(object<telemetry.ProviderRef>({ name: required(string({ minLength: 1 })) }));
const mode = oneOf(['CLIENT_AND_SERVER', 'CLIENT', 'SERVER']);
const side = optional(object<{ readonly mode: telemetry.WorkloadMode }>({ mode }));
const named = optional(object<NonNullable<telemetry.TracingCustomTag['header']>>({ name: required(string({ minLength: 1 })), defaultValue: string() }));
const valued = optional(object<{ readonly value: string }>({ value: required(string({ minLength: 1 })) }));

const customTag = object<telemetry.TracingCustomTag>(
  { literal: valued, environment: named, header: named, formatter: valued },
  { oneofs: [{ keys: ['literal', 'environment', 'header', 'formatter'] }] },
);

const tracing = object<telemetry.TelemetryTracing>({
  match: side,
  providers,
  randomSamplingPercentage: optional(double({ min: 0, max: 100 })),
  disableSpanReporting: optional(bool()),
  customTags: map(customTag),
  useRequestIdForTraceSampling: optional(bool()),
  enableIstioTags: optional(bool()),
  disableContextPropagation: optional(bool()),
});

const metric = oneOf([
  'ALL_METRICS', 'REQUEST_COUNT', 'REQUEST_DURATION', 'REQUEST_SIZE', 'RESPONSE_SIZE', 'TCP_OPENED_CONNECTIONS', 'TCP_CLOSED_CONNECTIONS', 'TCP_SENT_BYTES', 'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES', 'GRPC_RESPONSE_MESSAGES',
]);

const override = object<telemetry.MetricsOverride>({
  match: optional(
    object<NonNullable<telemetry.MetricsOverride['match']>>(
      { metric: optional(metric), customMetric: optional(string({ minLength: 1 })), mode },
      { oneofs: [{ keys: ['metric', 'customMetric'] }] },
    ),
  ),
  disabled: optional(bool()),
  tagOverrides: map(
    withCel(
      object<telemetry.TagOverride>({ operation: oneOf(['UPSERT', 'REMOVE']), value: string() }),
      { rule: "!has(self.operation) || self.operation != 'UPSERT' || (has(self.value) && self.value != '')", message: 'operation UPSERT needs a value' },
      { rule: "!has(self.operation) || self.operation != 'REMOVE' || !has(self.value)", message: 'operation REMOVE has no value' },
    ),
  ),
});

export const schema = object<telemetry.TelemetrySpec>({
  ...targetFields,
  tracing: list(tracing),
  metrics: list(object<telemetry.TelemetryMetrics>({ providers, overrides: list(override), reportingInterval: optional(someTime()) })),
  accessLogging: list(
    object<telemetry.TelemetryAccessLogging>({ match: side, providers, disabled: optional(bool()), filter: optional(object<{ readonly expression: string }>({ expression: string() })) }),
  ),
});
