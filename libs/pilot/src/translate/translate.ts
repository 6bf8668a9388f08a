import { Cluster, Cluster_DiscoveryType } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { packAny, typeNameOf, type MessageCodec } from '@meltemi/api';
import { parseClusterName, parseClusterSni, resourceSet, wellKnownClusters, xdsResource, xdsType, type ResourceSet, type XdsResource } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import { policyView } from '../push-context/policy-view.ts';
import { scopeOf, type Scope } from '../push-context/scope.ts';
import { changedEndpoints } from '../registry/changed-endpoints.ts';
import type { Registry } from '../registry/registry-types.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { serviceKey } from '../registry/model.ts';
import { cached, lastValue, ownedBy, together } from './cache.ts';
import { anyHostCluster } from './clusters/dynamic.ts';
import { inboundClusters, wellKnown } from './clusters/inbound.ts';
import { keptClusters } from './clusters/kept.ts';
import { destinationRuleOf, discoveryOf, outboundClusters } from './clusters/outbound.ts';
import { passedThrough, sniDnatClusters } from './clusters/sni-dnat.ts';
import { effectivePolicy } from './clusters/traffic-policy.ts';
import { nameTableSet } from './dns/name-table.ts';
import { loadAssignment } from './endpoints.ts';
import { hasPatches, withClusterPatches, withListenerPatches } from './envoy-filter/patched.ts';
import { gatewayListeners } from './gateway-servers.ts';
import { localityPreference } from './locality.ts';
import { buildGatewayListeners } from './listeners/gateway.ts';
import { inboundPorts } from './inbound-ports.ts';
import { inboundListeners } from './listeners/inbound.ts';
import { outboundListeners } from './listeners/outbound.ts';
import { clustersConfigured, gatewayListenersConfigured } from './proxy-config/resources.ts';
import { proxylessClusters, proxylessListener } from './proxyless.ts';
import { listenerReferences } from './references.ts';
import { routeResource } from './routes/route-resource.ts';
import { setOf } from './sets.ts';
import { trustBundleSet } from './trust/trust-bundle-set.ts';
import { ownView, perView, viewOf } from './views.ts';
import { carriedBy } from './without-http2.ts';

/** What a client asks for. */
export interface Wanted {
  readonly typeUrl: string;
  /** Names subscribed to. Listeners and clusters are all sent when absent; routes and endpoints only by name, absent meaning all that this client could ask for. */
  readonly names?: readonly string[] | undefined;
}

/** The resources of one type for one proxy, encoded once per content. Types we do not make come back empty. Equal proxies get the same object. */
export function translate(push: PushContext, proxy: Proxy, wanted: Wanted): ResourceSet {
  const { typeUrl, names } = wanted;
  if (typeUrl === xdsType.nameTable) return nameTableSet(push, proxy);
  if (typeUrl === xdsType.proxyConfig) return trustBundleSet(push);
  if (names !== undefined) return resourceSet(typeUrl, resources(push, proxy, typeUrl, names));
  if (typeUrl === xdsType.endpoint && !proxy.proxyless) return endpointSet(push, proxy);
  const scope = carriedBy(proxy, scopeOf(push, proxy));
  const build = () => wholeSet(push, proxy, scope, typeUrl);
  // endpoints alone read more than the shape
  if (typeUrl === xdsType.endpoint) return cached(push.registry, { kind: 'set', typeUrl, view: ownView(push, proxy) }, build, push.shape);
  return ownedBy(proxy, { kind: typeUrl, source: sourceOf(push, proxy, scope, typeUrl), version: `${ownView(push, proxy)} ${typeUrl === xdsType.listener ? policyView(push, proxy) : JSON.stringify(passing(push, proxy))}` }, build);
}

/** What a set is made from: a change of anything else leaves it alone. */
function sourceOf(push: PushContext, proxy: Proxy, scope: Scope, typeUrl: string): object {
  if (typeUrl === xdsType.cluster) return scope.reach;
  return typeUrl === xdsType.listener ? listenersFrom(push, proxy, scope) : scope;
}

