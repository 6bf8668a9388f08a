import type { Findings } from '../../rules/findings.ts';
import { isMap, list, map } from '../../schema/containers.ts';
import { bool, double, duration, oneOf, string } from '../../schema/scalars.ts';
import { child, optional, required } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { Struct } from '../types.ts';
import { checkAttachment, maps } from './security.ts';
import { shape, targetRef } from './shape.ts';

const providers = list(shape({ name: required(string({ minLength: 1 })) }));
const mode = oneOf(['CLIENT_AND_SERVER', 'CLIENT', 'SERVER']);
const named = optional(shape({ name: required(string({ minLength: 1 })), defaultValue: string() }));
const valued = optional(shape({ value: required(string({ minLength: 1 })) }));

const tracing = shape({
  match: optional(shape({ mode })),
  providers,
  randomSamplingPercentage: optional(double({ min: 0, max: 100 })),
  disableSpanReporting: optional(bool()),
  customTags: map(
    shape({ literal: valued, environment: named, header: named, formatter: valued }, { oneofs: [{ keys: ['literal', 'environment', 'header', 'formatter'] }] }),
  ),
  useRequestIdForTraceSampling: optional(bool()),
  enableIstioTags: optional(bool()),
  disableContextPropagation: optional(bool()),
});

const metric = oneOf([
  'ALL_METRICS',
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
]);

const metrics = shape({
  providers,
  overrides: list(
    shape({
      match: optional(shape({ metric: optional(metric), customMetric: optional(string({ minLength: 1 })), mode }, { oneofs: [{ keys: ['metric', 'customMetric'] }] })),
      disabled: optional(bool()),
      tagOverrides: map(shape({ operation: oneOf(['UPSERT', 'REMOVE']), value: string() })),
    }),
  ),
  reportingInterval: optional(duration()),
});

const accessLogging = shape({
  match: optional(shape({ mode })),
  providers,
  disabled: optional(bool()),
  filter: optional(shape({ expression: string() })),
});

export const telemetry = istioKind<Struct>({
  group: 'telemetry.istio.io',
  kind: 'Telemetry',
  plural: 'telemetries',
  shortNames: ['telemetry'],
  versions: ['v1', 'v1alpha1'],
  acts: 'later',
  schema: shape({
    selector: optional(matchLabelsSelector),
    targetRef: optional(targetRef),
    targetRefs: list(targetRef, { maxItems: 16 }),
    tracing: list(tracing),
    metrics: list(metrics),
    accessLogging: list(accessLogging),
  }),
  validate(spec, _about, findings) {
    checkAttachment(spec, findings);
    for (const [i, one] of maps(spec['metrics']).entries())
      for (const [j, override] of maps(one['overrides']).entries()) checkTags(override, `spec.metrics[${i}].overrides[${j}].tagOverrides`, findings);
  },
});

function checkTags(override: Struct, path: string, findings: Findings): void {
  for (const [tag, change] of Object.entries(isMap(override['tagOverrides']) ? override['tagOverrides'] : {})) {
    if (!isMap(change)) continue;
    const at = child(path, tag);
    if (change['operation'] === 'UPSERT' && change['value'] === '') findings.error(`${at}.value`, 'is required for operation UPSERT');
    if (change['operation'] === 'REMOVE' && change['value'] !== '') findings.error(`${at}.value`, 'cannot be set for operation REMOVE');
  }
}
