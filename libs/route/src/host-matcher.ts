import { Route, RouteList } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { Matcher } from '@meltemi/api/gen/xds/type/matcher/v3/matcher.ts';
import { fail, ok } from '@meltemi/base';
import type { RequestHead } from '@meltemi/http';
import { compileMatcher, headInputs, type MatcherKind, type MatchTree } from '@meltemi/match';
import type { Report } from './report.ts';
import type { RouteRule } from './route-rule.ts';
import { RuleIndex } from './rule-index.ts';

/** Rules that are asked in turn. */
export interface RuleSet {
  readonly rules: readonly RouteRule[];
  /** Null when the rules are few. */
  readonly index: RuleIndex | null;
}

export function ruleSet(rules: readonly RouteRule[]): RuleSet {
  return { rules, index: RuleIndex.of(rules.map((rule) => rule.path)) };
}

export interface HostMatcher {
  /** The rules that a request comes to. Their own conditions are still asked, and nothing else when none of them holds. */
  readonly tree: MatchTree<RequestHead, RuleSet>;
  /** Of all actions. */
  readonly rules: readonly RouteRule[];
}

const prefix = 'type.googleapis.com/envoy.config.route.v3.';

/**
 * Compiles VirtualHost.matcher, whose actions are a Route or a RouteList and whose inputs are fields of the request; null when it was
 * refused. Source: the comment of VirtualHost.matcher, Envoy's source/common/router/config_impl.cc and matcher_visitor.cc.
 */
export function compileHostMatcher(message: Matcher, path: string, report: Report, compileRoute: (route: Route, path: string) => RouteRule[]): HostMatcher | null {
  const rules: RouteRule[] = [];
  const action: MatcherKind<RequestHead, RuleSet>['action'] = ({ typedConfig }, at) => {
    const own = `${at}.typed_config`;
    const found = typedConfig?.typeUrl === `${prefix}Route` ? compileRoute(Route.decode(typedConfig.value), own)
      : typedConfig?.typeUrl === `${prefix}RouteList` ? RouteList.decode(typedConfig.value).routes.flatMap((route, i) => compileRoute(route, `${own}.routes[${i}]`))
      : null;
    if (found === null) return fail(own, 'must be a Route or a RouteList of envoy.config.route.v3');
    rules.push(...found);
    return ok(ruleSet(found));
  };
  const tree = report.take(compileMatcher(message, path, { inputs: headInputs, action }), null);
  return tree && { tree, rules };
}