/** What outbound listeners are made from: of a sidecar not the rules that route requests. EnvoyFilters are told of anew with each shape. */
function listenersFrom(push: PushContext, proxy: Proxy, scope: Scope): object {
  return proxy.type === 'router' || hasPatches(push, proxy) ? scope : scope.listening;
}

/** What the clusters of a gateway read besides: whom it passes connections to by their server names. */
function passing(push: PushContext, proxy: Proxy): object {
  return proxy.type === 'router' ? { passing: passedThrough(push, proxy) } : {};
}

function wholeSet(push: PushContext, proxy: Proxy, scope: Scope, typeUrl: string): ResourceSet {
  if (proxy.proxyless) return resourceSet(typeUrl, resources(push, proxy, typeUrl, undefined));
  switch (typeUrl) {
    case xdsType.cluster:
      return setOf(typeUrl, inboundClusterResources(push, proxy), outboundClusterResources(push, proxy, scope));
    case xdsType.listener: {
      const { own: mine, shared } = listenerResources(push, proxy, scope);
      return setOf(typeUrl, mine, shared);
    }
    case xdsType.route: {
      const names = routeNames(push, proxy, scope);
      return cached(scope, { kind: 'route-set', view: proxy.type === 'router' ? ownView(push, proxy) : viewOf(push, proxy), names }, () => keptSet(scope, proxy, `last-routes ${viewOf(push, proxy)} ${names.join()}`, routes(push, proxy, scope, names)));
    }
    default:
      return resourceSet(typeUrl, resources(push, proxy, typeUrl, undefined));
  }
}

/** The last set of routes, when every table is the last one. */
function keptSet({ reach }: Scope, proxy: Proxy, key: string, tables: readonly XdsResource[]): ResourceSet {
  const slot = lastValue<ResourceSet>(reach, key, proxy.type === 'router' ? proxy : undefined);
  const same = slot.last?.resources.size === tables.length && tables.every((table) => slot.last?.resources.get(table.name) === table);
  return same && slot.last ? slot.last : (slot.last = resourceSet(xdsType.route, tables));
}

/** Made from the last one of the same reach: only services whose endpoints changed are looked at. */
function endpointSet(push: PushContext, proxy: Proxy): ResourceSet {
  const scope = carriedBy(proxy, scopeOf(push, proxy));
  const memo = lastValue<{ readonly registry: Registry; readonly set: ResourceSet }>(scope.reach, `endpoint-set ${viewOf(push, proxy)} ${JSON.stringify([proxy.node, passing(push, proxy)])}`);
  if (memo.last?.registry === push.registry) return memo.last.set;
  const set = memo.last ? advanced(push, proxy, scope, memo.last) : resourceSet(xdsType.endpoint, endpoints(push, proxy, scope, undefined));
  memo.last = { registry: push.registry, set };
  return set;
}

function advanced(push: PushContext, proxy: Proxy, scope: Scope, last: { readonly registry: Registry; readonly set: ResourceSet }): ResourceSet {
  const byService = cached(scope.reach, { kind: 'eds-names-by-service', view: viewOf(push, proxy), ...passing(push, proxy) }, () => Map.groupBy(edsNames(push, proxy, scope), (name) => serviceKeyOf(scope, name)));
  const next = new Map(last.set.resources);
  let differs = false;
  for (const name of [...changedEndpoints(last.registry, push.registry)].flatMap((key) => byService.get(key) ?? [])) {
    const [before, now] = [next.get(name), assignment(push, proxy, scope, name)];
    if (before?.version === now?.version) continue;
    differs = true;
    if (now) next.set(name, now);
    else next.delete(name);
  }
  return differs ? resourceSet(xdsType.endpoint, next.values()) : last.set;
}

