import type { ObjectMeta } from '../../../object.ts';
import { isIpAddress } from '../../../rules/addresses.ts';
import type { Findings } from '../../../rules/findings.ts';
import { list, object, strings } from '../../../schema/containers.ts';
import { string } from '../../../schema/scalars.ts';
import { item, optional, required } from '../../../schema/schema.ts';
import { gatewayApiKind } from '../group.ts';
import { routeFields } from '../http-route/schema.ts';
import { backendRef } from '../references.ts';
import { checkBackend, checkHostnames, checkParents, checkRuleNames } from '../validate-references.ts';
import type { L4RouteRule, TcpRouteSpec, TlsRouteSpec } from './types.ts';

const rule = object<L4RouteRule>({ name: optional(string({ minLength: 1, maxLength: 253 })), backendRefs: list(backendRef, { maxItems: 16 }) });
const rules = required(list(rule, { minItems: 1, maxItems: 16 }));

export const tcpRoute = gatewayApiKind<TcpRouteSpec>({
  kind: 'TCPRoute',
  plural: 'tcproutes',
  versions: ['v1', 'v1alpha2'],
  schema: object<TcpRouteSpec>({ ...routeFields, rules }),
  validate: checkRoute,
});

export const tlsRoute = gatewayApiKind<TlsRouteSpec>({
  kind: 'TLSRoute',
  plural: 'tlsroutes',
  versions: ['v1', 'v1alpha3', 'v1alpha2'],
  schema: object<TlsRouteSpec>({ ...routeFields, hostnames: strings({ maxItems: 1024 }), rules }),
  validate(spec, about, findings) {
    checkRoute(spec, about, findings);
    checkHostnames(spec.hostnames, findings);
    for (const [i, name] of spec.hostnames.entries()) if (isIpAddress(name)) findings.error(item('spec.hostnames', i), 'must be a name: TLS asks for no addresses');
  },
});

function checkRoute(spec: TcpRouteSpec, _about: ObjectMeta, findings: Findings): void {
  checkParents(spec.parentRefs, findings);
  checkRuleNames(spec.rules, findings);
  for (const [i, each] of spec.rules.entries()) for (const [n, backend] of each.backendRefs.entries()) checkBackend(backend, item(`${item('spec.rules', i)}.backendRefs`, n), findings);
}
