import { list, object, strings } from '../../../schema/containers.ts';
import { int, oneOf, string } from '../../../schema/scalars.ts';
import { optional, required, withDefault } from '../../../schema/schema.ts';
import { httpRouteFilters } from '../filters.ts';
import { gatewayDuration } from '../patterns.ts';
import { backendFields, parentReference, weight } from '../references.ts';
import type * as route from './types.ts';

const matchTypes = ['Exact', 'RegularExpression'] as const;

/** Also of GRPCRoute. */
export const valueMatches = list(
  object<route.ValueMatch>({ type: oneOf(matchTypes), name: required(string({ minLength: 1, maxLength: 256 })), value: required(string({ minLength: 1, maxLength: 4096 })) }),
  { maxItems: 16 },
);

const path = object<route.HttpRouteMatch['path']>({ type: oneOf(['PathPrefix', 'Exact', 'RegularExpression']), value: withDefault(string({ maxLength: 1024 }), '/') });

const match = object<route.HttpRouteMatch>({
  path,
  headers: valueMatches,
  queryParams: valueMatches,
  method: optional(oneOf(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])),
});

/** Also of GRPCRoute. */
export const sessionPersistence = object<route.SessionPersistence>({
  sessionName: optional(string({ maxLength: 128 })),
  type: oneOf(['Cookie', 'Header']),
  absoluteTimeout: optional(gatewayDuration()),
  idleTimeout: optional(gatewayDuration()),
  cookie: optional(object<NonNullable<route.SessionPersistence['cookie']>>({ name: string({ maxLength: 256 }), path: withDefault(string({ maxLength: 1024 }), '/'), lifetimeType: oneOf(['Session', 'Permanent']) })),
  header: optional(object<NonNullable<route.SessionPersistence['header']>>({ name: required(string({ minLength: 1, maxLength: 256 })) })),
});

const rule = object<route.HttpRouteRule>({
  name: optional(string({ minLength: 1, maxLength: 253 })),
  matches: list(match, { maxItems: 64 }),
  filters: httpRouteFilters,
  backendRefs: list(object<route.HttpBackendRef>({ ...backendFields, weight, filters: httpRouteFilters }), { maxItems: 16 }),
  timeouts: optional(object<route.HttpRouteTimeouts>({ request: optional(gatewayDuration()), backendRequest: optional(gatewayDuration()) })),
  retry: optional(object<route.HttpRouteRetry>({ codes: list(int('int32', { min: 400, max: 599 })), attempts: optional(int('int32', { min: 1 })), backoff: optional(gatewayDuration()) })),
  sessionPersistence: optional(sessionPersistence),
});

/** Of every route: what it attaches to. */
export const routeFields = {
  parentRefs: list(parentReference, { maxItems: 32 }),
  useDefaultGateways: optional(oneOf(['All', 'None'])),
};

/** A route without rules answers everything with 500: the CRD's default rule has no backend. */
const defaultRule: route.HttpRouteRule = { matches: [], filters: [], backendRefs: [] };

export const schema = object<route.HttpRouteSpec>({
  ...routeFields,
  hostnames: strings({ maxItems: 16 }),
  rules: withDefault(list(rule, { minItems: 1, maxItems: 16 }), [defaultRule]),
});
