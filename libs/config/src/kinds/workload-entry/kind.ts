import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { WorkloadEntrySpec } from './types.ts';
import { validate } from './validate.ts';

export const workloadEntry = istioKind<WorkloadEntrySpec>({
  group: 'networking.istio.io',
  kind: 'WorkloadEntry',
  plural: 'workloadentries',
  shortNames: ['we'],
  schema,
  validate,
});
