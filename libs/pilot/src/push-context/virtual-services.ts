import type { Config, Destination, HttpRoute, MeshConfigSpec, VirtualServiceSpec } from '@meltemi/config';
import { notes } from '../gateway-api/names.ts';
import { mergedRoutes } from './delegates.ts';
import { isVisible, resolveHost } from './hosts.ts';
import { withPlace } from './written-at.ts';

/** A VirtualService with every name resolved and its delegates merged in. */
export interface VirtualService {
  readonly name: string;
  readonly namespace: string;
  readonly creationTimestamp: string;
  readonly hosts: readonly string[];
  /** "mesh" or "namespace/name". */
  readonly gateways: readonly string[];
  readonly exportTo: readonly string[];
  /** Made from the Gateway API or an Ingress: paths match by segment; a route of the Gateway API that leads nowhere is answered 500. */
  readonly semantics?: 'gateway' | 'ingress';
  readonly spec: VirtualServiceSpec;
}

/** All VirtualServices, oldest first. */
export interface VirtualServiceIndex {
  readonly all: readonly VirtualService[];
  /** Those bound to sidecars. */
  readonly mesh: readonly VirtualService[];
  readonly byGateway: ReadonlyMap<string, readonly VirtualService[]>;
}

/** Resolves short names, gateway references and delegates. */
export function indexVirtualServices(configs: readonly Config<VirtualServiceSpec>[], context: { readonly mesh: MeshConfigSpec; readonly domain: string }): VirtualServiceIndex {
  const every = configs.toSorted(byAge).map((config) => resolvedOnce(config, context));
  const delegates = new Map(every.filter(({ hosts }) => hosts.length === 0).map((rule) => [`${rule.namespace}/${rule.name}`, rule]));
  const all = every.filter(({ hosts }) => hosts.length > 0).map((rule) => withDelegates(rule, delegates));
  const byGateway = new Map<string, VirtualService[]>();
  for (const service of all) {
    for (const gateway of service.gateways) {
      const list = byGateway.get(gateway);
      if (list) list.push(service);
      else byGateway.set(gateway, [service]);
    }
  }
  return { all, mesh: byGateway.get('mesh') ?? [], byGateway };
}

/** Oldest first, then by name: whoever was there first keeps a contested host. */
export function byAge(a: Config, b: Config): number {
  const left = [a.meta.creationTimestamp, a.meta.name, a.meta.namespace].join('\0');
  const right = [b.meta.creationTimestamp, b.meta.name, b.meta.namespace].join('\0');
  return left < right ? -1 : left > right ? 1 : 0;
}

/**
 * Those that `viewer` sees, in the order in which they claim hosts: exported to their own namespace only, then to named ones, then to all; in each, routes of the
 * Gateway API of the viewer's namespace (a consumer's own), then the older first. Source: the three indexes of Istio's push context.
 */
export function visibleTo(rules: readonly VirtualService[], viewer: string): VirtualService[] {
  const visible = rules.filter((rule) => isVisible(rule.exportTo, rule.namespace, viewer));
  const rank = ({ exportTo, namespace }: VirtualService) => (exportTo.length === 0 || exportTo.includes('*') ? 2 : namespace === viewer ? 0 : 1);
  const own = ({ semantics, namespace }: VirtualService) => (semantics === 'gateway' && namespace === viewer ? 0 : 1);
  return visible.toSorted((a, b) => rank(a) - rank(b) || own(a) - own(b));
}

interface Context {
  readonly mesh: MeshConfigSpec;
  readonly domain: string;
}

const known = new WeakMap<Config, Context & { readonly rule: VirtualService }>();

/** The same object while the object and the mesh's settings are the same: what was made of a rule is found again by it. */
function resolvedOnce(config: Config<VirtualServiceSpec>, { mesh, domain }: Context): VirtualService {
  const before = known.get(config);
  if (before?.mesh === mesh && before.domain === domain) return before.rule;
  const rule = resolved(config, { mesh, domain });
  known.set(config, { mesh, domain, rule });
  return rule;
}