function serviceKeyOf(scope: Scope, cluster: string): string {
  const service = scope.byHost.get((parseClusterSni(cluster) ?? parseClusterName(cluster))?.host ?? '');
  return service ? serviceKey(service) : '';
}

function resources(push: PushContext, proxy: Proxy, typeUrl: string, names: readonly string[] | undefined): readonly XdsResource[] {
  const scope = carriedBy(proxy, scopeOf(push, proxy));
  switch (typeUrl) {
    case xdsType.cluster:
      return filtered(clusters(push, proxy, scope), names);
    case xdsType.endpoint:
      return endpoints(push, proxy, scope, names);
    case xdsType.listener:
      return filtered(listeners(push, proxy, scope, names), names);
    case xdsType.route:
      return routes(push, proxy, scope, names);
    default:
      return [];
  }
}

function filtered(all: readonly XdsResource[], names: readonly string[] | undefined): readonly XdsResource[] {
  if (names === undefined || names.length === 0 || names.includes('*')) return all;
  const asked = new Set(names);
  return all.filter((resource) => asked.has(resource.name));
}

function encoded<T extends { name: string }>(typeUrl: string, codec: MessageCodec<T>, message: T, pointsAt?: (message: T) => ReadonlySet<string>): XdsResource {
  const any = packAny(typeNameOf(typeUrl), codec, message);
  if (!pointsAt) return xdsResource(message.name, any);
  // asked for few of them, and then by every client: found out once, from the bytes, so that the message is not kept
  let clusters: ReadonlySet<string> | undefined;
  return xdsResource(message.name, any, () => (clusters ??= pointsAt(codec.decode(any.value))));
}

const encodedClusters = (list: readonly Cluster[]): readonly XdsResource[] => list.map((cluster) => encoded(xdsType.cluster, Cluster, cluster));
const encodedListeners = (list: readonly Listener[]): readonly XdsResource[] => list.map((listener) => encoded(xdsType.listener, Listener, listener, (message) => listenerReferences(message).clusters));

function clusters(push: PushContext, proxy: Proxy, scope: Scope): readonly XdsResource[] {
  if (proxy.proxyless) return cached(scope.reach, { kind: 'proxyless-clusters', view: viewOf(push, proxy) }, () => encodedClusters(proxylessClusters(push, proxy, scope)));
  return [...outboundClusterResources(push, proxy, scope), ...inboundClusterResources(push, proxy)];
}

const isInbound = ({ name }: Cluster) => name === wellKnownClusters.inboundPassthrough;

function outboundClusterResources(push: PushContext, proxy: Proxy, scope: Scope): readonly XdsResource[] {
  return cached(scope.reach, { kind: 'clusters', view: viewOf(push, proxy), ...passing(push, proxy) }, () => {
    const others = () => [...sniDnatClusters(push, proxy, scope), ...wellKnown(push, proxy).filter((cluster) => !isInbound(cluster)), ...(scope.dynamicDns ? [anyHostCluster(push, proxy)] : [])];
    // a patch may read, and add, any of them
    if (hasPatches(push, proxy)) return encodedClusters(withClusterPatches(push, proxy, 'outbound', clustersConfigured(push, proxy, [...scope.services.flatMap((service) => outboundClusters(push, proxy, service, destinationRuleOf(push, proxy, service))), ...others()])));
    const made = (list: readonly Cluster[]) => encodedClusters(clustersConfigured(push, proxy, list));
    return [...scope.services.flatMap((service) => keptClusters(push, proxy, service, (rule) => made(outboundClusters(push, proxy, service, rule)))), ...made(others())];
  });
}

function inboundClusterResources(push: PushContext, proxy: Proxy): readonly XdsResource[] {
  return own(push, proxy, { kind: 'inbound-clusters', ...inboundSource(push, proxy) }, () => encodedClusters(withClusterPatches(push, proxy, 'inbound', clustersConfigured(push, proxy, [...inboundClusters(push, proxy), ...wellKnown(push, proxy).filter(isInbound)]))));
}

