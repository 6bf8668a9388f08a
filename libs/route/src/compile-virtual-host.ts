import type { Route as RouteMessage, Tracing as TracingMessage, VirtualHost as VirtualHostMessage, WeightedCluster } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { always, compileFraction, compileHeaderMatchers } from '@meltemi/match';
import { compileCustomTags } from './custom-tags.ts';
import { checkFields } from './fields.ts';
import { clusterWeightFields, routeFields, virtualHostFields, weightedClusterFields } from './field-tables.ts';
import { compileForward, compileMirrors, forWeightedCluster } from './forward-action.ts';
import { compileHeaderLevel, type LevelOps } from './header-ops.ts';
import { compileHostMatcher, ruleSet, type HostMatcher, type RuleSet } from './host-matcher.ts';
import { compileDirect, compileRedirect } from './local-actions.ts';
import { plainMetadata } from './metadata-criteria.ts';
import type { PathMatch } from './path-match.ts';
import { compilePerFilter, type PerFilters } from './per-filter.ts';
import { compileRateLimits } from './rate-limits.ts';
import type { Report } from './report.ts';
import { compileConditions, RouteRule } from './route-rule.ts';
import type { MirrorPolicy, PerFilterParser, RateLimitRule, RouteAction, RouteMatch, RouteRateLimits, RouteTracing, VirtualCluster, VirtualHost } from './types.ts';

/** What the table hands down to its virtual hosts. */
export interface TableScope {
  readonly headers: LevelOps;
  readonly perFilter: PerFilters;
  readonly mirrors: readonly MirrorPolicy[];
  readonly maxDirectBodyBytes: number;
  /** most_specific_header_mutations_wins: the table's operations run first instead of last. */
  readonly mostSpecificWins: boolean;
  readonly parsePerFilter: PerFilterParser;
  readonly report: Report;
}

/** A virtual host as the table runs it; with a matcher its own rules are those of all actions. */
export interface CompiledVirtualHost extends VirtualHost, RuleSet {
  /** Chooses the rules to ask; null = all of them. */
  readonly matcher: HostMatcher['tree'] | null;
}

interface HostScope extends TableScope {
  readonly host: VirtualHostMessage;
  readonly path: string;
  readonly hostHeaders: LevelOps;
  readonly hostRateLimits: readonly RateLimitRule[];
  readonly virtualClusters: readonly VirtualCluster[];
}

const tls = ['none', 'external-only', 'all'] as const;

/** Compiles a virtual host and its routes. */
export function compileVirtualHost(host: VirtualHostMessage, table: TableScope, path: string): CompiledVirtualHost {
  const { report } = table;
  checkFields(host, virtualHostFields, path, report);
  if (host.name === '') report.refuse(`${path}.name`, 'a virtual host needs a name');
  if (host.domains.length === 0) report.refuse(`${path}.domains`, 'a virtual host needs at least one domain');
  const requireTls = tls[host.requireTls as 0 | 1 | 2];
  if (requireTls === undefined) report.refuse(`${path}.require_tls`, `${host.requireTls} is not known`);
  const mirrors = compileMirrors(host.requestMirrorPolicies, `${path}.request_mirror_policies`, report);
  const scope: HostScope = {
    ...table, host, path, mirrors: mirrors.length > 0 ? mirrors : table.mirrors, hostHeaders: compileHeaderLevel(host, path, report),
    virtualClusters: compileVirtualClusters(host, path, report),
    hostRateLimits: compileRateLimits(host.rateLimits, `${path}.rate_limits`, report),
    perFilter: compilePerFilter(host.typedPerFilterConfig, table.perFilter, table.parsePerFilter, { path, report }),
  };
  if (host.matcher !== undefined && host.routes.length > 0) report.refuse(`${path}.matcher`, 'a virtual host has either routes or a matcher');
  const listed = host.routes.flatMap((route, i) => compileRoute(route, scope, `${path}.routes[${i}]`));
  const matcher = host.matcher === undefined ? null : compileHostMatcher(host.matcher, `${path}.matcher`, report, (route, at) => compileRoute(route, scope, at));
  const { rules, index } = ruleSet(matcher?.rules ?? listed);
  const tree = matcher?.tree ?? null;
  const routesFor: VirtualHost['routesFor'] = (request) => (tree === null ? rules : (tree.match(request)?.rules ?? null));
  return { name: host.name, domains: host.domains, requireTls: requireTls ?? 'all', routes: rules, routesFor, rules, index, matcher: tree };
}

function compileRoute(route: RouteMessage, scope: HostScope, path: string): RouteRule[] {
  const { report } = scope;
  checkFields(route, routeFields, path, report);
  if (!route.match) {
    report.refuse(`${path}.match`, 'is required');
    return [];
  }
  const when = compileConditions(route.match, `${path}.match`, report);
  if (!when) return [];
  const level: RouteLevel = {
    route, scope,
    headers: compileHeaderLevel(route, path, report),
    rateLimits: routeRateLimits(route, scope, path),
    tracing: route.tracing ? compileRouteTracing(route.tracing, `${path}.tracing`, report) : null,
    perFilter: compilePerFilter(route.typedPerFilterConfig, scope.perFilter, scope.parsePerFilter, { path, report }),
  };
  const outcomes = compileOutcomes(level, when.path, path);
  return outcomes.matches.length === 0 ? [] : [new RouteRule(route.name, when, outcomes.matches, outcomes.weights)];
}

