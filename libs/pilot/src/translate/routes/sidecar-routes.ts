import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { Route, RouteAction, VirtualHost } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { wellKnownClusters } from '@meltemi/xds';
import { hostCovers, mostSpecificHost } from '../../push-context/hosts.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { VirtualService } from '../../push-context/virtual-services.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { isHttp, type Service, type ServicePort } from '../../registry/model.ts';
import { create, duration } from '../message.ts';
import { egressFor, type EgressPort } from '../egress.ts';
import { defaultRoute, virtualServiceRoutes, type RouteContext } from './http-route.ts';
import { routeMatch } from './matchers.ts';

/** The routes a sidecar asks for by `name`: a port, "http_proxy", or "host:port" of a sniffed service. */
export function sidecarRoutes(push: PushContext, proxy: Proxy, scope: Scope, name: string): RouteConfiguration {
  const egress = egressFor(push, proxy, scope, name);
  const hosts = virtualHosts({ push, proxy, scope, egress, seen: new Set() });
  if (egress.onlyHost !== undefined) return config(name, onlyHost(hosts, egress.onlyHost));
  hosts.sort((a, b) => (a.name < b.name ? -1 : 1));
  // Deviation: without interception there is no original destination to pass an unknown host to
  hosts.push(catchAll(scope.allowAny && proxy.interception !== 'NONE'));
  return config(name, hosts);
}

function config(name: string, virtualHostList: VirtualHost[]): RouteConfiguration {
  return create(RouteConfiguration, { name, virtualHosts: virtualHostList, validateClusters: false, maxDirectResponseBodySizeBytes: 1_048_576 });
}

interface Building {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly scope: Scope;
  readonly egress: EgressPort;
  /** Domains already taken: Envoy refuses a table that names one twice. */
  readonly seen: Set<string>;
}

function virtualHosts(building: Building): VirtualHost[] {
  const hosts: VirtualHost[] = [];
  const rules = rulesByHost(building.egress.virtualServices);
  for (const service of building.egress.services) {
    for (const port of service.ports) {
      if (!(isHttp(port.protocol) || port.protocol === 'AUTO')) continue;
      if (building.egress.port !== 0 && port.number !== building.egress.port) continue;
      const host = serviceHost(building, rules, service, port);
      if (host) hosts.push(host);
    }
  }
  if (building.egress.port === 80 || building.egress.port === 0) hosts.push(...rulesWithoutService(building, rules));
  return hosts;
}

/** Host → the oldest rule that claims it; wildcards apart, for they are few. */
interface Rules {
  readonly exact: ReadonlyMap<string, VirtualService>;
  readonly wildcard: ReadonlyMap<string, VirtualService>;
}

function rulesByHost(services: readonly VirtualService[]): Rules {
  const exact = new Map<string, VirtualService>();
  const wildcard = new Map<string, VirtualService>();
  for (const service of services) {
    if (service.spec.http.length === 0) continue;
    for (const host of service.hosts) {
      const rules = host.startsWith('*') ? wildcard : exact;
      if (!rules.has(host)) rules.set(host, service);
    }
  }
  return { exact, wildcard };
}

function contextOf({ push, proxy, scope }: Building, port: number): RouteContext {
  return { push, proxy, scope, port, gateways: new Set(['mesh']) };
}

function serviceHost(building: Building, rules: Rules, service: Service, port: ServicePort): VirtualHost | undefined {
  const context = contextOf(building, port.number);
  const rule = ruleFor(rules, service.hostname);
  const routes = rule ? virtualServiceRoutes(context, rule) : [defaultRoute(context, service, port.number)];
  // every route was for other clients: the host is unknown to this one
  if (routes.length === 0) return undefined;
  const domains = fresh(building.seen, domainsOf(building, service, port.number));
  if (domains.length === 0) return undefined;
  return create(VirtualHost, { name: `${service.hostname}:${port.number}`, domains, routes, includeRequestAttemptCount: true });
}

