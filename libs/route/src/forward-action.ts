import type {
  Route, RouteAction as RouteActionMessage, RouteAction_RequestMirrorPolicy, VirtualHost, WeightedCluster_ClusterWeight,
} from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import { UriTemplateRewriteConfig } from '@meltemi/api/gen/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite.ts';
import { always, compileFraction } from '@meltemi/match';
import { compileCors, inheritCors } from './cors.ts';
import { durationMs } from './duration.ts';
import { checkFields } from './fields.ts';
import { connectFields, hedgePolicyFields, mirrorFields, routeActionFields, upgradeFields } from './field-tables.ts';
import { compileHash } from './hash-policy.ts';
import { compileInternalRedirect } from './internal-redirect.ts';
import { metadataCriteria } from './metadata-criteria.ts';
import type { PathMatch } from './path-match.ts';
import { compileRewrite } from './regex-rewrite.ts';
import type { Report } from './report.ts';
import { compileRetryPolicy } from './retry-policy.ts';
import type { ForwardAction, HostRewrite, MirrorPolicy, PathRewrite } from './types.ts';

/** Envoy's request timeout when a route sets none. */
const defaultTimeoutMs = 15_000;
const notFoundStatus = [503, 404, 500] as const;

/** What a route's action inherits. */
export interface ForwardScope {
  readonly virtualHost: VirtualHost;
  readonly route: Route;
  readonly match: PathMatch;
  /** Field path of the virtual host, for what it lends. */
  readonly hostPath: string;
  /** The virtual host's mirrors, or the table's. */
  readonly mirrors: readonly MirrorPolicy[];
}

/** Compiles RouteAction without its choice of cluster: `cluster` and `clusterHeader` are the single cluster's, or null under weights. */
export function compileForward(action: RouteActionMessage, scope: ForwardScope, path: string, report: Report): ForwardAction {
  checkFields(action, routeActionFields, path, report);
  const { virtualHost, route } = scope;
  const specifier = action.clusterSpecifier;
  const retry = action.retryPolicy ?? virtualHost.retryPolicy;
  const limits = grpcLimits(action);
  const hedge = action.hedgePolicy ?? virtualHost.hedgePolicy;
  if (hedge) checkFields(hedge, hedgePolicyFields, `${action.hedgePolicy ? path : scope.hostPath}.hedge_policy`, report);
  const own = compileMirrors(action.requestMirrorPolicies, `${path}.request_mirror_policies`, report);
  return {
    kind: 'forward',
    cluster: specifier?.$case === 'cluster' ? specifier.value : null,
    clusterHeader: specifier?.$case === 'clusterHeader' ? specifier.value.toLowerCase() : null,
    clusterNotFoundStatus: notFoundStatus[action.clusterNotFoundResponseCode as 0 | 1 | 2] ?? 503,
    metadataMatch: metadataCriteria(action.metadataMatch),
    pathRewrite: compilePathRewrite(action, scope.match, path, report),
    hostRewrite: compileHostRewrite(action, path, report),
    appendXForwardedHost: action.appendXForwardedHost,
    timeoutMs: durationMs(action.timeout, defaultTimeoutMs),
    idleTimeoutMs: durationMs(action.idleTimeout, null),
    maxStreamDurationMs: durationMs(action.maxStreamDuration?.maxStreamDuration, null),
    timesStream: action.maxStreamDuration !== undefined,
    grpcTimeoutHeaderMaxMs: limits.maxMs,
    grpcTimeoutHeaderOffsetMs: limits.offsetMs,
    retry: retry ? compileRetryPolicy(retry, `${action.retryPolicy ? path : scope.hostPath}.retry_policy`, report) : null,
    internalRedirect: compileInternalRedirect(action, path, report),
    hedgeOnTryTimeout: hedge?.hedgeOnPerTryTimeout ?? false,
    mirrors: own.length > 0 ? own : scope.mirrors,
    cors: inheritCors(compileCors(action.cors, `${path}.cors`, report), compileCors(virtualHost.cors, `${scope.hostPath}.cors`, report)),
    hashPolicy: action.hashPolicy.flatMap((policy, i) => compileHash(policy, `${path}.hash_policy[${i}]`, report)),
    upgrades: compileUpgrades(action, path, report),
    terminatesConnect: action.upgradeConfigs.some((upgrade) => upgrade.upgradeType.toLowerCase() === 'connect' && upgrade.connectConfig !== undefined),
    terminatesPost: action.upgradeConfigs.some(({ connectConfig }) => connectConfig?.allowPost === true),
    priority: action.priority === 1 ? 'high' : 'default',
    includeAttemptCountInRequest: virtualHost.includeRequestAttemptCount,
    includeAttemptCountInResponse: virtualHost.includeAttemptCountInResponse,
    includeTimeoutRetry: virtualHost.includeIsTimeoutRetryHeader,
    bufferLimitBytes: route.perRequestBufferLimitBytes ?? virtualHost.perRequestBufferLimitBytes ?? null,
  };
}

