import { selects, type Config, type Destination, type IstioEgressListener, type SidecarSpec } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import { serviceKey, type Service } from '../registry/model.ts';
import { parseProtocol } from '../registry/protocol.ts';
import { isVisible } from './hosts.ts';
import { importedHosts, type ImportedHosts } from './imported-hosts.ts';
import type { PushContext } from './push-context.ts';
import { keptListening, partOf, type Listening, type Reach } from './reach.ts';
import { visibleTo, type VirtualService } from './virtual-services.ts';

/** What one egress listener may reach. `listener` is absent for the implicit one that everybody without a Sidecar has. */
export interface EgressScope {
  readonly listener?: IstioEgressListener;
  /** In the order in which they claim listeners: private ones first, then oldest first. */
  readonly services: readonly Service[];
  readonly virtualServices: readonly VirtualService[];
}

/** What a workload can see: exported to its namespace, and imported by its Sidecar when it has one. */
export interface Scope {
  readonly services: readonly Service[];
  readonly byHost: ReadonlyMap<string, Service>;
  readonly egress: readonly EgressScope[];
  readonly sidecar?: Config<SidecarSpec>;
  readonly allowAny: boolean;
  /** Hosts that nobody knows are looked up. */
  readonly dynamicDns: boolean;
  /** Stands for all of this but the VirtualServices. */
  readonly reach: Reach;
  /** Stands for all of this but the VirtualServices that route requests. */
  readonly listening: Listening;
}

const scopes = new WeakMap<object, Map<string, Scope>>();

/** The scope of `proxy`; shared by all proxies of a namespace that the same Sidecar selects. */
export function scopeOf(push: PushContext, proxy: Pick<Proxy, 'namespace' | 'labels' | 'type'>): Scope {
  const sidecar = proxy.type === 'sidecar' ? sidecarFor(push, proxy) : undefined;
  const key = `${proxy.type}\0${proxy.namespace}\0${sidecar ? `${sidecar.meta.namespace}/${sidecar.meta.name}` : ''}`;
  const byKey = scopes.get(push.shape) ?? new Map<string, Scope>();
  scopes.set(push.shape, byKey);
  const known = byKey.get(key);
  if (known) return known;
  const scope = buildScope(push, proxy, { sidecar, key });
  byKey.set(key, scope);
  return scope;
}

/** The Sidecar that selects the workload, else its namespace's, else the root namespace's. The oldest wins. */
function sidecarFor(push: PushContext, proxy: Pick<Proxy, 'namespace' | 'labels'>): Config<SidecarSpec> | undefined {
  const selector = ({ spec }: Config<SidecarSpec>) => spec.workloadSelector?.labels;
  const local = push.sidecars.filter((config) => config.meta.namespace === proxy.namespace);
  return (
    local.find((config) => selects(selector(config) ?? { '\0': '' }, proxy.labels)) ??
    local.find((config) => selector(config) === undefined) ??
    push.sidecars.find((config) => config.meta.namespace === push.mesh.rootNamespace && selector(config) === undefined)
  );
}

function buildScope(push: PushContext, { namespace, type }: Pick<Proxy, 'namespace' | 'type'>, { sidecar, key }: { readonly sidecar: Config<SidecarSpec> | undefined; readonly key: string }): Scope {
  const visible = visibleServices(push, namespace);
  const virtualServices = visibleTo(push.virtualServices.mesh, namespace);
  const listeners = sidecar?.spec.egress ?? [];
  const egress: EgressScope[] =
    listeners.length === 0
      ? [{ services: type === 'router' ? visible : onePerHost(visible, namespace), virtualServices }]
      : listeners.map((listener) => imported(listener, { services: visible, virtualServices }, namespace));
  const byHost = new Map<string, Service>();
  for (const part of egress) {
    for (const service of part.services) addService(byHost, service);
    for (const rule of part.virtualServices) addDestinations(push, byHost, { rule, listener: part.listener, namespace });
  }
  const mode = sidecar?.spec.outboundTrafficPolicy?.mode ?? push.mesh.outboundTrafficPolicy.mode;
  const listening = keptListening(push.base, key, {
    reach: { services: [...byHost.values()], byHost, perListener: egress.map((part) => part.services) },
    rules: egress.map((part) => part.virtualServices.filter(({ spec }) => spec.tcp.length + spec.tls.length > 0)),
  });
  const { reach } = listening;
  return { services: reach.services, byHost: reach.byHost, egress, ...(sidecar ? { sidecar } : {}), allowAny: mode !== 'REGISTRY_ONLY', dynamicDns: type === 'sidecar' && mode === 'ALLOW_ANY_DYNAMIC_DNS', reach, listening };
}

/** Exported to `namespace`: to it alone or by name first, then to everybody, each oldest first. Source: Istio's servicesExportedToNamespace. */
function visibleServices(push: PushContext, namespace: string): Service[] {
  const all = byAge(push).filter((service) => isVisible(service.exportTo, service.namespace, namespace));
  const isPublic = ({ exportTo }: Service) => exportTo.length === 0 || exportTo.includes('*');
  return [...all.filter((service) => !isPublic(service)), ...all.filter(isPublic)];
}

const aged = new WeakMap<readonly Service[], readonly Service[]>();

function byAge({ services }: PushContext): readonly Service[] {
  const known = aged.get(services.all);
  if (known) return known;
  const age = ({ creationTimestamp, name, namespace, hostname }: Service) => [creationTimestamp, name, namespace, hostname].join('\0');
  const keyed = services.all.map((service) => ({ service, key: age(service) })).sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const sorted = keyed.map(({ service }) => service);
  aged.set(services.all, sorted);
  return sorted;
}

