import { JwtAuthentication, PerRouteConfig, type RequirementRule } from '@meltemi/api/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts';
import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import { compileRequestMatcher, refuse, Report, use, type FieldTable, type RequestMatcher } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { checkSettings } from '../../check-settings.ts';
import { compileProvider, type Provider } from './provider.ts';
import { compileRequirement, type Requirement } from './requirement.ts';

/** What a jwt_authn config compiles to. */
export interface JwtConfig {
  readonly providers: readonly Provider[];
  /** The first that matches counts. */
  readonly rules: readonly { readonly match: RequestMatcher; readonly requirement: Requirement }[];
  /** By name: for routes. */
  readonly requirements: ReadonlyMap<string, Requirement>;
  readonly bypassPreflight: boolean;
  readonly stripResponse: boolean;
}

/** What a route says: null switches the filter off. */
export interface JwtRouteConfig {
  readonly requirement: string | null;
}

const fields: FieldTable<JwtAuthentication> = {
  providers: use, rules: use, requirementMap: use, bypassCorsPreflight: use, stripFailureResponse: use,
  filterStateRules: refuse('requirements by filter state are not supported: use rules or a per-route requirement_name'),
};

export function parseJwtConfig(bytes: Uint8Array, ctx: ParseContext): Result<JwtConfig> {
  const message = JwtAuthentication.decode(bytes);
  const errors: FieldError[] = checkSettings(message, fields, ctx);
  const providers = Object.entries(message.providers).flatMap(([name, provider]) => taken(compileProvider(name, provider, { ...ctx, path: `${ctx.path}.providers["${name}"]` }), errors));
  const names = new Set(Object.keys(message.providers));
  const requirements = new Map(Object.entries(message.requirementMap).flatMap(([name, requirement]) =>
    taken(compileRequirement(requirement, `${ctx.path}.requirement_map["${name}"]`, names), errors).map((compiled) => [name, compiled] as const)));
  const rules = message.rules.flatMap((rule, i) => taken(compileRule(rule, `${ctx.path}.rules[${i}]`, { names, requirements, warn: (at, reason) => ctx.warn(at, reason) }), errors));
  if (errors.length > 0) return err(errors);
  return ok({ providers, rules, requirements, bypassPreflight: message.bypassCorsPreflight, stripResponse: message.stripFailureResponse });
}

export function parseJwtRoute(bytes: Uint8Array, { path }: ParseContext): Result<JwtRouteConfig> {
  const specifier = PerRouteConfig.decode(bytes).requirementSpecifier;
  if (specifier?.$case === 'disabled') return specifier.value ? ok({ requirement: null }) : fail(`${path}.disabled`, 'must be true: leave the settings out instead');
  return ok({ requirement: specifier?.value ?? '' });
}

/** The value as a list; errors go to `errors`. */
function taken<T>(result: Result<T>, errors: FieldError[]): T[] {
  if (result.ok) return [result.value];
  errors.push(...result.error);
  return [];
}

interface RuleScope {
  readonly names: ReadonlySet<string>;
  readonly requirements: ReadonlyMap<string, Requirement>;
  readonly warn: ParseContext['warn'];
}

function compileRule({ match, requirementType }: RequirementRule, path: string, { names, requirements, warn }: RuleScope): Result<JwtConfig['rules'][number]> {
  if (match === undefined) return fail(`${path}.match`, 'is required');
  const report = new Report();
  const matcher = compileRequestMatcher(match, `${path}.match`, report);
  for (const { path: at, message } of report.warnings) warn(at, message);
  if (report.errors.length > 0 || matcher === null) return err(report.errors);
  if (requirementType?.$case === 'requirementName') {
    const requirement = requirements.get(requirementType.value);
    return requirement === undefined ? fail(`${path}.requirement_name`, `"${requirementType.value}" is not in requirement_map`) : ok({ match: matcher, requirement });
  }
  const requirement = compileRequirement(requirementType?.value, `${path}.requires`, names);
  return requirement.ok ? ok({ match: matcher, requirement: requirement.value }) : requirement;
}
