import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { ServiceEntrySpec } from './types.ts';
import { validate } from './validate.ts';

export const serviceEntry = istioKind<ServiceEntrySpec>({
  group: 'networking.istio.io',
  kind: 'ServiceEntry',
  plural: 'serviceentries',
  shortNames: ['se'],
  schema,
  validate,
});
