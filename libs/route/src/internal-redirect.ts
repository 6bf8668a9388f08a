import type { RouteAction } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { AllowListedRoutesConfig } from '@meltemi/api/gen/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config.ts';
import type { Report } from './report.ts';
import type { InternalRedirectPolicy, RedirectPredicate } from './types.ts';

const type = (name: string) => `type.googleapis.com/envoy.extensions.internal_redirect.${name}`;
const possible: readonly number[] = [301, 302, 303, 307, 308];
const handleRedirects = 1;

/** Compiles internal_redirect_policy with Envoy's defaults: one redirect, 302 alone, the same scheme. Null when redirects go to the client. */
export function compileInternalRedirect(action: RouteAction, path: string, report: Report): InternalRedirectPolicy | null {
  const policy = action.internalRedirectPolicy;
  if (policy === undefined) return action.internalRedirectAction === handleRedirects ? { ...plain, max: action.maxInternalRedirects ?? plain.max } : null;
  const at = `${path}.internal_redirect_policy`;
  const headersToCopy = policy.responseHeadersToCopy.map((name) => name.toLowerCase());
  if (headersToCopy.some((name) => name === '' || name === 'host' || name.startsWith(':'))) report.refuse(`${at}.response_headers_to_copy`, 'the host and pseudo headers come from the location');
  const codes = policy.redirectResponseCodes.filter((code) => possible.includes(code));
  return {
    max: policy.maxInternalRedirects ?? plain.max,
    codes: policy.redirectResponseCodes.length === 0 ? plain.codes : codes,
    crossScheme: policy.allowCrossSchemeRedirect,
    predicates: policy.predicates.flatMap(({ typedConfig, name }, i) => compilePredicate(typedConfig ?? { typeUrl: name, value: Buffer.alloc(0) }, `${at}.predicates[${i}]`, report)),
    headersToCopy,
  };
}

const plain: InternalRedirectPolicy = { max: 1, codes: [302], crossScheme: false, predicates: [], headersToCopy: [] };

function compilePredicate({ typeUrl, value }: { readonly typeUrl: string; readonly value: Uint8Array }, path: string, report: Report): readonly RedirectPredicate[] {
  switch (typeUrl) {
    case type('previous_routes.v3.PreviousRoutesConfig'):
      return [{ kind: 'previous-routes' }];
    case type('safe_cross_scheme.v3.SafeCrossSchemeConfig'):
      return [{ kind: 'safe-cross-scheme' }];
    case type('allow_listed_routes.v3.AllowListedRoutesConfig'):
      return [{ kind: 'allow-listed-routes', names: AllowListedRoutesConfig.decode(value).allowedRouteNames }];
    default:
      report.refuse(path, `${typeUrl} is not supported: use previous_routes, allow_listed_routes or safe_cross_scheme`);
      return [];
  }
}
