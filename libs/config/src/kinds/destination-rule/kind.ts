import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { DestinationRuleSpec } from './types.ts';
import { validate } from './validate.ts';

export const destinationRule = istioKind<DestinationRuleSpec>({
  group: 'networking.istio.io',
  kind: 'DestinationRule',
  plural: 'destinationrules',
  shortNames: ['dr'],
  schema,
  validate,
});
