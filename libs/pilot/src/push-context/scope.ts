import type { Config, IstioEgressListener, SidecarSpec } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import { serviceKey, type Service } from '../registry/model.ts';
import { selects } from '../registry/workloads.ts';
import { hostsOverlap, isVisible } from './hosts.ts';
import type { PushContext } from './push-context.ts';
import type { VirtualService } from './virtual-services.ts';

/** What one egress listener may reach. `listener` is absent for the implicit one that everybody without a Sidecar has. */
export interface EgressScope {
  readonly listener?: IstioEgressListener;
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
}

const scopes = new WeakMap<object, Map<string, Scope>>();

/** The scope of `proxy`; shared by all proxies of a namespace that the same Sidecar selects. */
export function scopeOf(push: PushContext, proxy: Pick<Proxy, 'namespace' | 'labels' | 'type'>): Scope {
  const sidecar = proxy.type === 'sidecar' ? sidecarFor(push, proxy) : undefined;
  const key = `${proxy.namespace}\0${sidecar ? `${sidecar.meta.namespace}/${sidecar.meta.name}` : ''}`;
  const byKey = scopes.get(push.shape) ?? new Map<string, Scope>();
  scopes.set(push.shape, byKey);
  const known = byKey.get(key);
  if (known) return known;
  const scope = buildScope(push, proxy.namespace, sidecar);
  byKey.set(key, scope);
  return scope;
}

/** The Sidecar that selects the workload, else its namespace's, else the root namespace's. The oldest wins. */
function sidecarFor(push: PushContext, proxy: Pick<Proxy, 'namespace' | 'labels'>): Config<SidecarSpec> | undefined {
  const hasSelector = (config: Config<SidecarSpec>) => Object.keys(config.spec.workloadSelector?.labels ?? {}).length > 0;
  const local = push.sidecars.filter((config) => config.meta.namespace === proxy.namespace);
  return (
    local.find((config) => hasSelector(config) && selects(config.spec.workloadSelector?.labels ?? {}, proxy.labels)) ??
    local.find((config) => !hasSelector(config)) ??
    push.sidecars.find((config) => config.meta.namespace === push.mesh.rootNamespace && !hasSelector(config))
  );
}

function buildScope(push: PushContext, namespace: string, sidecar: Config<SidecarSpec> | undefined): Scope {
  const visible = pickByHost(push.services.all.filter((service) => isVisible(service.exportTo, service.namespace, namespace)), namespace);
  const virtualServices = push.virtualServices.mesh.filter((service) => isVisible(service.exportTo, service.namespace, namespace));
  const listeners = sidecar?.spec.egress ?? [];
  const egress: EgressScope[] =
    listeners.length === 0
      ? [{ services: visible, virtualServices }]
      : listeners.map((listener) => ({ listener, services: imported(visible, listener.hosts, namespace), virtualServices: importedRules(virtualServices, listener.hosts, namespace) }));
  const seen = new Map<string, Service>();
  for (const part of egress) for (const service of part.services) seen.set(service.hostname, service);
  addDestinations(egress, visible, seen);
  const mode = sidecar?.spec.outboundTrafficPolicy?.mode ?? push.mesh.outboundTrafficPolicy.mode;
  return { services: [...seen.values()], byHost: seen, egress, ...(sidecar ? { sidecar } : {}), allowAny: mode !== 'REGISTRY_ONLY' };
}

/** A rule that is imported brings the services it routes to. */
function addDestinations(egress: readonly EgressScope[], visible: readonly Service[], seen: Map<string, Service>): void {
  const byHost = new Map(visible.map((service) => [service.hostname, service]));
  for (const { virtualServices } of egress) {
    for (const { spec } of virtualServices) {
      const http = spec.http.flatMap((route) => [...route.route.map((entry) => entry.destination.host), ...route.mirrors.map((mirror) => mirror.destination.host), ...(route.mirror ? [route.mirror.host] : [])]);
      const l4 = [...spec.tcp, ...spec.tls].flatMap((route) => route.route.map((entry) => entry.destination.host));
      for (const host of [...http, ...l4]) {
        const service = byHost.get(host);
        if (service && !seen.has(host)) seen.set(host, service);
      }
    }
  }
}

/** One service per hostname: Kubernetes' first, then the viewer's own namespace, then the oldest. */
function pickByHost(services: readonly Service[], namespace: string): Service[] {
  const best = new Map<string, Service>();
  const rank = (service: Service) => [service.registry === 'kubernetes' ? '0' : '1', service.namespace === namespace ? '0' : '1', service.creationTimestamp, serviceKey(service)].join('\0');
  for (const service of services) {
    const known = best.get(service.hostname);
    if (!known || rank(service) < rank(known)) best.set(service.hostname, service);
  }
  return [...best.values()];
}

function imported(services: readonly Service[], hosts: readonly string[], namespace: string): Service[] {
  const { include, exclude } = parsedHosts(hosts, namespace);
  const fits = (service: Service, { ns, dns }: ImportHost) => (ns === '*' || ns === service.namespace) && hostsOverlap(dns, service.hostname);
  return services.filter((service) => include.some((entry) => fits(service, entry)) && !exclude.some((entry) => fits(service, entry)));
}

function importedRules(rules: readonly VirtualService[], hosts: readonly string[], namespace: string): VirtualService[] {
  const { include, exclude } = parsedHosts(hosts, namespace);
  const fits = (rule: VirtualService, { ns, dns }: ImportHost) => (ns === '*' || ns === rule.namespace) && rule.hosts.some((host) => hostsOverlap(dns, host));
  return rules.filter((rule) => include.some((entry) => fits(rule, entry)) && !exclude.some((entry) => fits(rule, entry)));
}

interface ImportHost {
  readonly ns: string;
  readonly dns: string;
}

/** "ns/dns" with ns a name, "*", "." or "~" (nothing); "~ns/dns" takes away. */
function parsedHosts(hosts: readonly string[], namespace: string): { include: ImportHost[]; exclude: ImportHost[] } {
  const include: ImportHost[] = [];
  const exclude: ImportHost[] = [];
  for (const host of hosts) {
    const slash = host.indexOf('/');
    const ns = slash < 0 ? '*' : host.slice(0, slash);
    const dns = host.slice(slash + 1);
    if (ns === '~') continue;
    if (ns.startsWith('~')) exclude.push({ ns: ns.slice(1) === '.' ? namespace : ns.slice(1), dns });
    else include.push({ ns: ns === '.' ? namespace : ns, dns });
  }
  return { include, exclude };
}
