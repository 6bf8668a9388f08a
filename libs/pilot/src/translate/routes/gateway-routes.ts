import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { VirtualHost, VirtualHost_TlsRequirementType, type Route } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { moreSpecific } from '../../push-context/hosts.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { boundRules, gatewayListeners, serverNames, type GatewayServer } from '../gateway-servers.ts';
import { countsAttempts } from '../listeners/proxy-headers.ts';
import { create } from '../message.ts';
import type { RouteContext } from './context.ts';
import { bracketed } from './domains.ts';
import { virtualServiceRoutes } from './http-route.ts';
import { matchesAll } from './matchers.ts';

/** The route table `name` of a gateway: every rule of every server behind it, merged by host. undefined: no server has that table. */
export function gatewayRoutes(push: PushContext, proxy: Proxy, scope: Scope, name: string): RouteConfiguration | undefined {
  const servers = gatewayListeners(push, proxy).flatMap((listener) => listener.servers.filter((entry) => entry.routeName === name));
  const [first] = servers;
  if (!first) return undefined;
  const table = new Table();
  for (const entry of servers) addServer({ push, proxy, scope, port: entry.server.port.number, gateways: new Set([entry.gateway]), tls: entry.server.tls !== undefined }, entry, table);
  const virtualHosts = table.finish(push.features.routeCollapse).map((host) => ({ ...host, includeRequestAttemptCount: countsAttempts(push, proxy) }));
  // without a rule every request is answered 404: a table without virtual hosts would be refused
  if (virtualHosts.length === 0) virtualHosts.push(create(VirtualHost, { name: `blackhole:${first.server.port.number}`, domains: ['*'] }));
  return create(RouteConfiguration, { name, virtualHosts, validateClusters: false, maxDirectResponseBodySizeBytes: 1_048_576, ignorePortInHostMatching: true });
}

function addServer(context: RouteContext, entry: GatewayServer, table: Table): void {
  const httpsOnly = entry.server.tls?.httpsRedirect === true;
  for (const { rule, hosts } of boundRules(context.push, context.proxy, entry)) {
    const routes = table.routesOf(entry.gateway, rule, () => virtualServiceRoutes(context, rule));
    if (routes.length === 0) continue;
    for (const host of hosts) {
      const building = table.at(host, context.port);
      building.parts.add(routes);
      building.httpsOnly ||= httpsOnly;
    }
  }
  if (httpsOnly) for (const host of serverNames(entry)) table.at(host, context.port).httpsOnly = true;
}

/** A virtual host in the making. */
interface Building {
  readonly port: number;
  /** Routes of each rule, in the order in which rules claim hosts. */
  readonly parts: Set<readonly Route[]>;
  httpsOnly: boolean;
}

class Table {
  readonly #hosts = new Map<string, Building>();
  readonly #routes = new Map<string, readonly Route[]>();

  /** A rule's routes at a gateway are made once, so that hosts that share them can be told. */
  routesOf(gateway: string, rule: VirtualService, make: () => readonly Route[]): readonly Route[] {
    const key = `${gateway} ${rule.namespace}/${rule.name}`;
    const known = this.#routes.get(key) ?? make();
    this.#routes.set(key, known);
    return known;
  }

  at(host: string, port: number): Building {
    const key = host.toLowerCase();
    const known = this.#hosts.get(key) ?? { port, parts: new Set(), httpsOnly: false };
    this.#hosts.set(key, known);
    return known;
  }

  /** With `collapse`, hosts of the same routes are one, under the name of the most specific. */
  finish(collapse: boolean): VirtualHost[] {
    const groups = new Map<string, Group>();
    const ids = new Map<readonly Route[], number>();
    const id = (routes: readonly Route[]) => ids.get(routes) ?? (ids.set(routes, ids.size), ids.size - 1);
    for (const [host, building] of [...this.#hosts].toSorted(([a], [b]) => moreSpecific(a, b))) {
      const like = collapse ? `${building.httpsOnly} ${[...building.parts].map(id).join(',')}` : host;
      const group = groups.get(like);
      if (group) group.domains.push(bracketed(host));
      else groups.set(like, { name: `${bracketed(host)}:${building.port}`, building, domains: [bracketed(host)] });
    }
    return [...groups.values()].map(virtualHost).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}

interface Group {
  readonly name: string;
  readonly building: Building;
  readonly domains: string[];
}

/** Rules of several objects merge; a catch-all of one must not hide the others. */
function virtualHost({ name, building, domains }: Group): VirtualHost {
  const rank = (route: Route) => (route.match && matchesAll(route.match) ? 1 : 0);
  return create(VirtualHost, {
    name,
    domains,
    routes: [...building.parts].flat().toSorted((a, b) => rank(a) - rank(b)),
    ...(building.httpsOnly ? { requireTls: VirtualHost_TlsRequirementType.ALL } : {}),
  });
}
