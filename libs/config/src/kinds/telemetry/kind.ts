import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { TelemetrySpec } from './types.ts';
import { validate } from './validate.ts';

export const telemetry = istioKind<TelemetrySpec>({ group: 'telemetry.istio.io', kind: 'Telemetry', plural: 'telemetries', shortNames: ['telemetry'], versions: ['v1', 'v1alpha1'], schema, validate });
