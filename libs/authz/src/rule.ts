import { fail, ok, type Result } from '@meltemi/base';
import type { CidrRange } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import type { HeaderMatcher } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { UriTemplateMatchConfig } from '@meltemi/api/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts';
import type { MetadataMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/metadata.ts';
import type { PathMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/path.ts';
import { addressWithoutPort, pathOf, type StreamInfo } from '@meltemi/http';
import { compileAll, compileCidrs, compileHeaderMatcher, compileMetadataMatcher, compileStringMatcher, compileUriTemplate, type FieldSource } from '@meltemi/match';

/** A compiled permission or principal. @hot */
export interface Rule {
  matches(info: StreamInfo): boolean;
}

/** How permissions or principals may be nested. */
export const maxDepth = 64;

export const anyRule: Rule = { matches: () => true };

export function allOf(rules: readonly Rule[]): Rule {
  return {
    matches: (info) => {
      for (const rule of rules) if (!rule.matches(info)) return false;
      return true;
    },
  };
}

/** Nothing matches an empty list. */
export function oneOf(rules: readonly Rule[]): Rule {
  const [only] = rules;
  if (rules.length === 1 && only !== undefined) return only;
  return {
    matches: (info) => {
      for (const rule of rules) if (rule.matches(info)) return true;
      return false;
    },
  };
}

export function not(rule: Rule): Rule {
  return { matches: (info) => !rule.matches(info) };
}

/** Compiles the members of a set with `compile`; at least one is needed. */
export function compileSet<In>(members: readonly In[], path: string, compile: (member: In, path: string) => Result<Rule>): Result<Rule[]> {
  return members.length === 0 ? fail(path, 'needs at least one') : compileAll(members, path, compile);
}

/** A connection without HTTP has no headers. */
const noHeaders: FieldSource = { field: () => null };

export function headerRule(matcher: HeaderMatcher, path: string): Result<Rule> {
  const match = compileHeaderMatcher(matcher, path);
  return match.ok ? ok({ matches: (info) => match.value.matches(info.request ?? noHeaders) }) : match;
}

/** The path without query and fragment. */
export function pathRule(matcher: PathMatcher, path: string): Result<Rule> {
  const match = compileStringMatcher(matcher.rule?.value, `${path}.path`);
  if (!match.ok) return match;
  return ok({
    matches: ({ request }) => request !== null && request.path !== '' && match.value.matches(pathOf(request.path)),
  });
}

const uriTemplateType = 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';

/** The path without query and fragment, by Envoy's URI template extension. */
export function templateRule({ typedConfig }: TypedExtensionConfig, path: string): Result<Rule> {
  if (typedConfig?.typeUrl !== uriTemplateType) return fail(`${path}.typed_config`, `must be ${uriTemplateType}`);
  const match = compileUriTemplate(UriTemplateMatchConfig.decode(typedConfig.value).pathTemplate, `${path}.typed_config.path_template`);
  if (!match.ok) return match;
  return ok({ matches: ({ request }) => request !== null && match.value.matches(pathOf(request.path)) });
}

/** Dynamic metadata. */
export function metadataRule(matcher: MetadataMatcher, path: string): Result<Rule> {
  const match = compileMetadataMatcher(matcher, path);
  return match.ok ? ok({ matches: (info) => match.value.matches(info.dynamicMetadata) }) : match;
}

/** The address that `addressOf` gives, with its port, is in the range. */
export function addressRule(range: CidrRange, path: string, addressOf: (info: StreamInfo) => string): Result<Rule> {
  const set = compileCidrs([range], path);
  if (!set.ok) return { ok: false, error: set.error.map((error) => ({ ...error, path: error.path.replace(`${path}[0]`, path) })) };
  return ok({ matches: (info) => set.value.contains(addressWithoutPort(addressOf(info))) });
}
