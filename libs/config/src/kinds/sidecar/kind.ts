import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { SidecarSpec } from './types.ts';
import { validate } from './validate.ts';

export const sidecar = istioKind<SidecarSpec>({ group: 'networking.istio.io', kind: 'Sidecar', plural: 'sidecars', schema, validate });