/** The rule of the host itself, else of the longest wildcard that covers it. */
function ruleFor(rules: Rules, hostname: string): VirtualService | undefined {
  const exact = rules.exact.get(hostname);
  if (exact) return exact;
  const host = mostSpecificHost(hostname, rules.wildcard.keys());
  return host === undefined ? undefined : rules.wildcard.get(host);
}

/** A rule may name hosts that no registry knows: they exist on port 80. */
function rulesWithoutService(building: Building, rules: Rules): VirtualHost[] {
  const hosts: VirtualHost[] = [];
  const known = new Set(building.egress.services.map((service) => service.hostname));
  const wild = [...known].filter((name) => name.startsWith('*'));
  const isService = (host: string) => (host.startsWith('*') ? [...known].some((name) => hostCovers(host, name)) : known.has(host) || wild.some((name) => hostCovers(name, host)));
  for (const [host, rule] of [...rules.exact, ...rules.wildcard]) {
    if (isService(host)) continue;
    const routes = virtualServiceRoutes(contextOf(building, 80), rule);
    const domains = fresh(building.seen, host === '*' ? [] : [host, `${host}:80`]);
    if (routes.length > 0 && domains.length > 0) hosts.push(create(VirtualHost, { name: `${host}:80`, domains, routes, includeRequestAttemptCount: true }));
  }
  return hosts;
}

function fresh(seen: Set<string>, domains: readonly string[]): string[] {
  return domains.filter((domain) => {
    const known = seen.has(domain.toLowerCase());
    seen.add(domain.toLowerCase());
    return !known;
  });
}

/** Every way the client may write the service's name, with and without port. On the shared proxy port only port 80 may go without. */
function domainsOf({ proxy, egress }: Building, service: Service, port: number): string[] {
  const names = [service.hostname, ...service.aliases].flatMap((hostname) => [hostname, ...shortNames(hostname, proxy.dnsDomain)]);
  const plain = [...names, ...service.addresses.filter((address) => !address.includes('/')).map((address) => (address.includes(':') ? `[${address}]` : address))];
  if (service.resolution === 'passthrough' && service.registry === 'kubernetes') plain.push(...names.map((name) => `*.${name}`));
  const withoutPort = egress.port !== 0 || port === 80;
  return plain.flatMap((name) => [...(withoutPort ? [name] : []), `${name}:${port}`]);
}

/** "reviews", "reviews.default.svc", "reviews.default" for a client in the same namespace; without the first from another one. */
export function shortNames(hostname: string, dnsDomain: string): string[] {
  const at = dnsDomain.indexOf('.svc.');
  const suffix = dnsDomain.slice(at);
  if (at < 0 || !hostname.endsWith(suffix)) return [];
  const base = hostname.slice(0, -suffix.length);
  const dot = base.indexOf('.');
  if (dot < 0) return [];
  const local = base.slice(dot + 1) === dnsDomain.slice(0, at);
  return [...(local ? [base.slice(0, dot)] : []), `${base}.svc`, base, `${hostname}.`];
}

/** A sniffed service's listener already knows where it goes: any Host header will do. */
function onlyHost(hosts: readonly VirtualHost[], hostname: string): VirtualHost[] {
  const found = hosts.find((host) => host.domains.includes(hostname));
  return found ? [{ ...found, domains: ['*'] }] : [];
}

function catchAll(allowAny: boolean): VirtualHost {
  const match = routeMatch(undefined);
  if (!allowAny) {
    return create(VirtualHost, { name: 'block_all', domains: ['*'], routes: [create(Route, { name: 'block_all', match, action: { $case: 'directResponse', value: { status: 502 } } })], includeRequestAttemptCount: true });
  }
  const value = create(RouteAction, { clusterSpecifier: { $case: 'cluster', value: wellKnownClusters.passthrough }, timeout: duration(0), maxGrpcTimeout: duration(0) });
  return create(VirtualHost, { name: 'allow_any', domains: ['*'], routes: [create(Route, { name: 'allow_any', match, action: { $case: 'route', value } })], includeRequestAttemptCount: true });
}
