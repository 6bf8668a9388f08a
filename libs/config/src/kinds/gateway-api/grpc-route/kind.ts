import type { ObjectMeta } from '../../../object.ts';
import type { Findings } from '../../../rules/findings.ts';
import { regexReason } from '../../../rules/regex.ts';
import { list, object, strings } from '../../../schema/containers.ts';
import { oneOf, string } from '../../../schema/scalars.ts';
import { item, optional } from '../../../schema/schema.ts';
import { grpcRouteFilters } from '../filters.ts';
import { gatewayApiKind } from '../group.ts';
import { routeFields, sessionPersistence, valueMatches } from '../http-route/schema.ts';
import { checkValues } from '../http-route/validate.ts';
import { backendFields, weight } from '../references.ts';
import { checkFilters } from '../validate-filters.ts';
import { checkBackend, checkHostnames, checkParents, checkRuleNames } from '../validate-references.ts';
import type * as route from './types.ts';

const name = optional(string({ maxLength: 1024 }));

const match = object<route.GrpcRouteMatch>({
  method: optional(object<route.GrpcMethodMatch>({ type: oneOf(['Exact', 'RegularExpression']), service: name, method: name })),
  headers: valueMatches,
});

const rule = object<route.GrpcRouteRule>({
  name: optional(string({ minLength: 1, maxLength: 253 })),
  matches: list(match, { maxItems: 64 }),
  filters: grpcRouteFilters,
  backendRefs: list(object<route.GrpcBackendRef>({ ...backendFields, weight, filters: grpcRouteFilters }), { maxItems: 16 }),
  sessionPersistence: optional(sessionPersistence),
});

export const grpcRoute = gatewayApiKind<route.GrpcRouteSpec>({
  kind: 'GRPCRoute',
  plural: 'grpcroutes',
  versions: ['v1', 'v1alpha2'],
  schema: object<route.GrpcRouteSpec>({ ...routeFields, hostnames: strings({ maxItems: 16 }), rules: list(rule, { maxItems: 16 }) }),
  validate,
});

function validate(spec: route.GrpcRouteSpec, _about: ObjectMeta, findings: Findings): void {
  checkParents(spec.parentRefs, findings);
  checkHostnames(spec.hostnames, findings);
  checkRuleNames(spec.rules, findings);
  for (const [i, each] of spec.rules.entries()) {
    const path = item('spec.rules', i);
    for (const [n, { method, headers }] of each.matches.entries()) {
      checkMethod(method, `${item(`${path}.matches`, n)}.method`, findings);
      checkValues(headers, `${item(`${path}.matches`, n)}.headers`, findings);
    }
    checkFilters(each.filters, `${path}.filters`, findings);
    for (const [n, backend] of each.backendRefs.entries()) {
      checkBackend(backend, item(`${path}.backendRefs`, n), findings);
      checkFilters(backend.filters, `${item(`${path}.backendRefs`, n)}.filters`, findings);
    }
  }
}

const servicePattern = /^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i;
const methodPattern = /^[A-Za-z_][A-Za-z_0-9]*$/;

function checkMethod(match: route.GrpcMethodMatch | undefined, at: string, findings: Findings): void {
  if (!match) return;
  const { type, service, method } = match;
  if (service === undefined && method === undefined) findings.error(at, 'one of service, method must be set');
  for (const [field, text, pattern] of [['service', service, servicePattern], ['method', method, methodPattern]] as const) {
    if (text === undefined) continue;
    if (type === 'RegularExpression') findings.check(`${at}.${field}`, regexReason(text));
    else if (!pattern.test(text)) findings.error(`${at}.${field}`, `"${text}" is not the name of a gRPC ${field}`);
  }
}