interface RouteLevel {
  readonly route: RouteMessage;
  readonly scope: HostScope;
  readonly headers: LevelOps;
  readonly perFilter: PerFilters;
  readonly rateLimits: RouteRateLimits | null;
  readonly tracing: RouteTracing | null;
}

interface Outcomes {
  readonly matches: RouteMatch[];
  readonly weights: number[];
}

const none: LevelOps = { request: [], response: [] };

function compileOutcomes(level: RouteLevel, match: PathMatch, path: string): Outcomes {
  const { route, scope } = level;
  const action = route.action;
  const single = (value: RouteAction): Outcomes => ({ matches: [outcome(level, value, none, level.perFilter)], weights: [1] });
  switch (action?.$case) {
    case 'route': {
      const base = compileForward(action.value, { virtualHost: scope.host, hostPath: scope.path, route, match, mirrors: scope.mirrors }, `${path}.route`, scope.report);
      const specifier = action.value.clusterSpecifier;
      if (specifier?.$case === 'weightedClusters') return compileWeighted(level, specifier.value, base, `${path}.route.weighted_clusters`);
      if (!base.cluster && !base.clusterHeader) scope.report.refuse(`${path}.route`, 'needs a cluster, cluster_header or weighted_clusters');
      return single(base);
    }
    case 'redirect':
      return single(compileRedirect(action.value, match, `${path}.redirect`, scope.report));
    case 'directResponse':
      return single(compileDirect(action.value, scope.maxDirectBodyBytes, `${path}.direct_response`, scope.report));
    case 'nonForwardingAction':
      return single({ kind: 'non-forwarding' });
    default:
      if (!action) scope.report.refuse(path, 'needs route, redirect, direct_response or non_forwarding_action');
      return { matches: [], weights: [] };
  }
}

function compileWeighted(level: RouteLevel, weighted: WeightedCluster, base: ReturnType<typeof compileForward>, path: string): Outcomes {
  const { scope } = level;
  const { report } = scope;
  checkFields(weighted, weightedClusterFields, path, report);
  const result: Outcomes = { matches: [], weights: [] };
  let total = 0;
  for (const [i, cluster] of weighted.clusters.entries()) {
    const at = `${path}.clusters[${i}]`;
    checkFields(cluster, clusterWeightFields, at, report);
    if ((cluster.name === '') === (cluster.clusterHeader === '')) report.refuse(at, 'needs either name or cluster_header');
    const weight = cluster.weight ?? 0;
    total += weight;
    const perFilter = compilePerFilter(cluster.typedPerFilterConfig, level.perFilter, scope.parsePerFilter, { path: at, report });
    const compiled = outcome(level, forWeightedCluster(base, cluster), compileHeaderLevel(cluster, at, report), perFilter);
    if (weight > 0) {
      result.matches.push(compiled);
      result.weights.push(weight);
    }
  }
  if (total === 0 || total > 0xffffffff) report.refuse(path, 'the sum of the weights must be 1 to 4294967295');
  if (weighted.totalWeight !== undefined && weighted.totalWeight !== total) report.refuse(`${path}.total_weight`, `is ${weighted.totalWeight}, the weights add up to ${total}`);
  return result;
}

function outcome(level: RouteLevel, action: RouteAction, clusterHeaders: LevelOps, perFilter: PerFilters): RouteMatch {
  const { route, scope } = level;
  const levels = [clusterHeaders, level.headers, scope.hostHeaders, scope.headers];
  if (scope.mostSpecificWins) levels.reverse();
  return {
    routeName: route.name,
    virtualHostName: scope.host.name,
    action,
    requestHeaders: levels.flatMap((ops) => ops.request),
    responseHeaders: levels.flatMap((ops) => ops.response),
    perFilter,
    metadata: plainMetadata(route.metadata),
    decoratorOperation: route.decorator?.operation || null,
    decoratorPropagate: route.decorator?.propagate ?? true,
    tracing: level.tracing,
    statPrefix: route.statPrefix,
    rateLimits: level.rateLimits,
    virtualClusters: scope.virtualClusters,
  };
}

function compileVirtualClusters(host: VirtualHostMessage, path: string, report: Report): VirtualCluster[] {
  const named = host.virtualClusters.map(({ name, headers }, i): VirtualCluster => {
    const at = `${path}.virtual_clusters[${i}]`;
    if (name === '') report.refuse(`${at}.name`, 'a virtual cluster needs a name');
    if (headers.length === 0) report.refuse(`${at}.headers`, 'a virtual cluster needs conditions');
    return { name, virtualHostName: host.name, headers: report.take(compileHeaderMatchers(headers, `${at}.headers`), []) };
  });
  return named.length === 0 ? [] : [...named, { name: 'other', virtualHostName: host.name, headers: [] }];
}

function compileRouteTracing(tracing: TracingMessage, path: string, report: Report): RouteTracing {
  return {
    clientSampling: compileFraction(tracing.clientSampling, always), randomSampling: compileFraction(tracing.randomSampling, always), overallSampling: compileFraction(tracing.overallSampling, always),
    customTags: compileCustomTags(tracing.customTags, `${path}.custom_tags`, report),
  };
}

function routeRateLimits(route: RouteMessage, scope: HostScope, path: string): RouteRateLimits | null {
  const action = route.action?.$case === 'route' ? route.action.value : null;
  const own = action === null ? [] : compileRateLimits(action.rateLimits, `${path}.route.rate_limits`, scope.report);
  if (own.length === 0 && scope.hostRateLimits.length === 0) return null;
  return { route: own, virtualHost: scope.hostRateLimits, includeVirtualHost: action?.includeVhRateLimits ?? false };
}
