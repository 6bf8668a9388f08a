import { fail, ok, type Result } from '@meltemi/base';
import type { CidrRange } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import type { HeaderMatcher } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { UriTemplateMatchConfig } from '@meltemi/api/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts';
import type { MetadataMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/metadata.ts';
import type { PathMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/path.ts';
import { addressWithoutPort, pathOf, type StreamInfo } from '@meltemi/http';
import { compileAll, compileCidr, compileHeaderMatcher, compileMetadataMatcher, compileStringMatcher, compileUriTemplate, inCidr, parseIp, type FieldSource } from '@meltemi/match';
import { headerNeeds, metadataNeeds, rangeNeeds, templateNeeds, textNeeds } from './indexed/atoms.ts';
import { addressDimension, pathDimension } from './indexed/dimensions.ts';
import { needsOfAny } from './indexed/need.ts';
import { RuleIndex } from './indexed/rule-index.ts';
import { anyRule, type Rule } from './logic.ts';

/** From so many on an index finds those that may match. */
export const manyRules = 12;

/** How permissions or principals may be nested. */
export const maxDepth = 64;

/** Nothing matches an empty list. */
export function oneOf(rules: readonly Rule[]): Rule {
  const [only] = rules;
  if (rules.length === 1 && only !== undefined) return only;
  if (rules.includes(anyRule)) return anyRule;
  const needs = needsOfAny(rules.map((rule) => rule.needs));
  if (rules.length < manyRules) {
    return {
      matches: (info) => {
        for (const rule of rules) if (rule.matches(info)) return true;
        return false;
      },
      needs,
    };
  }
  const index = RuleIndex.of(rules);
  return { matches: (info) => index.first(info, rules.length) < rules.length, needs };
}

/** Compiles the members of a set with `compile`; at least one is needed. */
export function compileSet<In>(members: readonly In[], path: string, compile: (member: In, path: string) => Result<Rule>): Result<Rule[]> {
  return members.length === 0 ? fail(path, 'needs at least one') : compileAll(members, path, compile);
}

/** A connection without HTTP has no headers. */
const noHeaders: FieldSource = { field: () => null };

export function headerRule(matcher: HeaderMatcher, path: string): Result<Rule> {
  const match = compileHeaderMatcher(matcher, path);
  return match.ok ? ok({ matches: (info) => match.value.matches(info.request ?? noHeaders), needs: headerNeeds(matcher) }) : match;
}

/** The path without query and fragment. */
export function pathRule(matcher: PathMatcher, path: string): Result<Rule> {
  const match = compileStringMatcher(matcher.rule?.value, `${path}.path`);
  if (!match.ok) return match;
  return ok({
    matches: ({ request }) => request !== null && request.path !== '' && match.value.matches(pathOf(request.path)),
    needs: textNeeds(pathDimension, matcher.rule?.value),
  });
}

const uriTemplateType = 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';

/** The path without query and fragment, by Envoy's URI template extension. */
export function templateRule({ typedConfig }: TypedExtensionConfig, path: string): Result<Rule> {
  if (typedConfig?.typeUrl !== uriTemplateType) return fail(`${path}.typed_config`, `must be ${uriTemplateType}`);
  const { pathTemplate } = UriTemplateMatchConfig.decode(typedConfig.value);
  const match = compileUriTemplate(pathTemplate, `${path}.typed_config.path_template`);
  if (!match.ok) return match;
  return ok({ matches: ({ request }) => request !== null && match.value.matches(pathOf(request.path)), needs: templateNeeds(pathTemplate) });
}

/** Dynamic metadata. */
export function metadataRule(matcher: MetadataMatcher, path: string): Result<Rule> {
  const match = compileMetadataMatcher(matcher, path);
  return match.ok ? ok({ matches: (info) => match.value.matches(info.dynamicMetadata), needs: metadataNeeds(matcher) }) : match;
}

/** An address, with its port, and what it is called in an index. */
export interface AddressSource {
  readonly id: string;
  readonly of: (info: StreamInfo) => string;
}

/** The address is in the range. */
export function addressRule(range: CidrRange, path: string, { id, of }: AddressSource): Result<Rule> {
  const cidr = compileCidr(range, path);
  if (!cidr.ok) return cidr;
  const matches = (info: StreamInfo): boolean => {
    const address = parseIp(addressWithoutPort(of(info)));
    return address !== null && inCidr(address, cidr.value);
  };
  return ok({ matches, needs: rangeNeeds(addressDimension(id, of), cidr.value) });
}