/** Names resolve in the namespace of whoever wrote them: a delegate's in the delegate's. */
function resolved({ meta, spec }: Config<VirtualServiceSpec>, context: Context): VirtualService {
  const { namespace } = meta;
  const semantics = semanticsOf(meta);
  // a host of the Gateway API is never short for a Service
  const hostOf = (host: string) => (semantics === 'gateway' ? host : resolveHost(host, namespace, context.domain)).toLowerCase();
  const at = (destination: Destination): Destination => ({ ...destination, host: resolveHost(destination.host, namespace, context.domain) });
  const gateways = <M extends { readonly gateways: readonly string[] }>(match: M): M => ({ ...match, gateways: match.gateways.map((name) => gatewayName(name, namespace)) });
  const l4 = <R extends { readonly route: readonly { readonly destination: Destination }[]; readonly match: readonly { readonly gateways: readonly string[] }[] }>(route: R): R => ({
    ...route,
    route: route.route.map((entry) => ({ ...entry, destination: at(entry.destination) })),
    match: route.match.map(gateways),
  });
  const placed = (field: string) => ({ namespace, name: meta.name, field });
  const http = spec.http.map((written, i): HttpRoute => {
    const route = l4(written);
    return withPlace({
      ...route,
      match: route.match.map((match, j) => withPlace(match, placed(`spec.http[${i}].match[${j}]`))),
      mirrors: route.mirrors.map((mirror) => ({ ...mirror, destination: at(mirror.destination) })),
      ...(route.mirror ? { mirror: at(route.mirror) } : {}),
    }, placed(`spec.http[${i}]`));
  });
  return {
    name: meta.name,
    namespace,
    creationTimestamp: meta.creationTimestamp,
    hosts: spec.hosts.map(hostOf),
    gateways: spec.gateways.length === 0 ? ['mesh'] : [...new Set(spec.gateways.map((name) => gatewayName(name, namespace)))],
    exportTo: spec.exportTo.length > 0 ? spec.exportTo : context.mesh.defaultVirtualServiceExportTo,
    ...(semantics ? { semantics } : {}),
    spec: { ...spec, http, tcp: spec.tcp.map(l4), tls: spec.tls.map(l4) },
  };
}

function semanticsOf({ annotations }: Config['meta']): VirtualService['semantics'] {
  const written = annotations[notes.routeSemantics];
  return written === 'gateway' || written === 'ingress' ? written : undefined;
}

/** "namespace/name" of what was written: also "./name" and, as in the oldest YAML, "name.namespace.svc…". */
function gatewayName(name: string, namespace: string): string {
  if (name === 'mesh') return name;
  if (name.includes('/')) return name.startsWith('./') ? `${namespace}${name.slice(1)}` : name;
  const [first = '', second] = name.split('.');
  return `${second ?? namespace}/${first}`;
}

const merged = new WeakMap<VirtualService, { readonly delegates: readonly (VirtualService | undefined)[]; readonly rule: VirtualService }>();

/** A delegate that is missing, or not exported to the root's namespace, takes its one route with it. The same object while root and delegates are the same. */
function withDelegates(rule: VirtualService, all: ReadonlyMap<string, VirtualService>): VirtualService {
  if (!rule.spec.http.some((route) => route.delegate)) return rule;
  const delegates = rule.spec.http.map(({ delegate }) => {
    const found = delegate && all.get(`${delegate.namespace || rule.namespace}/${delegate.name}`);
    return found && isVisible(found.exportTo, found.namespace, rule.namespace) ? found : undefined;
  });
  const before = merged.get(rule);
  if (before?.delegates.every((delegate, index) => delegate === delegates[index])) return before.rule;
  const http = rule.spec.http.flatMap((route, index) => (route.delegate ? mergedRoutes(route, delegates[index]?.spec.http ?? []) : [route]));
  const result = { ...rule, spec: { ...rule.spec, http } };
  merged.set(rule, { delegates, rule: result });
  return result;
}
