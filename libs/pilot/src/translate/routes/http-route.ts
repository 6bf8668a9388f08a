import type { ConsistentHashLb, Destination, HeaderOperations, Headers, HttpMatchRequest, HttpMirrorPolicy, HttpRedirect, HttpRoute, HttpRouteDestination } from '@meltemi/config';
import { DataSource, HeaderValue, HeaderValueOption, HeaderValueOption_HeaderAppendAction, Metadata } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import {
  RedirectAction, RedirectAction_RedirectResponseCode, Route, RouteAction, RouteAction_HashPolicy, RouteAction_MaxStreamDuration, RouteAction_RequestMirrorPolicy, WeightedCluster,
  WeightedCluster_ClusterWeight, type RouteMatch,
} from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { outboundCluster } from '@meltemi/xds';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import type { Service } from '../../registry/model.ts';
import { selects } from '../../registry/workloads.ts';
import { destinationRuleOf } from '../clusters/outbound.ts';
import { effectivePolicy } from '../clusters/traffic-policy.ts';
import { routeCors } from '../features/cors.ts';
import { routeFault } from '../features/fault.ts';
import { create, duration, fractionalPercent, regex } from '../message.ts';
import { matchesAll, pathPattern, routeMatch } from './matchers.ts';
import { retryPolicy } from './retry.ts';

/** For whom routes are made. */
export interface RouteContext {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly scope: Scope;
  /** Port the client dialled, or the gateway server's. */
  readonly port: number;
  /** Names a match's `gateways` may hold to count here: "mesh", or the gateways that share the listener. */
  readonly gateways: ReadonlySet<string>;
  /** The TLS-terminated side of a gateway redirects to https by default. */
  readonly tls?: boolean;
}

/** The routes of a VirtualService that this client can reach, in order; what follows a catch-all is left out. */
export function virtualServiceRoutes(context: RouteContext, service: VirtualService): Route[] {
  const routes: Route[] = [];
  for (const route of service.spec.http) {
    const matches: (HttpMatchRequest | undefined)[] = route.match.length === 0 ? [undefined] : route.match.filter((match) => applies(context, match));
    for (const match of matches) {
      const translated = httpRoute(context, service, { route, match });
      routes.push(translated);
      if (translated.match && matchesAll(translated.match)) return routes;
    }
  }
  return routes;
}

/** Conditions on the client and the listener are settled here; the proxy sees what is left. */
function applies(context: RouteContext, match: HttpMatchRequest): boolean {
  if (match.gateways.length > 0 && !match.gateways.some((gateway) => context.gateways.has(gateway))) return false;
  if (match.port !== 0 && match.port !== context.port) return false;
  if (context.proxy.type === 'router') return true;
  if (match.sourceNamespace !== '' && match.sourceNamespace !== context.proxy.namespace) return false;
  return selects(match.sourceLabels, context.proxy.labels);
}

/** One service, no rule: everything goes there. */
export function defaultRoute(context: RouteContext, service: Service, port: number): Route {
  const match = routeMatch(undefined);
  const destination: HttpRouteDestination = { destination: { host: service.hostname, subset: '', port: { number: port } }, weight: 0 };
  return create(Route, { name: 'default', match, decorator: decorator(service.hostname, port, match), action: { $case: 'route', value: routeAction(context, emptyRoute, [destination]) } });
}

const emptyRoute: HttpRoute = { name: '', match: [], route: [], mirrors: [] };

type Matched = { readonly route: HttpRoute; readonly match: HttpMatchRequest | undefined };

function httpRoute(context: RouteContext, owner: VirtualService, { route, match }: Matched): Route {
  const envoyMatch = routeMatch(match);
  const name = [route.name, match?.name ?? ''].filter((part) => part !== '').join('.');
  const config = `/apis/networking.istio.io/v1alpha3/namespaces/${owner.namespace}/virtual-service/${owner.name}`;
  const first = route.route[0]?.destination;
  return create(Route, {
    name,
    match: envoyMatch,
    metadata: create(Metadata, { filterMetadata: { istio: { config } } }),
    ...(first ? { decorator: decorator(first.host, destinationPort(context, first), envoyMatch) } : {}),
    statPrefix: match?.statPrefix ?? '',
    ...headerOperations(route.headers),
    typedPerFilterConfig: perRoute(route),
    action: action(context, { route, match }),
  });
}

function action(context: RouteContext, matched: Matched): NonNullable<Route['action']> {
  const { route } = matched;
  if (route.redirect) return { $case: 'redirect', value: redirectAction(context, route.redirect) };
  if (route.directResponse) {
    const { status, body } = route.directResponse;
    const specifier: DataSource['specifier'] = body?.string !== undefined ? { $case: 'inlineString', value: body.string } : body?.bytes ? { $case: 'inlineBytes', value: Buffer.from(body.bytes) } : undefined;
    return { $case: 'directResponse', value: { status, ...(specifier ? { body: create(DataSource, { specifier }) } : {}) } };
  }
  return { $case: 'route', value: routeAction(context, route, route.route) };
}