/**
 * Of services with one host in several namespaces, those of one namespace: the viewer's own, else the first with a Kubernetes Service, else the
 * first. Source: Istio's sidecar.go selectServices.
 */
function onePerHost(services: readonly Service[], namespace: string): Service[] {
  const chosen = new Map<string, Service>();
  for (const service of services) {
    const known = chosen.get(service.hostname);
    const better = known?.registry !== 'kubernetes' && service.registry === 'kubernetes' && known?.namespace !== namespace;
    if (!known || service.namespace === namespace || better) chosen.set(service.hostname, service);
  }
  return services.filter((service) => chosen.get(service.hostname)?.namespace === service.namespace);
}

type Visible = Pick<EgressScope, 'services' | 'virtualServices'>;

function imported(listener: IstioEgressListener, all: Visible, namespace: string): EgressScope {
  const hosts = importedHosts(listener.hosts, namespace);
  const services = all.services.filter((service) => hosts.service(service.hostname, service.namespace)).map((service) => withImportedAliases(service, hosts));
  return {
    listener,
    services: onePerHost(services.flatMap((service) => onListenerPort(service, listener) ?? []), namespace),
    virtualServices: all.virtualServices.filter((rule) => hosts.rule(rule.hosts, rule.namespace, rule.semantics)),
  };
}

/** Other names of a service are seen where they are imported. */
function withImportedAliases(service: Service, hosts: ImportedHosts): Service {
  if (service.aliases.length === 0) return service;
  const aliases = service.aliases.filter((alias) => hosts.service(alias, service.namespace));
  return aliases.length === service.aliases.length ? service : partOf(service, `aliases ${aliases.join()}`, () => ({ ...service, aliases }));
}

/** A listener with a port shows that port of services only, unless it is an HTTP proxy for all of them; undefined when a service has no such port. */
function onListenerPort(service: Service, listener: IstioEgressListener | undefined): Service | undefined {
  const number = listener?.port?.number ?? 0;
  if (number === 0 || parseProtocol(listener?.port?.protocol ?? '') === 'HTTP_PROXY') return service;
  return withPorts(service, new Set([number]));
}

/** The service with these ports only; undefined when it has none of them. */
function withPorts(service: Service, numbers: ReadonlySet<number>): Service | undefined {
  const ports = service.ports.filter(({ number }) => numbers.has(number));
  if (ports.length === service.ports.length) return service;
  return ports.length > 0 ? partOf(service, `ports ${ports.map(({ number }) => number).join()}`, () => ({ ...service, ports })) : undefined;
}

/** The first of a host stays; parts of one service that several listeners import are put together again. */
function addService(byHost: Map<string, Service>, service: Service): void {
  const known = byHost.get(service.hostname);
  if (!known || (known.registry !== 'kubernetes' && service.registry === 'kubernetes')) byHost.set(service.hostname, service);
  else if (serviceKey(known) === serviceKey(service)) {
    const more = service.ports.filter(({ number }) => !known.ports.some((port) => port.number === number));
    if (more.length > 0) byHost.set(service.hostname, partOf(known, `with ${more.map(({ number }) => number).join()}`, () => ({ ...known, ports: [...known.ports, ...more] })));
  }
}

/** A rule that is imported brings the services it routes to, with the ports it names. Source: Istio's sidecar.go collectImportedServices. */
function addDestinations(push: PushContext, byHost: Map<string, Service>, options: { readonly rule: VirtualService; readonly listener: IstioEgressListener | undefined; readonly namespace: string }): void {
  const { rule, listener, namespace } = options;
  const numbered = (listener?.port?.number ?? 0) !== 0 && parseProtocol(listener?.port?.protocol ?? '') !== 'HTTP_PROXY';
  for (const [host, ports] of destinationsOf(rule, namespace)) {
    const service = destinationService(push, host, namespace);
    const shown = service && (numbered ? onListenerPort(service, listener) : ports.has(0) ? service : withPorts(service, ports));
    if (shown) addService(byHost, shown);
  }
}

/** Host → ports that routes for clients of `namespace` name; 0 is any. */
function destinationsOf({ spec }: VirtualService, namespace: string): Map<string, Set<number>> {
  const found = new Map<string, Set<number>>();
  const add = ({ host, port }: Destination) => found.set(host, (found.get(host) ?? new Set<number>()).add(port?.number ?? 0));
  for (const route of spec.http) {
    const sources = route.match.map(({ sourceNamespace }) => sourceNamespace).filter((source) => source !== '');
    if (sources.length > 0 && !sources.includes(namespace)) continue;
    for (const { destination } of [...route.route, ...route.mirrors]) add(destination);
    if (route.mirror) add(route.mirror);
  }
  for (const route of [...spec.tcp, ...spec.tls]) for (const { destination } of route.route) add(destination);
  return found;
}

/** The viewer's own service of that host, else a visible one: Kubernetes' first, else the oldest. */
function destinationService(push: PushContext, host: string, namespace: string): Service | undefined {
  const candidates = push.services.byHost.get(host) ?? [];
  const own = candidates.find((service) => service.namespace === namespace);
  if (own) return own;
  const visible = candidates.filter((service) => isVisible(service.exportTo, service.namespace, namespace));
  const age = (service: Service) => [service.registry === 'kubernetes' ? '0' : '1', service.creationTimestamp, serviceKey(service)].join('\0');
  return visible.toSorted((a, b) => (age(a) < age(b) ? -1 : 1))[0];
}
