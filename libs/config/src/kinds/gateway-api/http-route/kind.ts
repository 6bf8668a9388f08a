import { gatewayApiKind } from '../group.ts';
import { schema } from './schema.ts';
import type { HttpRouteSpec } from './types.ts';
import { validate } from './validate.ts';

export const httpRoute = gatewayApiKind<HttpRouteSpec>({ kind: 'HTTPRoute', plural: 'httproutes', versions: ['v1', 'v1beta1', 'v1alpha2'], schema, validate });
