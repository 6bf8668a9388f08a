import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { VirtualServiceSpec } from './types.ts';
import { validate } from './validate.ts';

export const virtualService = istioKind<VirtualServiceSpec>({
  group: 'networking.istio.io',
  kind: 'VirtualService',
  plural: 'virtualservices',
  shortNames: ['vs'],
  schema,
  validate,
});
