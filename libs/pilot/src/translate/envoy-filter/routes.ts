import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { Route, VirtualHost } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { parseRouteName } from '@meltemi/xds';
import type { EnvoyFilterPatch } from '../../push-context/envoy-filters.ts';
import { changedList, isMerge } from './lists.ts';
import { merged, patchesTo, valueOf, type Patching } from './patching.ts';

/** A route table after its patches; `serverPorts` are those of the Gateway servers behind it, as written. Source of all rules here: Istio's envoyfilter/rc_patch.go. */
export function patchedRoutes(patching: Patching, original: RouteConfiguration, serverPorts: readonly number[] = []): RouteConfiguration {
  const here = (patch: EnvoyFilterPatch) => tableFits(patch, original, patching, serverPorts);
  let table = original;
  for (const patch of patchesTo(patching, 'ROUTE_CONFIGURATION')) if (isMerge(patch.operation) && here(patch)) table = merged(RouteConfiguration, table, patch);
  const hosts = patchesTo(patching, 'VIRTUAL_HOST').filter(here);
  const routes = patchesTo(patching, 'HTTP_ROUTE').filter(here);
  if (hosts.length + routes.length === 0) return table;
  const added = hosts.filter(({ operation }) => operation === 'ADD').map((patch) => valueOf(VirtualHost, patch));
  return { ...table, virtualHosts: [...table.virtualHosts.flatMap((host) => patchedHost(host, hosts, routes) ?? []), ...added] };
}

function tableFits({ match: { routeConfiguration: match } }: EnvoyFilterPatch, { name }: RouteConfiguration, { context }: Patching, serverPorts: readonly number[]): boolean {
  if (!match) return true;
  if (match.name !== '' && match.name !== name) return false;
  const parsed = parseRouteName(name);
  const port = parsed && parsed.kind !== 'http-proxy' ? parsed.port : 0;
  if (context !== 'GATEWAY') return match.portNumber === 0 || match.portNumber === port;
  // "https.<port>.<port name>.<gateway>.<namespace>"
  const [portName = '', gateway = '', namespace = ''] = parsed?.kind === 'gateway' ? parsed.server.split('.') : [];
  if (match.portName !== '' && match.portName !== portName) return false;
  if (match.gateway !== '' && match.gateway !== `${namespace}/${gateway}`) return false;
  return match.portNumber === 0 || (serverPorts.length > 0 ? serverPorts.includes(match.portNumber) : port === match.portNumber);
}

function patchedHost(original: VirtualHost, hosts: readonly EnvoyFilterPatch[], routes: readonly EnvoyFilterPatch[]): VirtualHost | undefined {
  let host = original;
  for (const patch of hosts) {
    if (!hostFits(patch, host)) continue;
    if (patch.operation === 'REMOVE') return undefined;
    if (patch.operation === 'REPLACE') host = valueOf(VirtualHost, patch);
    else if (isMerge(patch.operation)) host = merged(VirtualHost, host, patch);
  }
  const inside = routes.filter((patch) => hostFits(patch, host));
  return inside.length === 0 ? host : { ...host, routes: patchedList(host.routes, inside) };
}

function hostFits({ match: { routeConfiguration } }: EnvoyFilterPatch, host: VirtualHost): boolean {
  const match = routeConfiguration?.vhost;
  return !match || ((match.name === '' || match.name === host.name) && (match.domainName === '' || host.domains.includes(match.domainName)));
}

/** First all removals and merges, then all additions, as in Istio. */
function patchedList(original: readonly Route[], patches: readonly EnvoyFilterPatch[]): Route[] {
  let routes = original.flatMap((route) => patchedRoute(route, patches) ?? []) as readonly Route[];
  for (const patch of patches) {
    const { operation } = patch;
    if (operation === 'REMOVE' || operation === 'REPLACE' || isMerge(operation)) continue;
    const test = routeTest(patch);
    // INSERT_FIRST that names a route which is not there adds nothing
    if (operation === 'INSERT_FIRST' && test && !routes.some(test)) continue;
    routes = changedList(routes, { operation, value: () => valueOf(Route, patch), test });
  }
  return [...routes];
}

function patchedRoute(original: Route, patches: readonly EnvoyFilterPatch[]): Route | undefined {
  let route = original;
  for (const patch of patches) {
    if (!(routeTest(patch)?.(route) ?? true)) continue;
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) route = merged(Route, route, patch);
    else if (patch.operation === 'REPLACE' && routeTest(patch)) route = valueOf(Route, patch);
  }
  return route;
}

const actions = { ROUTE: 'route', REDIRECT: 'redirect', DIRECT_RESPONSE: 'directResponse' } as const;

/** undefined: the patch names no route. */
function routeTest({ match: { routeConfiguration } }: EnvoyFilterPatch): ((route: Route) => boolean) | undefined {
  const match = routeConfiguration?.vhost?.route;
  if (!match) return undefined;
  const action = match.action === 'ANY' ? undefined : actions[match.action];
  return (route) => (match.name === '' || match.name === route.name) && (action === undefined || route.action?.$case === action);
}
