import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { isHttp, type Service } from '../../registry/model.ts';
import { countsAttempts } from '../listeners/proxy-headers.ts';
import { cached } from '../cache.ts';
import { create } from '../message.ts';
import { viewOf } from '../views.ts';
import { egressFor, type EgressPort } from '../egress.ts';
import { catchAll } from './catch-all.ts';
import type { RouteContext } from './context.ts';
import { bracketed, hostDomains, serviceDomains, type DomainForm, type Domains } from './domains.ts';
import { concerns, ownersAmong, portServices, ruleHosts, type PortServices } from './rule-hosts.ts';
import { ruleRoutes, serviceRoutes } from './shared-routes.ts';
import { hostPart, routesPart, type HostPart, type RoutesPart, type TableParts } from './table-parts.ts';

/** The routes a sidecar asks for by `name`: a port, "http_proxy", or "host:port" of a sniffed service. */
export function sidecarRoutes(push: PushContext, proxy: Proxy, scope: Scope, name: string): TableParts {
  const egress = egressFor(push, proxy, scope, name);
  const hosts = virtualHosts({ push, proxy, scope, egress });
  // Deviation: on a port that all services share (HTTP proxy, Unix socket) the port of the Host header tells them apart, so it counts
  const ignorePort = egress.port !== 0 && !proxy.proxyless;
  const about = create(RouteConfiguration, { name, validateClusters: false, maxDirectResponseBodySizeBytes: 1_048_576, ignorePortInHostMatching: ignorePort });
  const table = (list: readonly HostPart[]): TableParts => ({ about, hosts: list, countsAttempts: countsAttempts(push, proxy) });
  if (egress.onlyHost !== undefined) return table(onlyHost(hosts, egress.onlyHost));
  const last = cached(scope.reach, { kind: 'catch-all', view: viewOf(push, proxy) }, (): HostPart => {
    const { name: unknown, domains, routes } = catchAll(scope, proxy);
    return { name: unknown, domains, routes: routesPart(routes) };
  });
  return table([...hosts.toSorted((a, b) => (a.name < b.name ? -1 : 1)), last]);
}

interface Building {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly scope: Scope;
  readonly egress: EgressPort;
}

function virtualHosts(building: Building): HostPart[] {
  const { egress } = building;
  const draft = new Draft();
  const ports = egress.port !== 0 ? [egress.port] : [...new Set([80, ...egress.services.flatMap((service) => service.ports.map(({ number }) => number))])].toSorted((a, b) => a - b);
  for (const port of ports) addPort(building, draft, port);
  return draft.finish();
}

/** All virtual hosts of one port: those of rules, in the order in which rules claim hosts, then services without a rule that has routes for this client. */
function addPort(building: Building, draft: Draft, port: number): void {
  const { push, proxy, scope, egress } = building;
  const context: RouteContext = { push, proxy, scope, port, gateways: meshGateway, tls: false };
  const form = formOf(building, port);
  const here = portServices(egress.services.filter((service) => service.ports.some(({ number }) => number === port)));
  const parts = cached(scope.reach, { kind: 'parts', view: viewOf(push, proxy), port }, () => new WeakMap<VirtualService | Service, RoutesPart>());
  const ruled = new Set<string>();
  for (const rule of egress.virtualServices) {
    if (rule.spec.http.length === 0 || (port !== 80 && !concerns(rule, here))) continue;
    if (!speaksFor(rule, proxy, here)) continue;
    const routes = partOf(parts, rule, () => ruleRoutes(context, rule));
    if (routes.count === 0) continue;
    const { services, others } = ruleHosts(rule, here, ownersAmong(egress.virtualServices));
    const speaking = services.filter((service) => speaksHttp(service, port));
    // hosts that no service has stand beside the rule's services; by themselves they exist on port 80
    if (speaking.length === 0 && port !== 80) continue;
    for (const host of others) if (host !== '*') draft.add({ host, port, routes, domains: hostDomains(host, form) });
    for (const service of speaking) {
      ruled.add(service.hostname);
      draft.add({ host: service.hostname, port, routes, domains: serviceDomains(service, form), service: true });
    }
  }
  for (const service of here.byHost.values()) {
    if (service.aliasOf !== undefined || ruled.has(service.hostname) || !speaksHttp(service, port)) continue;
    draft.add({ host: service.hostname, port, routes: partOf(parts, service, () => serviceRoutes(context, service)), domains: serviceDomains(service, form), service: true });
  }
}

/** What a rule or a service becomes on one port for clients that see the same: made when it first counts. */
function partOf<Of extends object>(parts: WeakMap<Of, RoutesPart>, of: Of, make: () => RoutesPart): RoutesPart {
  const part = parts.get(of) ?? make();
  parts.set(of, part);
  return part;
}

/**
 * Routes of the Gateway API count for clients of their own namespace, and for all when they stand beside the service they are for; none for a service with a
 * wildcard for a name. Source: Istio's buildSidecarVirtualHostsForVirtualService.
 */
function speaksFor(rule: VirtualService, proxy: Proxy, here: PortServices): boolean {
  if (rule.semantics !== 'gateway') return true;
  return rule.hosts.some((host) => {
    const service = host.startsWith('*') ? undefined : here.byHost.get(host);
    return service !== undefined && (rule.namespace === proxy.namespace || rule.namespace === service.namespace);
  });
}

const meshGateway: ReadonlySet<string> = new Set(['mesh']);

function speaksHttp(service: Service, port: number): boolean {
  return service.ports.some(({ number, protocol }) => number === port && (isHttp(protocol) || protocol === 'AUTO'));
}

/** On the shared proxy port only port 80 may go without its number; proxyless clients write numbers always. */
function formOf({ push, proxy, egress }: Building, port: number): DomainForm {
  const shared = egress.port === 0;
  return {
    dnsDomain: proxy.dnsDomain,
    autoAddresses: proxy.dnsCapture && push.features.ipAutoallocate,
    absolute: push.features.absoluteFqdnVhostDomain,
    bare: !shared || port === 80,
    ...(shared || proxy.proxyless ? { port } : {}),
  };
}

interface Entry {
  readonly host: string;
  readonly port: number;
  readonly routes: RoutesPart;
  readonly domains: Domains;
  /** The host is a service's. */
  readonly service?: boolean;
}

/** Virtual hosts in order; a name, and a domain, belongs to the first that has it: Envoy refuses a table that names one twice. */
class Draft {
  readonly #entries = new Map<string, Entry>();

  add(entry: Entry): void {
    const name = `${bracketed(entry.host)}:${entry.port}`;
    if (!this.#entries.has(name)) this.#entries.set(name, entry);
  }

  finish(): HostPart[] {
    const full = new Set([...this.#entries.values()].filter(({ service }) => service === true).flatMap(({ host, port }) => [host, `${host}:${port}`]));
    const taken = new Set<string>();
    return [...this.#entries].flatMap(([name, { domains, routes }]) => {
      const { all, lower, short } = domains;
      const own = all.filter((domain, i) => {
        const small = lower[i] ?? domain;
        if (taken.has(small) || (full.has(domain) && short.has(domain))) return false;
        taken.add(small);
        return true;
      });
      if (own.length === 0) return [];
      return [hostPart({ name, domains: own.length === all.length ? all : own, routes })];
    });
  }
}

/** A sniffed service's listener already knows where it goes: any Host header will do. */
function onlyHost(hosts: readonly HostPart[], hostname: string): readonly HostPart[] {
  const found = hosts.filter((host) => host.domains.includes(hostname));
  const [only] = found;
  return found.length === 1 && only ? [hostPart({ ...only, domains: ['*'] })] : found;
}
