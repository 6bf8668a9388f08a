import type { JwtRule } from '@meltemi/config';
import { RouteMatch } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import {
  JwtAuthentication, JwtCacheConfig, JwtClaimToHeader, JwtHeader, JwtProvider, JwtProvider_NormalizePayload, JwtRequirement, RequirementRule,
} from '@meltemi/api/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { PushContext } from '../../../push-context/push-context.ts';
import { jwtRulesFor } from '../../../push-context/request-authentication.ts';
import { create, createAny, typed } from '../../message.ts';
import type { HttpFeature } from '../feature.ts';
import { jwtPayload } from '../rbac/matchers.ts';
import { keySource } from './keys.ts';

/** RequestAuthentication: a request without a token passes, one with a token must have a good one. What it says is metadata for RBAC and routes. */
export const jwtAuthn: HttpFeature = {
  name: 'envoy.filters.http.jwt_authn',
  filter({ push, proxy, direction }) {
    if (direction === 'outbound') return undefined;
    const rules = jwtRulesFor(push, proxy);
    if (rules.length === 0) return undefined;
    const providers = rules.map((rule, index) => [`origins-${index}`, provider(push, rule, direction === 'gateway')] as const);
    const config = createAny('envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication', JwtAuthentication, {
      providers: Object.fromEntries(providers),
      rules: [create(RequirementRule, { match: create(RouteMatch, { pathSpecifier: { $case: 'prefix', value: '/' } }), requirementType: { $case: 'requires', value: requirement(providers.map(([name]) => name)) } })],
      bypassCorsPreflight: true,
    });
    return create(HttpFilter, typed(this.name, config));
  },
};

/** Claims that hold several words, besides those a rule names. Source: OAuth's "scope", Google's "permission". */
const listClaims = ['scope', 'permission'];

/** Of each provider in each worker of a proxy, which also limits their memory. */
const rememberedTokens = 1_000;

function provider(push: PushContext, rule: JwtRule, clearRouteCache: boolean): JwtProvider {
  return create(JwtProvider, {
    issuer: rule.issuer,
    audiences: [...rule.audiences],
    forward: rule.forwardOriginalToken,
    forwardPayloadHeader: rule.outputPayloadToHeader,
    payloadInMetadata: jwtPayload,
    normalizePayloadInMetadata: create(JwtProvider_NormalizePayload, { spaceDelimitedClaims: [...new Set([...listClaims, ...rule.spaceDelimitedClaims])] }),
    // routes of gateways may ask for claims
    clearRouteCache,
    claimToHeaders: rule.outputClaimToHeaders.map(({ header, claim }) => create(JwtClaimToHeader, { headerName: header, claimName: claim })),
    fromHeaders: rule.fromHeaders.map(({ name, prefix }) => create(JwtHeader, { name, valuePrefix: prefix })),
    fromParams: [...rule.fromParams],
    fromCookies: [...rule.fromCookies],
    jwksSourceSpecifier: keySource(push, rule),
    // Deviation: Istio sets none, and each request pays for a signature
    jwtCacheConfig: create(JwtCacheConfig, { jwtCacheSize: rememberedTokens }),
  });
}

const named = (name: string): JwtRequirement => create(JwtRequirement, { requiresType: { $case: 'providerName', value: name } });
const anyOf = (requirements: JwtRequirement[]): JwtRequirement => create(JwtRequirement, { requiresType: { $case: 'requiresAny', value: { requirements } } });
const allOf = (requirements: JwtRequirement[]): JwtRequirement => create(JwtRequirement, { requiresType: { $case: 'requiresAll', value: { requirements } } });
const missing = (): JwtRequirement => create(JwtRequirement, { requiresType: { $case: 'allowMissing', value: {} } });

/**
 * A good token of one of the providers; or of each none or a good one. Both, since providers that look in the same place would refuse each
 * other's tokens. Source: Istio's policy_applier.go.
 */
function requirement(names: readonly string[]): JwtRequirement {
  const goodOrNone = names.map((name) => anyOf([named(name), missing()]));
  const [only] = goodOrNone;
  return goodOrNone.length === 1 && only ? only : anyOf([...names.map(named), allOf(goodOrNone)]);
}
