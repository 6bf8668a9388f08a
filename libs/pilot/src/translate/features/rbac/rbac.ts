import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { RBAC as HttpRbac } from '@meltemi/api/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { RBAC as NetworkRbac } from '@meltemi/api/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts';
import { authorizationFor } from '../../../push-context/authorization.ts';
import { create, createAny, typed } from '../../message.ts';
import type { FeatureContext, HttpFeature } from '../feature.ts';
import { policySet, type PolicySet, type SetOptions } from './policy-set.ts';
import { trustDomainsOf } from './trust-domains.ts';

/** Istio's names for what dry runs count, by which its dashboards know them. */
const shadowPrefix = { ALLOW: 'istio_dry_run_allow_', DENY: 'istio_dry_run_deny_', LOG: '' } as const;

/** What connections count under. */
export const tcpStatPrefix = 'tcp.';

/** AUDIT, DENY and ALLOW policies. No ALLOW policy for a workload allows all that no other denies. */
export const rbac: HttpFeature = {
  name: 'envoy.filters.http.rbac',
  filter: (context) => policySets(context, false).map(({ set, action }) => httpRbac({ ...set, ...(set.shadowRules ? { shadowRulesStatPrefix: shadowPrefix[action] } : {}), trackPerRuleStats: countsPolicies(action, set) })),
};

/** Whoever denies, audits or is only tried is counted by name. What ALLOW policies let in is not: they are met by every request. Deviation: Istio counts none. */
function countsPolicies(action: SetOptions['action'], set: PolicySet): boolean {
  return action !== 'ALLOW' || set.shadowRules !== undefined;
}

/** The same for connections: rules over requests allow nothing here, and deny without their conditions. */
export function tcpRbac(context: FeatureContext): Filter[] {
  return policySets(context, true).map(({ set, action }) => networkRbac({ ...set, ...(set.shadowRules ? { shadowRulesStatPrefix: shadowPrefix[action] } : {}) }));
}

/** What gRPC servers understand of it: one filter a name, no dry runs, no audits. Source: Istio's grpcgen. */
export function grpcServerRbac(context: FeatureContext): HttpFilter[] {
  return policySets(context, false)
    .filter(({ action, set }) => action !== 'LOG' && set.rules !== undefined)
    .map(({ action, set }) => httpRbac({ rules: set.rules }, action === 'DENY' ? 'envoy.filters.http.rbac.DENY' : undefined));
}

export function httpRbac(fields: Partial<HttpRbac>, name = 'envoy.filters.http.rbac'): HttpFilter {
  return create(HttpFilter, typed(name, createAny('envoy.extensions.filters.http.rbac.v3.RBAC', HttpRbac, fields)));
}

export function networkRbac(fields: Partial<NetworkRbac>): Filter {
  return create(Filter, typed('envoy.filters.network.rbac', createAny('envoy.extensions.filters.network.rbac.v3.RBAC', NetworkRbac, { statPrefix: tcpStatPrefix, ...fields })));
}

interface ActionSet {
  readonly action: SetOptions['action'];
  readonly set: PolicySet;
}

function policySets({ push, proxy, direction }: FeatureContext, tcp: boolean): ActionSet[] {
  if (direction === 'outbound') return [];
  const { audit, deny, allow } = authorizationFor(push, proxy);
  const trustDomains = trustDomainsOf(push.mesh);
  const order = [['LOG', audit], ['DENY', deny], ['ALLOW', allow]] as const;
  return order.filter(([, policies]) => policies.length > 0).map(([action, policies]) => ({ action, set: policySet(policies, { action, trustDomains, tcp }) }));
}