function routeAction(context: RouteContext, route: HttpRoute, destinations: readonly HttpRouteDestination[]): RouteAction {
  const timeout = route.timeout ?? 0;
  const hashPolicy = destinations.flatMap((entry) => hashPolicies(context, entry.destination));
  const host = headerHost(route.headers) ?? (destinations.length === 1 ? headerHost(destinations[0]?.headers) : undefined);
  const authority = route.rewrite?.authority || host;
  return create(RouteAction, {
    clusterSpecifier: clusterSpecifier(context, destinations),
    ...timeouts(context.proxy, timeout),
    retryPolicy: retryPolicy(route.retries, { mesh: context.push.mesh, hashed: hashPolicy.length > 0 }),
    requestMirrorPolicies: mirrors(route).map((mirror) => mirrorPolicy(context, mirror)),
    hashPolicy,
    ...pathRewrite(route),
    ...(authority === undefined || authority === '' ? {} : { hostRewriteSpecifier: { $case: 'hostRewriteLiteral', value: authority } as const }),
  });
}

/** Istio's timeouts default to none; proxyless gRPC reads another field. */
function timeouts(proxy: Proxy, timeout: number): Partial<RouteAction> {
  if (!proxy.proxyless) return { timeout: duration(timeout), maxGrpcTimeout: duration(timeout) };
  return timeout === 0 ? {} : { maxStreamDuration: create(RouteAction_MaxStreamDuration, { maxStreamDuration: duration(timeout) }) };
}

function clusterSpecifier(context: RouteContext, destinations: readonly HttpRouteDestination[]): NonNullable<RouteAction['clusterSpecifier']> {
  const [only] = destinations;
  if (!only) return { $case: 'cluster', value: 'BlackHoleCluster' };
  // headers of one destination need the weighted form, which can hold them
  if (destinations.length === 1 && !only.headers) return { $case: 'cluster', value: clusterOf(context, only.destination) };
  const total = destinations.reduce((sum, entry) => sum + entry.weight, 0);
  const clusters = destinations
    .filter((entry) => entry.weight > 0 || total === 0)
    .map((entry) => {
      const literal = destinations.length === 1 ? undefined : headerHost(entry.headers);
      return create(WeightedCluster_ClusterWeight, {
        name: clusterOf(context, entry.destination),
        weight: total === 0 ? 1 : entry.weight,
        ...headerOperations(entry.headers),
        ...(literal === undefined ? {} : { hostRewriteSpecifier: { $case: 'hostRewriteLiteral', value: literal } as const }),
      });
    });
  return { $case: 'weightedClusters', value: create(WeightedCluster, { clusters }) };
}

/** "outbound|9080|v1|reviews…": the destination's cluster. */
export function clusterOf(context: Pick<RouteContext, 'scope' | 'port'>, destination: Destination): string {
  return outboundCluster(destinationPort(context, destination), destination.host, destination.subset);
}

/** The port asked for, else the service's only one, else the one the client dialled. */
function destinationPort({ scope, port }: Pick<RouteContext, 'scope' | 'port'>, destination: Destination): number {
  const wanted = destination.port?.number ?? 0;
  if (wanted !== 0) return wanted;
  const ports = scope.byHost.get(destination.host)?.ports ?? [];
  return ports.length === 1 ? (ports[0]?.number ?? port) : port;
}

function mirrors(route: HttpRoute): HttpMirrorPolicy[] {
  const list = [...route.mirrors];
  if (route.mirror) list.unshift({ destination: route.mirror, percentage: route.mirrorPercentage ?? { value: route.mirrorPercent ?? 100 } });
  return list.filter((mirror) => mirror.percentage === undefined || mirror.percentage.value > 0);
}

function mirrorPolicy(context: RouteContext, mirror: HttpMirrorPolicy): RouteAction_RequestMirrorPolicy {
  return create(RouteAction_RequestMirrorPolicy, {
    cluster: clusterOf(context, mirror.destination),
    runtimeFraction: { defaultValue: fractionalPercent(mirror.percentage?.value ?? 100), runtimeKey: '' },
    traceSampled: false,
    disableShadowHostSuffixAppend: true,
  });
}

function pathRewrite({ rewrite }: HttpRoute): Partial<RouteAction> {
  if (rewrite?.uriRegexRewrite) return { regexRewrite: { pattern: regex(rewrite.uriRegexRewrite.match), substitution: rewrite.uriRegexRewrite.rewrite } };
  return rewrite && rewrite.uri !== '' ? { prefixRewrite: rewrite.uri } : {};
}

