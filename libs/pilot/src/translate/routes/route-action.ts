import type { HttpMirrorPolicy, HttpRoute, HttpRouteDestination } from '@meltemi/config';
import { RouteAction, RouteAction_ClusterNotFoundResponseCode, RouteAction_MaxStreamDuration, RouteAction_RequestMirrorPolicy, WeightedCluster, WeightedCluster_ClusterWeight, type RouteMatch } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { wellKnownClusters } from '@meltemi/xds';
import type { Proxy } from '../../proxy/proxy.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import { headersOf } from '../listeners/proxy-headers.ts';
import { create, duration, fractionalPercent, regex } from '../message.ts';
import type { RouteContext } from './context.ts';
import { clusterOf } from './destination.ts';
import { consistentHash, hashPolicy } from './hash-policy.ts';
import { headerHost, headerOperations } from './header-operations.ts';
import { retryPolicy } from './retry.ts';

/** Whose route it is, and what it matches. */
export interface RoutePlace {
  readonly owner: Pick<VirtualService, 'semantics'>;
  readonly match: RouteMatch;
}

/** Where a route sends its requests, and how. */
export function routeAction(context: RouteContext, route: HttpRoute, place: RoutePlace): RouteAction {
  const hashes = route.route.map(({ destination }) => consistentHash(context, destination));
  const [only] = route.route.length === 1 ? route.route : [];
  const host = route.rewrite?.authority || headerHost(route.headers) || headerHost(only?.headers);
  return create(RouteAction, {
    clusterSpecifier: clusterSpecifier(context, route.route),
    ...timeouts(context.proxy, route.timeout ?? 0),
    retryPolicy: retryPolicy(route.retries ?? context.push.mesh.defaultHttpRetryPolicy, { hashed: only !== undefined && hashes[0] !== undefined }),
    requestMirrorPolicies: mirrors(route).map((mirror) => mirrorPolicy(context, mirror)),
    hashPolicy: hashes.flatMap(hashPolicy),
    ...(place.owner.semantics === 'gateway' ? { clusterNotFoundResponseCode: RouteAction_ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR } : {}),
    ...pathRewrite(route, place),
    appendXForwardedHost: route.rewrite !== undefined && headersOf(context.push, context.proxy).xForwardedHost?.enabled === true,
    ...(host ? { hostRewriteSpecifier: { $case: 'hostRewriteLiteral', value: host } as const } : {}),
  });
}

/** Istio's timeouts default to none; proxyless gRPC reads another field. */
export function timeouts(proxy: Pick<Proxy, 'proxyless'>, timeout: number): Partial<RouteAction> {
  if (!proxy.proxyless) return { timeout: duration(timeout), maxGrpcTimeout: duration(timeout) };
  return timeout === 0 ? {} : { maxStreamDuration: create(RouteAction_MaxStreamDuration, { maxStreamDuration: duration(timeout) }) };
}

/** One destination takes all, whatever its weight; of several those without weight get nothing. */
function clusterSpecifier(context: RouteContext, destinations: readonly HttpRouteDestination[]): NonNullable<RouteAction['clusterSpecifier']> {
  const [only, second] = destinations;
  if (only && !second) return { $case: 'cluster', value: clusterOf(context, only.destination) };
  const weighted = destinations.filter(({ weight }) => weight > 0);
  // nothing that validation lets through; Envoy would refuse an empty list
  if (weighted.length === 0) return { $case: 'cluster', value: wellKnownClusters.blackHole };
  return { $case: 'weightedClusters', value: create(WeightedCluster, { clusters: weighted.map((entry) => clusterWeight(context, entry)) }) };
}

function clusterWeight(context: RouteContext, { destination, weight, headers }: HttpRouteDestination): WeightedCluster_ClusterWeight {
  const host = headerHost(headers);
  return create(WeightedCluster_ClusterWeight, {
    name: clusterOf(context, destination),
    weight,
    ...headerOperations(headers),
    ...(host ? { hostRewriteSpecifier: { $case: 'hostRewriteLiteral', value: host } as const } : {}),
  });
}

function mirrors(route: HttpRoute): HttpMirrorPolicy[] {
  const { mirror: destination, mirrorPercentage, mirrorPercent } = route;
  const first: HttpMirrorPolicy[] = destination ? [{ destination, percentage: mirrorPercentage ?? { value: mirrorPercent ?? 100 } }] : [];
  return [...first, ...route.mirrors].filter(({ percentage }) => percentage === undefined || percentage.value > 0);
}

function mirrorPolicy(context: RouteContext, mirror: HttpMirrorPolicy): RouteAction_RequestMirrorPolicy {
  return create(RouteAction_RequestMirrorPolicy, {
    cluster: clusterOf(context, mirror.destination),
    runtimeFraction: { defaultValue: fractionalPercent(mirror.percentage?.value ?? 100), runtimeKey: '' },
    traceSampled: false,
    disableShadowHostSuffixAppend: context.push.features.disableShadowHostSuffix,
  });
}

function pathRewrite({ rewrite }: HttpRoute, { owner, match }: RoutePlace): Partial<RouteAction> {
  if (rewrite?.uriRegexRewrite) return { regexRewrite: { pattern: regex(rewrite.uriRegexRewrite.match), substitution: rewrite.uriRegexRewrite.rewrite } };
  // "/" takes the matched segments away and keeps one slash
  if (rewrite?.uri === '/' && owner.semantics === 'gateway') return { regexRewrite: { pattern: regex(`^${quoted(segments(match))}(/?)(.*)`), substitution: '/\\2' } };
  return rewrite && rewrite.uri !== '' ? { prefixRewrite: rewrite.uri } : {};
}

function segments({ pathSpecifier: path }: RouteMatch): string {
  return path?.$case === 'pathSeparatedPrefix' ? path.value : '';
}

function quoted(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}
