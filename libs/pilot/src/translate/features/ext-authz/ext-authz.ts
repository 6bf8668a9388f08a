import type { RBAC } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { Filter } from '@meltemi/api/gen/envoy/config/listener/v3/listener_components.ts';
import { ExtAuthz } from '@meltemi/api/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts';
import { ExtAuthz as NetworkExtAuthz } from '@meltemi/api/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { MetadataMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/metadata.ts';
import { authorizationFor, type AuthorizationPolicy } from '../../../push-context/authorization.ts';
import { create, createAny, typed } from '../../message.ts';
import type { FeatureContext, HttpFeature } from '../feature.ts';
import { beginsWith, metadataAt, stringValue } from '../rbac/matchers.ts';
import { policySet } from '../rbac/policy-set.ts';
import { httpRbac, networkRbac } from '../rbac/rbac.ts';
import { trustDomainsOf } from '../rbac/trust-domains.ts';
import { authorizerNamed } from './providers.ts';

/** Rules that are only tried leave under this what they matched. */
const shadowPrefix = 'istio_ext_authz_';
/** Marks denials for want of a provider. */
const badSuffix = '-deny-due-to-bad-CUSTOM-action';

/** CUSTOM policies: an RBAC filter that decides nothing tells, by metadata, which requests the filter behind it asks the provider about. */
export const customAuthorization: HttpFeature = {
  name: 'envoy.filters.http.ext_authz',
  filter: (context) =>
    providersOf(context, false).flatMap(({ name, rules, authorizer }) => {
      if (!authorizer) return [httpRbac({ rules: denied(rules) })];
      const config = createAny('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', ExtAuthz, { ...authorizer.http, filterEnabledMetadata: matched('envoy.filters.http.rbac', name) });
      return [httpRbac({ shadowRules: rules, shadowRulesStatPrefix: shadowPrefix }), create(HttpFilter, typed('envoy.filters.http.ext_authz', config))];
    }),
};

/** The same for connections. A provider that speaks HTTP is not asked about them, and they pass, as in Istio. */
export function tcpCustomAuthorization(context: FeatureContext): Filter[] {
  return providersOf(context, true).flatMap(({ name, rules, authorizer }) => {
    if (!authorizer) return [networkRbac({ rules: denied(rules) })];
    if (!authorizer.tcp) return [];
    const config = createAny('envoy.extensions.filters.network.ext_authz.v3.ExtAuthz', NetworkExtAuthz, { ...authorizer.tcp, filterEnabledMetadata: matched('envoy.filters.network.rbac', name) });
    return [networkRbac({ shadowRules: rules, shadowRulesStatPrefix: shadowPrefix }), create(Filter, typed('envoy.filters.network.ext_authz', config))];
  });
}

interface Asked {
  readonly name: string;
  /** What it is asked about. */
  readonly rules: RBAC;
  /** undefined: it cannot be asked. */
  readonly authorizer: ReturnType<typeof authorizer>;
}

/** The providers of a workload's CUSTOM policies, by name. More than one cannot be asked unless the switch allows it: then all is denied, as in Istio. */
function providersOf({ push, proxy, direction }: FeatureContext, tcp: boolean): Asked[] {
  if (direction === 'outbound') return [];
  const { custom } = authorizationFor(push, proxy);
  const byProvider = new Map<string, AuthorizationPolicy[]>();
  for (const policy of custom) {
    const name = policy.spec.provider?.name ?? '';
    byProvider.set(name, [...(byProvider.get(name) ?? []), policy]);
  }
  const usable = byProvider.size <= 1 || push.features.multipleCustomProviders;
  return [...byProvider].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([name, policies]) => {
    const { rules } = policySet(policies, { action: 'DENY', trustDomains: trustDomainsOf(push.mesh), tcp, namePrefix: rulePrefix(name) });
    return rules ? [{ name, rules, authorizer: usable ? authorizer(push, name) : undefined }] : [];
  });
}

function authorizer(push: FeatureContext['push'], name: string) {
  const found = authorizerNamed(push, name);
  return found.ok ? found.value : undefined;
}

function rulePrefix(provider: string): string {
  return provider === '' ? 'istio-ext-authz-' : `istio-ext-authz-${provider}-`;
}

/** A rule of this provider matched. With its namespace's bracket: one provider's name may begin like another's. */
function matched(filter: string, provider: string): MetadataMatcher {
  return metadataAt(filter, [`${shadowPrefix}shadow_effective_policy_id`], stringValue(beginsWith(`${rulePrefix(provider)}ns[`)));
}

function denied(rules: RBAC): RBAC {
  return { ...rules, policies: Object.fromEntries(Object.entries(rules.policies).map(([name, policy]) => [`${name}${badSuffix}`, policy])) };
}