/** What a sidecar's inbound side reads, besides its own view and policies. Rules for other services are none of it, so they leave it alone. */
function inboundSource(push: PushContext, proxy: Proxy): { readonly source: object; readonly version: string } {
  // EnvoyFilters are told of anew with each base
  if (hasPatches(push, proxy)) return { source: push.base, version: '' };
  const { mesh, features, peerAuthentications, services, envoyFilters } = push;
  return ownedBy(proxy, { kind: 'inbound-source', source: push.base, version: `${ownView(push, proxy)}` }, () =>
    ({ source: together(mesh, features, peerAuthentications, services, envoyFilters), version: JSON.stringify(inboundPorts(push, proxy)) }));
}

/** A proxy's own resources; replicas, whose are alike, keep the same ones. */
function own(push: PushContext, proxy: Proxy, { kind, source, version }: { readonly kind: string; readonly source: object; readonly version: string }, make: () => readonly XdsResource[]): readonly XdsResource[] {
  return ownedBy(proxy, { kind, source, version: `${ownView(push, proxy)} ${version}` }, () => {
    const made = make();
    return cached(source, { kind, alike: made.map((resource) => [resource.name, resource.version]) }, () => made);
  });
}

function listeners(push: PushContext, proxy: Proxy, scope: Scope, names: readonly string[] | undefined): readonly XdsResource[] {
  if (proxy.proxyless) return encodedListeners((names ?? allTargets(scope)).map((name) => proxylessListener(push, proxy, scope, name)).filter((listener) => listener !== undefined));
  const { own: mine, shared } = listenerResources(push, proxy, scope);
  return [...mine, ...shared];
}

const noneShared: readonly XdsResource[] = [];

/** Inbound, and all of a gateway's, are its own; outbound is shared as long as nothing of the proxy itself is read. */
function listenerResources(push: PushContext, proxy: Proxy, scope: Scope): { readonly own: readonly XdsResource[]; readonly shared: readonly XdsResource[] } {
  const policies = policyView(push, proxy);
  if (proxy.type === 'router') {
    const all = () => encodedListeners(withListenerPatches(push, proxy, 'outbound', gatewayListenersConfigured(push, proxy, buildGatewayListeners(push, proxy, scope))));
    return { own: own(push, proxy, { kind: 'listeners', source: push.shape, version: policies }, all), shared: noneShared };
  }
  const { source, version } = inboundSource(push, proxy);
  const mine = own(push, proxy, { kind: 'listeners', source, version: `${version} ${policies}` }, () => encodedListeners(withListenerPatches(push, proxy, 'inbound', inboundListeners(push, proxy))));
  return { own: mine, shared: perView(push, proxy, { kind: `outbound-listeners ${policies}`, source: listenersFrom(push, proxy, scope) }, (seen) => encodedListeners(withListenerPatches(push, seen, 'outbound', outboundListeners(push, seen, scope)))) };
}

function allTargets(scope: Scope): string[] {
  return scope.services.flatMap((service) => (service.aliasOf === undefined ? service.ports.map((port) => `${service.hostname}:${port.number}`) : []));
}

function routes(push: PushContext, proxy: Proxy, scope: Scope, names: readonly string[] | undefined): XdsResource[] {
  const found: XdsResource[] = [];
  // a gateway's tables read which port its own Service maps
  const view = proxy.type === 'router' ? ownView(push, proxy) : viewOf(push, proxy);
  for (const name of names ?? routeNames(push, proxy, scope)) {
    const resource = cached(scope, { kind: 'routes', name, view }, () => routeResource(push, proxy, scope, { name, view }));
    if (resource) found.push(resource);
  }
  return found;
}

