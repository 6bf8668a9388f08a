import { selects, type HttpMatchRequest, type HttpRoute } from '@meltemi/config';
import { Metadata } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { Route, RouteAction } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { outboundCluster, parseClusterName } from '@meltemi/xds';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import { placeOf } from '../../push-context/written-at.ts';
import type { Service } from '../../registry/model.ts';
import { routeCors } from '../features/cors.ts';
import { routeFault } from '../features/fault.ts';
import { create } from '../message.ts';
import type { RouteContext } from './context.ts';
import { consistentHash, hashPolicy } from './hash-policy.ts';
import { headerOperations } from './header-operations.ts';
import { matchesAll, pathPattern, routeMatch } from './matchers.ts';
import { directResponseAction, redirectAction } from './redirect.ts';
import { retryPolicy } from './retry.ts';
import { routeAction, timeouts, type RoutePlace } from './route-action.ts';

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

/** Conditions on the client and the listener are settled here; the proxy sees what is left. Where a match names gateways, its source labels and namespace do not count. */
function applies({ proxy, port, gateways }: RouteContext, match: HttpMatchRequest): boolean {
  if (match.port !== 0 && match.port !== port) return false;
  if (match.gateways.length > 0) return match.gateways.some((gateway) => gateways.has(gateway));
  return selects(match.sourceLabels, proxy.labels) && (match.sourceNamespace === '' || match.sourceNamespace === proxy.namespace);
}

/** One service, no rule: everything goes there. */
export function defaultRoute(context: RouteContext, service: Service, port: number): Route {
  const action = create(RouteAction, {
    clusterSpecifier: { $case: 'cluster', value: outboundCluster(port, service.hostname) },
    ...timeouts(context.proxy, 0),
    // hashed or not: only a rule's routes want the same host again
    retryPolicy: retryPolicy(context.push.mesh.defaultHttpRetryPolicy, { hashed: false }),
    hashPolicy: hashPolicy(consistentHash(context, { host: service.hostname, subset: '', port: { number: port } })),
  });
  return create(Route, { name: 'default', match: routeMatch(undefined), decorator: operation(`${service.hostname}:${port}/*`), action: { $case: 'route', value: action } });
}

interface Matched {
  readonly route: HttpRoute;
  readonly match: HttpMatchRequest | undefined;
}

function httpRoute(context: RouteContext, owner: VirtualService, { route, match }: Matched): Route {
  const envoyMatch = routeMatch(match, owner.semantics !== undefined);
  const what = action(context, route, { owner, match: envoyMatch });
  const [only] = what.$case === 'route' && route.route.length === 1 ? route.route : [];
  return create(Route, {
    name: match && match.name !== '' ? `${route.name}.${match.name}` : route.name,
    match: envoyMatch,
    metadata: create(Metadata, { filterMetadata: { istio: origin(context, owner, { route, match }) } }),
    decorator: operation(`${whither(what, owner.name, context.port)}${pathPattern(envoyMatch)}`),
    statPrefix: match?.statPrefix ?? '',
    ...headerOperations(route.headers, only?.headers),
    typedPerFilterConfig: perRoute(route),
    action: what,
  });
}

/** Istio's metadata: the rule's name; and for who asks, the very field, which may be a delegate's. */
function origin({ push }: RouteContext, owner: VirtualService, { route, match }: Matched): Readonly<Record<string, string>> {
  const config = `/apis/networking.istio.io/v1/namespaces/${owner.namespace}/virtual-service/${owner.name}`;
  const place = push.features.routeOrigins ? (placeOf(match) ?? placeOf(route)) : undefined;
  return place ? { config, field: place.field, namespace: place.namespace, name: place.name } : { config };
}

function action(context: RouteContext, route: HttpRoute, place: RoutePlace): NonNullable<Route['action']> {
  if (route.redirect) return { $case: 'redirect', value: redirectAction(route.redirect, context) };
  if (route.directResponse) return { $case: 'directResponse', value: directResponseAction(route.directResponse) };
  return { $case: 'route', value: routeAction(context, route, place) };
}

/** How spans call a route: by its one destination, else by the rule's name. */
function whither(what: NonNullable<Route['action']>, rule: string, port: number): string {
  const specifier = what.$case === 'route' ? what.value.clusterSpecifier : undefined;
  const cluster = specifier?.$case === 'cluster' ? parseClusterName(specifier.value) : undefined;
  return cluster ? `${cluster.host}:${cluster.port}` : `${rule}:${port}`;
}

function operation(text: string): NonNullable<Route['decorator']> {
  return { operation: text, propagate: undefined };
}

function perRoute(route: HttpRoute): Route['typedPerFilterConfig'] {
  const fault = route.fault ? routeFault(route.fault) : undefined;
  return {
    ...(fault ? { 'envoy.filters.http.fault': fault } : {}),
    ...(route.corsPolicy ? { 'envoy.filters.http.cors': routeCors(route.corsPolicy) } : {}),
  };
}
