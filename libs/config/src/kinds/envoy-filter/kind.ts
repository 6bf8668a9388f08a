import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { EnvoyFilterSpec } from './types.ts';
import { validate } from './validate.ts';

export const envoyFilter = istioKind<EnvoyFilterSpec>({ group: 'networking.istio.io', kind: 'EnvoyFilter', plural: 'envoyfilters', versions: ['v1alpha3'], schema, validate });
