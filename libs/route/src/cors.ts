import type { CorsPolicy as CorsMessage } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { always, compileAll, compileFraction, compileStringMatcher, never } from '@meltemi/match';
import { checkFields } from './fields.ts';
import { corsFields } from './field-tables.ts';
import type { Report } from './report.ts';
import type { CorsPolicy } from './types.ts';

/** Compiles the cors of a route or a virtual host. */
export function compileCors(cors: CorsMessage | undefined, path: string, report: Report): CorsPolicy | null {
  if (!cors) return null;
  checkFields(cors, corsFields, path, report);
  return {
    enabled: compileFraction(cors.enabledSpecifier?.value.defaultValue, always),
    shadow: compileFraction(cors.shadowEnabled?.defaultValue, never),
    allowOrigin: report.take(compileAll(cors.allowOriginStringMatch, `${path}.allow_origin_string_match`, compileStringMatcher), []),
    allowMethods: cors.allowMethods, allowHeaders: cors.allowHeaders, exposeHeaders: cors.exposeHeaders, maxAge: cors.maxAge,
    allowCredentials: cors.allowCredentials ?? null,
    allowPrivateNetworkAccess: cors.allowPrivateNetworkAccess ?? null,
    forwardNotMatchingPreflights: cors.forwardNotMatchingPreflights ?? null,
  };
}

/** As in Envoy: whether it is in force a policy says by itself, and what else it does not say those of the levels above do. */
export function inheritCors(own: CorsPolicy | null, above: CorsPolicy | null): CorsPolicy | null {
  if (own === null || above === null) return own ?? above;
  return {
    enabled: own.enabled,
    shadow: own.shadow,
    allowOrigin: own.allowOrigin.length > 0 ? own.allowOrigin : above.allowOrigin,
    allowMethods: own.allowMethods || above.allowMethods,
    allowHeaders: own.allowHeaders || above.allowHeaders,
    exposeHeaders: own.exposeHeaders || above.exposeHeaders,
    maxAge: own.maxAge || above.maxAge,
    allowCredentials: own.allowCredentials ?? above.allowCredentials,
    allowPrivateNetworkAccess: own.allowPrivateNetworkAccess ?? above.allowPrivateNetworkAccess,
    forwardNotMatchingPreflights: own.forwardNotMatchingPreflights ?? above.forwardNotMatchingPreflights,
  };
}