/** Names its listeners mention. */
export function routeNames(push: PushContext, proxy: Proxy, scope: Scope = carriedBy(proxy, scopeOf(push, proxy))): string[] {
  if (proxy.proxyless) return scope.services.flatMap((service) => (service.aliasOf === undefined ? service.ports.map((port) => `outbound|${port.number}||${service.hostname}`) : []));
  if (proxy.type === 'router') return [...new Set(gatewayListeners(push, proxy).flatMap(({ servers }) => servers.map((entry) => entry.routeName)))].filter((name) => name !== '');
  const { own: mine, shared } = listenerResources(push, proxy, scope);
  return [...new Set([...routesNamedBy(mine), ...routesNamedBy(shared)])];
}

const namedRoutes = new WeakMap<readonly XdsResource[], readonly string[]>();

function routesNamedBy(list: readonly XdsResource[]): readonly string[] {
  const known = namedRoutes.get(list) ?? [...new Set(list.flatMap(({ any }) => [...listenerReferences(Listener.decode(any.value)).routes]))];
  namedRoutes.set(list, known);
  return known;
}

function endpoints(push: PushContext, proxy: Proxy, scope: Scope, names: readonly string[] | undefined): XdsResource[] {
  const found: XdsResource[] = [];
  for (const name of names ?? edsNames(push, proxy, scope)) {
    const resource = assignment(push, proxy, scope, name);
    if (resource) found.push(resource);
  }
  return found;
}

function edsNames(push: PushContext, proxy: Proxy, scope: Scope): readonly string[] {
  return cached(scope.reach, { kind: 'eds-names', view: viewOf(push, proxy), ...passing(push, proxy) }, () =>
    clusters(push, proxy, scope).filter(asksForEndpoints).map(({ name }) => name),
  );
}

const asking = new WeakMap<XdsResource, boolean>();

/** Found out from the bytes once for each cluster: an EnvoyFilter may have made it another kind. */
function asksForEndpoints(cluster: XdsResource): boolean {
  const known = asking.get(cluster);
  if (known !== undefined) return known;
  const { clusterDiscoveryType: type } = Cluster.decode(cluster.any.value);
  const asks = type?.$case === 'type' && type.value === Cluster_DiscoveryType.EDS;
  asking.set(cluster, asks);
  return asks;
}

/** One cluster's endpoints. A subset nobody defines, or a service this proxy does not see, has no assignment. */
function assignment(push: PushContext, proxy: Proxy, scope: Scope, name: string): XdsResource | undefined {
  const passedThrough = parseClusterSni(name);
  const parsed = passedThrough ?? parseClusterName(name);
  const service = parsed && scope.byHost.get(parsed.host);
  const port = service?.ports.find((candidate) => candidate.number === parsed?.port);
  if (!parsed || !service || service.aliasOf !== undefined || !port || discoveryOf(push, service, proxy) !== 'static') return undefined;
  const rule = destinationRuleOf(push, proxy, service);
  const subset = parsed.subset === '' ? undefined : rule?.subsets.find((candidate) => candidate.name === parsed.subset);
  if (parsed.subset !== '' && !subset) return undefined;
  const labels = subset?.labels ?? {};
  // the mesh's default outlier detection does not turn on failover here, as in Istio
  const policy = effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, port.number);
  const preference = localityPreference(push, proxy, { policy, service });
  const tlsMode = policy.tls?.mode;
  const client = { node: service.nodeLocal ? proxy.node : '', network: proxy.network };
  const build = () => xdsResource(name, packAny(typeNameOf(xdsType.endpoint), ClusterLoadAssignment, loadAssignment(push, { name, service, port, labels, preference, client, tlsMode, mutualOnly: passedThrough !== undefined })));
  const list = push.registry.endpoints.get(serviceKey(service))?.get(port.number);
  // read besides the list: the labels, the client and its preference, the rule's TLS, some facts of the service, and who must not be offered mutual TLS
  return list ? cached(list, { name, labels, preference, client, networks: push.registry.gateways.key, tlsMode, external: service.meshExternal, unready: service.publishNotReady, spread: service.trafficDistribution }, build, push.peerAuthentications) : build();
}
