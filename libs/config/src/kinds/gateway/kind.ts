import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { GatewaySpec } from './types.ts';
import { validate } from './validate.ts';

export const gateway = istioKind<GatewaySpec>({
  group: 'networking.istio.io',
  kind: 'Gateway',
  plural: 'gateways',
  shortNames: ['gw'],
  schema,
  validate,
});
