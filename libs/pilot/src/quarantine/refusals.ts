import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { VirtualHost } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import type { FieldError } from '@meltemi/base';
import { compileCluster, compileListener, compileLoadAssignment, compileRouteConfiguration, type Extensions } from '@meltemi/snapshot';
import { shortTypeName, xdsType, type ResourceSet, type XdsResource } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { partsOf } from '../translate/routes/route-resource.ts';
import { hostMessage, type RoutesPart, type TableParts } from '../translate/routes/table-parts.ts';
import { translate } from '../translate/translate.ts';

/** A resource that a proxy would not take, or (name '') a type that could not be translated for it. */
export interface RefusedByProxy {
  readonly proxy: Proxy;
  readonly typeUrl: string;
  readonly name: string;
  readonly errors: readonly FieldError[];
}

/** Types that are compiled before they are published. */
export const checkedTypes = [xdsType.cluster, xdsType.endpoint, xdsType.listener, xdsType.route] as const;

type Verdict = readonly FieldError[] | undefined;

/** By the registry, then by the resource itself. */
const verdicts = new WeakMap<Extensions, WeakMap<XdsResource, { readonly errors: Verdict }>>();
/** By the registry: type and content hash of what was found good. */
const goodContent = new WeakMap<Extensions, Set<string>>();
const maxGoodContent = 100_000;

/** What our proxy's own compiler says against a resource; undefined: it takes it. Asked again for the same bytes it costs a look-up. */
export function refusalOf(typeUrl: string, resource: XdsResource, extensions: Extensions): Verdict {
  const known = verdicts.get(extensions) ?? new WeakMap<XdsResource, { readonly errors: Verdict }>();
  verdicts.set(extensions, known);
  const before = known.get(resource);
  if (before) return before.errors;
  const good = goodContent.get(extensions) ?? new Set<string>();
  goodContent.set(extensions, good);
  const content = `${shortTypeName(typeUrl)} ${resource.version}`;
  const errors = good.has(content) ? undefined : compiled(typeUrl, resource, extensions);
  if (errors === undefined) {
    noteGood(resource, extensions);
    if (good.size >= maxGoodContent) good.clear();
    good.add(content);
  }
  known.set(resource, { errors });
  return errors;
}

function compiled(typeUrl: string, resource: XdsResource, extensions: Extensions): Verdict {
  try {
    const parts = typeUrl === xdsType.route ? partsOf(resource) : undefined;
    const result = parts ? compileRouteConfiguration(unknownOf(parts, extensions), extensions) : compileAny(typeUrl, resource.any.value, extensions);
    return result === undefined || result.ok ? undefined : result.error;
  } catch (cause) {
    return [{ path: '', message: `cannot be decoded: ${cause instanceof Error ? cause.message : String(cause)}` }];
  }
}

/** By the registry: routes that stood in a table that was found good. What a table itself says of its routes is the same in all. */
const goodRoutes = new WeakMap<Extensions, WeakSet<RoutesPart>>();

function noteGood(resource: XdsResource, extensions: Extensions): void {
  const good = goodRoutes.get(extensions) ?? new WeakSet<RoutesPart>();
  goodRoutes.set(extensions, good);
  for (const { routes } of partsOf(resource)?.hosts ?? []) good.add(routes);
}

/** The table with all its hosts, and only those routes that were in none before. */
function unknownOf(table: TableParts, extensions: Extensions): RouteConfiguration {
  const good = goodRoutes.get(extensions);
  return { ...table.about, virtualHosts: table.hosts.map((host) => (good?.has(host.routes) ? { ...noHost, name: host.name, domains: [...host.domains] } : hostMessage(table, host))) };
}

const noHost = VirtualHost.decode(new Uint8Array());

function compileAny(typeUrl: string, bytes: Uint8Array, extensions: Extensions) {
  switch (typeUrl) {
    case xdsType.cluster:
      return compileCluster(Cluster.decode(bytes), extensions);
    case xdsType.endpoint:
      return compileLoadAssignment(ClusterLoadAssignment.decode(bytes));
    case xdsType.listener:
      return compileListener(Listener.decode(bytes), extensions);
    case xdsType.route:
      return compileRouteConfiguration(RouteConfiguration.decode(bytes), extensions);
    default:
      return undefined;
  }
}

/** The sets that were looked at whole and found good. */
const goodSets = new WeakMap<ResourceSet, Set<Extensions>>();

/** What of a set a proxy would refuse. */
export function refusedOf(set: ResourceSet, extensions: Extensions): { readonly name: string; readonly errors: readonly FieldError[] }[] {
  if (goodSets.get(set)?.has(extensions)) return [];
  const refused: { name: string; errors: readonly FieldError[] }[] = [];
  for (const resource of set.resources.values()) {
    const errors = refusalOf(set.typeUrl, resource, extensions);
    if (errors) refused.push({ name: resource.name, errors });
  }
  if (refused.length === 0) goodSets.set(set, (goodSets.get(set) ?? new Set()).add(extensions));
  return refused;
}

/** What these proxies would refuse of a context, each resource once; a translation that fails counts. */
export function refusals(push: PushContext, proxies: readonly Proxy[], extensions: Extensions): RefusedByProxy[] {
  const found = new Map<string, RefusedByProxy>();
  for (const proxy of proxies) {
    for (const typeUrl of checkedTypes) {
      for (const { name, errors } of refusedFor(push, proxy, { typeUrl }, extensions)) {
        const key = `${typeUrl}\0${name}\0${JSON.stringify(errors)}`;
        if (!found.has(key)) found.set(key, { proxy, typeUrl, name, errors });
      }
    }
  }
  return [...found.values()];
}

/** The same for one proxy and type, or for some of its names. */
export function refusedFor(push: PushContext, proxy: Proxy, wanted: { readonly typeUrl: string; readonly names?: readonly string[] }, extensions: Extensions): { readonly name: string; readonly errors: readonly FieldError[] }[] {
  try {
    return refusedOf(translate(push, proxy, wanted), extensions);
  } catch (cause) {
    return [{ name: '', errors: [{ path: '', message: `cannot be translated: ${cause instanceof Error ? cause.message : String(cause)}` }] }];
  }
}
