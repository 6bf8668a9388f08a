import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import type { Route } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { moreSpecific } from '../../push-context/hosts.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { cached } from '../cache.ts';
import { boundRules, gatewayListeners, serverNames, type GatewayServer } from '../gateway-servers.ts';
import { countsAttempts } from '../listeners/proxy-headers.ts';
import { create } from '../message.ts';
import { ownView } from '../views.ts';
import type { RouteContext } from './context.ts';
import { bracketed } from './domains.ts';
import { virtualServiceRoutes } from './http-route.ts';
import { matchesAll } from './matchers.ts';
import { hostPart, joinedRoutes, noRoutes, routesPart, type HostPart, type RoutesPart, type TableParts } from './table-parts.ts';

/** The route table `name` of a gateway: every rule of every server behind it, merged by host; routes of a rule that did not change are those made before. undefined: no server has that table. */
export function gatewayRoutes(push: PushContext, proxy: Proxy, scope: Scope, name: string): TableParts | undefined {
  const servers = gatewayListeners(push, proxy).flatMap((listener) => listener.servers.filter((entry) => entry.routeName === name));
  const [first] = servers;
  if (!first) return undefined;
  const table = new Table();
  for (const entry of servers) addServer({ push, proxy, scope, port: entry.server.port.number, gateways: new Set([entry.gateway]), tls: entry.server.tls !== undefined }, entry, table);
  const hosts = table.finish(push.features.routeCollapse);
  // without a rule every request is answered 404: a table without virtual hosts would be refused
  const about = create(RouteConfiguration, { name, validateClusters: false, maxDirectResponseBodySizeBytes: 1_048_576, ignorePortInHostMatching: true });
  if (hosts.length > 0) return { about, hosts, countsAttempts: countsAttempts(push, proxy) };
  return { about, hosts: [{ name: `blackhole:${first.server.port.number}`, domains: ['*'], routes: noRoutes }], countsAttempts: false };
}

/** The routes of one rule at one gateway. Rules of several objects merge in a host; a catch-all of one must not hide the others, so those come last. */
interface RulePart {
  readonly specific: RoutesPart;
  readonly catchAll: RoutesPart;
}

function addServer(context: RouteContext, entry: GatewayServer, table: Table): void {
  const httpsOnly = entry.server.tls?.httpsRedirect === true;
  const parts = partsAt(context, entry);
  for (const { rule, hosts } of boundRules(context.push, context.proxy, entry)) {
    const part = table.partOf(entry.gateway, rule, () => made(parts, rule, () => virtualServiceRoutes(context, rule)));
    if (part.specific.count + part.catchAll.count === 0) continue;
    for (const host of hosts) {
      const building = table.at(host, context.port);
      building.parts.add(part);
      building.httpsOnly ||= httpsOnly;
    }
  }
  if (httpsOnly) for (const host of serverNames(entry)) table.at(host, context.port).httpsOnly = true;
}

/** Kept for as long as what gateways like this one reach, by all that routes read of the proxy and the server. */
function partsAt({ push, proxy, scope, port, tls }: RouteContext, { gateway }: GatewayServer): WeakMap<VirtualService, RulePart> {
  return cached(scope.reach, { kind: 'gateway-parts', view: ownView(push, proxy), gateway, port, tls }, () => new WeakMap());
}

function made(parts: WeakMap<VirtualService, RulePart>, rule: VirtualService, make: () => readonly Route[]): RulePart {
  const known = parts.get(rule);
  if (known) return known;
  const { specific = [], catchAll = [] } = Object.groupBy(make(), (route) => (route.match && matchesAll(route.match) ? 'catchAll' : 'specific'));
  const part = { specific: routesPart(specific), catchAll: routesPart(catchAll) };
  parts.set(rule, part);
  return part;
}

/** A virtual host in the making. */
interface Building {
  readonly port: number;
  /** Routes of each rule, in the order in which rules claim hosts. */
  readonly parts: Set<RulePart>;
  httpsOnly: boolean;
}

class Table {
  readonly #hosts = new Map<string, Building>();
  readonly #parts = new Map<string, RulePart>();

  /** A rule's routes at a gateway are made once, so that hosts that share them can be told. */
  partOf(gateway: string, rule: VirtualService, make: () => RulePart): RulePart {
    const key = `${gateway} ${rule.namespace}/${rule.name}`;
    const known = this.#parts.get(key) ?? make();
    this.#parts.set(key, known);
    return known;
  }

  at(host: string, port: number): Building {
    const key = host.toLowerCase();
    const known = this.#hosts.get(key) ?? { port, parts: new Set(), httpsOnly: false };
    this.#hosts.set(key, known);
    return known;
  }

  /** With `collapse`, hosts of the same routes are one, under the name of the most specific. */
  finish(collapse: boolean): HostPart[] {
    const groups = new Map<string, Group>();
    const ids = new Map<RulePart, number>();
    const id = (part: RulePart) => ids.get(part) ?? (ids.set(part, ids.size), ids.size - 1);
    for (const [host, building] of [...this.#hosts].toSorted(([a], [b]) => moreSpecific(a, b))) {
      const like = collapse ? `${building.httpsOnly} ${[...building.parts].map(id).join(',')}` : host;
      const group = groups.get(like);
      if (group) group.domains.push(bracketed(host));
      else groups.set(like, { name: `${bracketed(host)}:${building.port}`, building, domains: [bracketed(host)] });
    }
    return [...groups.values()].map(partOfGroup).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}

interface Group {
  readonly name: string;
  readonly building: Building;
  readonly domains: string[];
}

function partOfGroup({ name, domains, building }: Group): HostPart {
  const parts = [...building.parts];
  return hostPart({ name, domains, routes: joinedRoutes([...parts.map(({ specific }) => specific), ...parts.map(({ catchAll }) => catchAll)]), httpsOnly: building.httpsOnly });
}
