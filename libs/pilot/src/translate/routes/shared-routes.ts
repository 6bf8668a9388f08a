import type { Destination } from '@meltemi/config';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import type { Service } from '../../registry/model.ts';
import { cached, together } from '../cache.ts';
import { destinationRuleOf } from '../clusters/outbound.ts';
import { clientView } from '../views.ts';
import type { RouteContext } from './context.ts';
import { defaultRoute, virtualServiceRoutes } from './http-route.ts';
import { routesPart, type RoutesPart } from './table-parts.ts';

/** What a rule's routes read of the namespace they are made for. */
interface Reads {
  /** Hosts that it sends or mirrors to. */
  readonly hosts: readonly string[];
  /** Some match is for clients of one namespace. */
  readonly sourceNamespace: boolean;
}

const reads = new WeakMap<VirtualService, Reads>();

function readsOf(rule: VirtualService): Reads {
  const known = reads.get(rule);
  if (known) return known;
  const destinations = rule.spec.http.flatMap(({ route, mirror, mirrors }): Destination[] => [...route.map(({ destination }) => destination), ...(mirror ? [mirror] : []), ...mirrors.map(({ destination }) => destination)]);
  const found = { hosts: [...new Set(destinations.map(({ host }) => host))], sourceNamespace: rule.spec.http.some(({ match }) => match.some(({ sourceNamespace }) => sourceNamespace !== '')) };
  reads.set(rule, found);
  return found;
}

/** The routes of a rule in the mesh: the same object for clients of all namespaces that see the same services and DestinationRules. */
export function ruleRoutes(context: RouteContext, rule: VirtualService): RoutesPart {
  const { hosts, sourceNamespace } = readsOf(rule);
  const seen = hosts.flatMap((host) => seenAt(context, host));
  return cached(together(context.push.base, rule, ...seen), keyOf(context, sourceNamespace), () => routesPart(virtualServiceRoutes(context, rule)));
}

/** The same of a service without a rule. */
export function serviceRoutes(context: RouteContext, service: Service): RoutesPart {
  return cached(together(context.push.base, service, ...seenAt(context, service.hostname)), keyOf(context, false), () => routesPart([defaultRoute(context, service, context.port)]));
}

function keyOf({ push, proxy, port }: RouteContext, sourceNamespace: boolean): unknown {
  return { kind: 'routes-part', view: clientView(push, proxy), port, ...(sourceNamespace ? { namespace: proxy.namespace } : {}) };
}

const nobody = {};

/** The service that a host means to the client, what it is an alias of, and its DestinationRule. */
function seenAt({ push, proxy, scope }: RouteContext, host: string): readonly object[] {
  const service = scope.byHost.get(host);
  if (!service) return [nobody];
  const alias = service.aliasOf === undefined ? undefined : scope.byHost.get(service.aliasOf);
  return [service, alias ?? nobody, destinationRuleOf(push, proxy, service) ?? nobody];
}