const redirectCodes: Readonly<Record<number, RedirectAction_RedirectResponseCode>> = {
  0: RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  301: RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  302: RedirectAction_RedirectResponseCode.FOUND,
  303: RedirectAction_RedirectResponseCode.SEE_OTHER,
  307: RedirectAction_RedirectResponseCode.TEMPORARY_REDIRECT,
  308: RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT,
};

function redirectAction(context: RouteContext, redirect: HttpRedirect): RedirectAction {
  const path: RedirectAction['pathRewriteSpecifier'] =
    redirect.uri !== '' ? { $case: 'pathRedirect', value: redirect.uri } : redirect.prefixRewrite !== '' ? { $case: 'prefixRewrite', value: redirect.prefixRewrite } : undefined;
  return create(RedirectAction, {
    hostRedirect: redirect.authority,
    portRedirect: redirect.port ?? (redirect.derivePort === 'FROM_REQUEST_PORT' ? context.port : 0),
    ...(path ? { pathRewriteSpecifier: path } : {}),
    ...(redirect.scheme === '' ? {} : { schemeRewriteSpecifier: { $case: 'schemeRedirect', value: redirect.scheme } as const }),
    responseCode: redirectCodes[redirect.redirectCode] ?? RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  });
}

function perRoute(route: HttpRoute): Route['typedPerFilterConfig'] {
  const fault = route.fault ? routeFault(route.fault) : undefined;
  return {
    ...(fault ? { 'envoy.filters.http.fault': fault } : {}),
    ...(route.corsPolicy ? { 'envoy.filters.http.cors': routeCors(route.corsPolicy) } : {}),
  };
}

type HeaderFields = Pick<Route, 'requestHeadersToAdd' | 'requestHeadersToRemove' | 'responseHeadersToAdd' | 'responseHeadersToRemove'>;

function headerOperations(headers: Headers | undefined): HeaderFields {
  return {
    requestHeadersToAdd: headersToAdd(headers?.request),
    requestHeadersToRemove: [...(headers?.request?.remove ?? [])],
    responseHeadersToAdd: headersToAdd(headers?.response),
    responseHeadersToRemove: [...(headers?.response?.remove ?? [])],
  };
}

function headersToAdd(operations: HeaderOperations | undefined): HeaderValueOption[] {
  const option = (appendAction: HeaderValueOption['appendAction']) => ([key, value]: [string, string]) =>
    create(HeaderValueOption, { header: create(HeaderValue, { key, value }), appendAction });
  const byName = ([a]: [string, string], [b]: [string, string]) => (a < b ? -1 : 1);
  return [
    ...Object.entries(operations?.add ?? {}).toSorted(byName).map(option(HeaderValueOption_HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD)),
    ...Object.entries(operations?.set ?? {}).filter(([key]) => !isHost(key)).toSorted(byName).map(option(HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD)),
  ];
}

/** Envoy sets the host by rewriting it, not as a header. */
function headerHost(headers: Headers | undefined): string | undefined {
  return Object.entries(headers?.request?.set ?? {}).find(([key]) => isHost(key))?.[1];
}

function isHost(name: string): boolean {
  return /^(host|:authority)$/i.test(name);
}

function decorator(host: string, port: number, match: RouteMatch): NonNullable<Route['decorator']> {
  return { operation: `${host}:${port}${pathPattern(match)}`, propagate: undefined };
}

function hashPolicies(context: RouteContext, destination: Destination): RouteAction_HashPolicy[] {
  const service = context.scope.byHost.get(destination.host);
  const rule = service ? destinationRuleOf(context.push, context.proxy, service) : undefined;
  const subset = rule?.subsets.find((candidate) => candidate.name === destination.subset);
  const hash = effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, destinationPort(context, destination)).loadBalancer?.consistentHash;
  const specifier = hash ? hashSpecifier(hash) : undefined;
  return specifier ? [create(RouteAction_HashPolicy, { policySpecifier: specifier })] : [];
}

function hashSpecifier(hash: ConsistentHashLb): RouteAction_HashPolicy['policySpecifier'] {
  if (hash.httpHeaderName !== undefined) return { $case: 'header', value: { headerName: hash.httpHeaderName, regexRewrite: undefined } };
  if (hash.httpCookie) {
    const { name, path, ttl, attributes } = hash.httpCookie;
    return { $case: 'cookie', value: { name, path, attributes: attributes.map((attribute) => ({ ...attribute })), ...(ttl === undefined ? {} : { ttl: duration(ttl) }) } };
  }
  if (hash.httpQueryParameterName !== undefined) return { $case: 'queryParameter', value: { name: hash.httpQueryParameterName } };
  return hash.useSourceIp === true ? { $case: 'connectionProperties', value: { sourceIp: true } } : undefined;
}
