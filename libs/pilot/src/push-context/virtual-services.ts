import type { Config, Destination, HttpMatchRequest, HttpRoute, MeshConfigSpec, StringMatch, VirtualServiceSpec } from '@meltemi/config';
import { resolveHost } from './hosts.ts';

/** A VirtualService with every name resolved and its delegates merged in. */
export interface VirtualService {
  readonly name: string;
  readonly namespace: string;
  readonly creationTimestamp: string;
  readonly hosts: readonly string[];
  /** "mesh" or "namespace/name". */
  readonly gateways: readonly string[];
  readonly exportTo: readonly string[];
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
  const delegates = new Map(configs.filter((config) => config.spec.hosts.length === 0).map((config) => [`${config.meta.namespace}/${config.meta.name}`, config]));
  const roots = configs.filter((config) => config.spec.hosts.length > 0).toSorted(byAge);
  const all = roots.map((config) => resolved(config, delegates, context));
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

type Delegates = ReadonlyMap<string, Config<VirtualServiceSpec>>;

function resolved(config: Config<VirtualServiceSpec>, delegates: Delegates, context: { readonly mesh: MeshConfigSpec; readonly domain: string }): VirtualService {
  const { meta, spec } = config;
  const { namespace } = meta;
  const host = (name: string) => resolveHost(name, namespace, context.domain);
  const http = spec.http.flatMap((route) => delegated(route, namespace, delegates)).map(({ route, owner }) => resolvedRoute(route, { owner, namespace, domain: context.domain }));
  const l4 = <R extends { readonly route: readonly { readonly destination: Destination }[]; readonly match: readonly { readonly gateways: readonly string[] }[] }>(route: R): R => ({
    ...route,
    route: route.route.map((entry) => ({ ...entry, destination: { ...entry.destination, host: host(entry.destination.host) } })),
    match: route.match.map((match) => ({ ...match, gateways: match.gateways.map((name) => gatewayName(name, namespace)) })),
  });
  return {
    name: meta.name,
    namespace,
    creationTimestamp: meta.creationTimestamp,
    hosts: spec.hosts.map(host),
    gateways: spec.gateways.length === 0 ? ['mesh'] : [...new Set(spec.gateways.map((name) => gatewayName(name, namespace)))],
    exportTo: spec.exportTo.length > 0 ? spec.exportTo : context.mesh.defaultVirtualServiceExportTo,
    spec: { ...spec, http, tcp: spec.tcp.map(l4), tls: spec.tls.map(l4) },
  };
}

function gatewayName(name: string, namespace: string): string {
  return name === 'mesh' || name.includes('/') ? name : `${namespace}/${name}`;
}

/** Destinations resolve in the namespace of whoever wrote them: the delegate's, for a delegated route. */
function resolvedRoute(route: HttpRoute, names: { readonly owner: string; readonly namespace: string; readonly domain: string }): HttpRoute {
  const at = (destination: Destination): Destination => ({ ...destination, host: resolveHost(destination.host, names.owner, names.domain) });
  return {
    ...route,
    route: route.route.map((entry) => ({ ...entry, destination: at(entry.destination) })),
    mirrors: route.mirrors.map((mirror) => ({ ...mirror, destination: at(mirror.destination) })),
    ...(route.mirror ? { mirror: at(route.mirror) } : {}),
    match: route.match.map((match) => ({ ...match, gateways: match.gateways.map((name) => gatewayName(name, names.namespace)) })),
  };
}

/** One level of delegation: the delegate's routes with matches and-merged; a pair that contradicts itself is dropped. */
function delegated(root: HttpRoute, namespace: string, delegates: Delegates): { route: HttpRoute; owner: string }[] {
  if (!root.delegate) return [{ route: root, owner: namespace }];
  const owner = root.delegate.namespace === '' ? namespace : root.delegate.namespace;
  const target = delegates.get(`${owner}/${root.delegate.name}`);
  const routes: { route: HttpRoute; owner: string }[] = [];
  for (const child of target?.spec.http ?? []) {
    if (child.delegate) continue;
    const match = mergedMatches(root.match, child.match);
    if (match !== undefined) routes.push({ route: mergedRoute(root, child, match), owner });
  }
  return routes;
}

function mergedRoute(root: HttpRoute, child: HttpRoute, match: readonly HttpMatchRequest[]): HttpRoute {
  const { delegate: _, ...rest } = root;
  const name = [root.name, child.name].filter((part) => part !== '').join('-');
  const mirrors = child.mirrors.length > 0 || child.mirror ? child.mirrors : root.mirrors;
  return { ...rest, ...child, name, match, mirrors };
}

/** undefined: nothing can match. An empty list: everything does. */
function mergedMatches(roots: readonly HttpMatchRequest[], children: readonly HttpMatchRequest[]): HttpMatchRequest[] | undefined {
  if (roots.length === 0) return [...children];
  if (children.length === 0) return [...roots];
  const merged = roots.flatMap((root) => children.map((child) => mergedMatch(root, child)).filter((match) => match !== undefined));
  return merged.length > 0 ? merged : undefined;
}

function mergedMatch(root: HttpMatchRequest, child: HttpMatchRequest): HttpMatchRequest | undefined {
  for (const key of ['uri', 'scheme', 'method', 'authority'] as const) if (contradicts(root[key], child[key])) return undefined;
  if (root.port !== 0 && child.port !== 0 && root.port !== child.port) return undefined;
  if (root.sourceNamespace !== '' && child.sourceNamespace !== '' && root.sourceNamespace !== child.sourceNamespace) return undefined;
  for (const [key, value] of Object.entries(child.sourceLabels)) if ((root.sourceLabels[key] ?? value) !== value) return undefined;
  return {
    ...root,
    ...child,
    name: [root.name, child.name].filter((part) => part !== '').join('-'),
    port: child.port || root.port,
    gateways: child.gateways.length > 0 ? child.gateways : root.gateways,
    headers: { ...root.headers, ...child.headers },
    withoutHeaders: { ...root.withoutHeaders, ...child.withoutHeaders },
    queryParams: { ...root.queryParams, ...child.queryParams },
    sourceLabels: { ...root.sourceLabels, ...child.sourceLabels },
    sourceNamespace: child.sourceNamespace || root.sourceNamespace,
    ignoreUriCase: root.ignoreUriCase || child.ignoreUriCase,
    statPrefix: child.statPrefix || root.statPrefix,
  };
}

/** The delegate may narrow the root's match, not leave it. */
function contradicts(root: StringMatch | undefined, child: StringMatch | undefined): boolean {
  if (!root || !child) return false;
  if (root.regex !== undefined || child.regex !== undefined) return root.regex !== child.regex;
  if (root.exact !== undefined) return child.exact !== root.exact;
  return !(child.exact ?? child.prefix ?? '').startsWith(root.prefix ?? '');
}