/** The action of one weighted cluster: its own name, metadata and host over the route's. */
export function forWeightedCluster(base: ForwardAction, cluster: WeightedCluster_ClusterWeight): ForwardAction {
  return {
    ...base,
    cluster: cluster.name === '' ? null : cluster.name,
    clusterHeader: cluster.name === '' ? cluster.clusterHeader.toLowerCase() : null,
    metadataMatch: metadataCriteria(cluster.metadataMatch, base.metadataMatch),
    hostRewrite: cluster.hostRewriteSpecifier ? { kind: 'literal', value: cluster.hostRewriteSpecifier.value } : base.hostRewrite,
  };
}

/** Compiles mirror policies. */
export function compileMirrors(policies: readonly RouteAction_RequestMirrorPolicy[], path: string, report: Report): MirrorPolicy[] {
  return policies.map((policy, i) => {
    checkFields(policy, mirrorFields, `${path}[${i}]`, report);
    if ((policy.cluster === '') === (policy.clusterHeader === '')) report.refuse(`${path}[${i}]`, 'a mirror needs either cluster or cluster_header');
    return {
      cluster: policy.cluster === '' ? null : policy.cluster,
      clusterHeader: policy.clusterHeader === '' ? null : policy.clusterHeader.toLowerCase(),
      fraction: compileFraction(policy.runtimeFraction?.defaultValue, always),
      appendShadowSuffix: !policy.disableShadowHostSuffixAppend,
      traceSampled: policy.traceSampled ?? null,
    };
  });
}

/** What prefix_rewrite means depends on how the path matched: prefixes are swapped, everything else is replaced whole. */
export function prefixRewrite(replacement: string, match: PathMatch): PathRewrite {
  const prefix = match.kind === 'prefix' || match.kind === 'separated';
  return prefix ? { kind: 'prefix', matchedLength: match.literal.length, replacement } : { kind: 'full', replacement };
}

function compilePathRewrite(action: RouteActionMessage, match: PathMatch, path: string, report: Report): PathRewrite | null {
  const { prefixRewrite: prefix, regexRewrite: regex, pathRewritePolicy: policy } = action;
  if ([prefix !== '', regex !== undefined, policy !== undefined].filter(Boolean).length > 1) report.refuse(`${path}.${policy ? 'path_rewrite_policy' : 'regex_rewrite'}`, 'only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be set');
  if (policy) return templateRewrite(policy, match, `${path}.path_rewrite_policy`, report);
  if (regex) {
    const compiled = compileRewrite(regex, `${path}.regex_rewrite`, report);
    return compiled && { kind: 'regex', regex: compiled };
  }
  return prefix === '' ? null : prefixRewrite(prefix, match);
}

const templateUrl = 'type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig';

function templateRewrite({ typedConfig: any }: TypedExtensionConfig, { template }: PathMatch, path: string, report: Report): PathRewrite | null {
  if (any?.typeUrl !== templateUrl) report.refuse(path, `${any?.typeUrl ?? 'nothing'} is not a path rewrite of this proxy: there are URI templates`);
  else if (template === undefined) report.refuse(path, 'needs a match by path_match_policy with a URI template');
  else {
    const regex = report.take(template.rewriter(UriTemplateRewriteConfig.decode(any.value).pathTemplateRewrite, `${path}.typed_config.path_template_rewrite`), null);
    return regex && { kind: 'regex', regex };
  }
  return null;
}

function compileHostRewrite(action: RouteActionMessage, path: string, report: Report): HostRewrite | null {
  const rewrite = action.hostRewriteSpecifier;
  switch (rewrite?.$case) {
    case undefined:
      return null;
    case 'hostRewriteLiteral':
      return rewrite.value === '' ? null : { kind: 'literal', value: rewrite.value };
    case 'hostRewriteHeader':
      return { kind: 'header', name: rewrite.value.toLowerCase() };
    case 'autoHostRewrite':
      return rewrite.value === true ? { kind: 'auto' } : null;
    case 'hostRewritePathRegex': {
      const regex = compileRewrite(rewrite.value, `${path}.host_rewrite_path_regex`, report);
      return regex && { kind: 'path-regex', regex };
    }
  }
}

function grpcLimits(action: RouteActionMessage): { maxMs: number | null; offsetMs: number } {
  const duration = action.maxStreamDuration;
  if (duration) return { maxMs: durationMs(duration.grpcTimeoutHeaderMax, null), offsetMs: durationMs(duration.grpcTimeoutHeaderOffset, 0) };
  return { maxMs: durationMs(action.maxGrpcTimeout, null), offsetMs: durationMs(action.grpcTimeoutOffset, 0) };
}

function compileUpgrades(action: RouteActionMessage, path: string, report: Report): ReadonlyMap<string, boolean> {
  const upgrades = new Map<string, boolean>();
  for (const [i, upgrade] of action.upgradeConfigs.entries()) {
    const at = `${path}.upgrade_configs[${i}]`;
    checkFields(upgrade, upgradeFields, at, report);
    if (upgrade.connectConfig) checkFields(upgrade.connectConfig, connectFields, `${at}.connect_config`, report);
    const type = upgrade.upgradeType.toLowerCase();
    if (upgrade.connectConfig && type !== 'connect') report.refuse(`${at}.connect_config`, 'belongs to upgrade_type CONNECT alone');
    if (upgrades.has(type)) report.refuse(`${at}.upgrade_type`, `"${upgrade.upgradeType}" is listed twice`);
    upgrades.set(type, upgrade.enabled ?? true);
  }
  return upgrades;
}
