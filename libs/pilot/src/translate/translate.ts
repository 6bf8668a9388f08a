import { Cluster, Cluster_DiscoveryType } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { packAny, typeNameOf, type MessageCodec } from '@meltemi/api';
import { parseClusterName, resourceSet, wellKnownClusters, xdsResource, xdsType, type ResourceSet, type XdsResource } from '@meltemi/xds';
import { patchesFor } from '../push-context/envoy-filters.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { policyView } from '../push-context/policy-view.ts';
import { proxyConfigParts } from '../push-context/proxy-config.ts';
import { scopeOf, type Scope } from '../push-context/scope.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { serviceKey } from '../registry/model.ts';
import { cached, cachedVersion } from './cache.ts';
import { inboundClusters, wellKnown } from './clusters/inbound.ts';
import { destinationRuleOf, discoveryOf, outboundClusters } from './clusters/outbound.ts';
import { effectivePolicy } from './clusters/traffic-policy.ts';
import { loadAssignment } from './endpoints.ts';
import { withClusterPatches, withListenerPatches, withRoutePatches } from './envoy-filter/patched.ts';
import { gatewayListeners } from './gateway-servers.ts';
import { serviceTargets } from './inbound-ports.ts';
import { localityPreference } from './locality.ts';
import { buildGatewayListeners } from './listeners/gateway.ts';
import { inboundListeners } from './listeners/inbound.ts';
import { outboundListeners } from './listeners/outbound.ts';
import { proxylessClusters, proxylessListener, proxylessRoutes } from './proxyless.ts';
import { listenerReferences, routeClusters } from './references.ts';
import { gatewayRoutes } from './routes/gateway-routes.ts';
import { sidecarRoutes } from './routes/sidecar-routes.ts';
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
  if (names !== undefined) return resourceSet(typeUrl, resources(push, proxy, typeUrl, names));
  // endpoints alone read more than the shape
  const source = typeUrl === xdsType.endpoint ? push.registry : push.shape;
  const build = () => resourceSet(typeUrl, resources(push, proxy, typeUrl, undefined));
  const key = { kind: 'set', typeUrl, view: ownView(push, proxy) };
  return typeUrl === xdsType.listener ? cachedVersion(source, key, policyView(push, proxy), build) : cached(source, key, build);
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

/** All that outbound clusters and routes read of a proxy. */
function viewOf(push: PushContext, proxy: Proxy): unknown {
  const { type, namespace, labels, locality, network, clusterId, dnsDomain, dnsCapture, interception, proxyless, istioFilters, http2, meltemi } = proxy;
  const patches = patchesFor(push.envoyFilters, proxy).key;
  const families = proxy.addresses.map((address) => address.includes(':')).join();
  return { type, namespace, labels, locality, network, clusterId, dnsDomain, dnsCapture, families, interception, proxyless, istioFilters, http2, meltemi, patches };
}

/** All that listeners and inbound clusters read: besides, its own address and the ports it serves. Listeners also read policies (policyView). */
function ownView(push: PushContext, proxy: Proxy): unknown {
  const { addresses, appAddress, cluster, metadata } = proxy;
  const targets = serviceTargets(push, proxy).map(({ service, port, targetPort }) => [serviceKey(service), port.number, targetPort]);
  return { view: viewOf(push, proxy), addresses, appAddress, targets, cluster, meshId: metadata['MESH_ID'], config: proxyConfigParts(proxy) };
}

function clusters(push: PushContext, proxy: Proxy, scope: Scope): readonly XdsResource[] {
  const build = (list: readonly Cluster[]) => list.map((cluster) => encoded(xdsType.cluster, Cluster, cluster));
  if (proxy.proxyless) return cached(push.shape, { kind: 'proxyless-clusters', view: viewOf(push, proxy) }, () => build(proxylessClusters(push, proxy, scope)));
  const isInbound = ({ name }: Cluster) => name === wellKnownClusters.inboundPassthrough;
  const outbound = cached(push.shape, { kind: 'clusters', view: viewOf(push, proxy) }, () =>
    build(withClusterPatches(push, proxy, 'outbound', [...scope.services.flatMap((service) => outboundClusters(push, proxy, service)), ...wellKnown(push, proxy).filter((cluster) => !isInbound(cluster))])),
  );
  const inbound = cached(push.shape, { kind: 'inbound-clusters', view: ownView(push, proxy) }, () => build(withClusterPatches(push, proxy, 'inbound', [...inboundClusters(push, proxy), ...wellKnown(push, proxy).filter(isInbound)])));
  return [...outbound, ...inbound];
}

function listeners(push: PushContext, proxy: Proxy, scope: Scope, names: readonly string[] | undefined): readonly XdsResource[] {
  const build = (list: readonly Listener[]) => list.map((listener) => encoded(xdsType.listener, Listener, listener, (message) => listenerReferences(message).clusters));
  if (proxy.proxyless) return build((names ?? allTargets(scope)).map((name) => proxylessListener(push, proxy, scope, name)).filter((listener) => listener !== undefined));
  return cachedVersion(push.shape, { kind: 'listeners', view: ownView(push, proxy) }, policyView(push, proxy), () =>
    build(
      proxy.type === 'router'
        ? withListenerPatches(push, proxy, 'outbound', buildGatewayListeners(push, proxy, scope))
        : [...withListenerPatches(push, proxy, 'inbound', inboundListeners(push, proxy)), ...withListenerPatches(push, proxy, 'outbound', outboundListeners(push, proxy, scope))],
    ),
  );
}

function allTargets(scope: Scope): string[] {
  return scope.services.flatMap((service) => service.ports.map((port) => `${service.hostname}:${port.number}`));
}

function routes(push: PushContext, proxy: Proxy, scope: Scope, names: readonly string[] | undefined): XdsResource[] {
  const found: XdsResource[] = [];
  // a gateway's tables read which port its own Service maps
  const view = proxy.type === 'router' ? ownView(push, proxy) : viewOf(push, proxy);
  for (const name of names ?? routeNames(push, proxy, scope)) {
    const resource = cached(push.shape, { kind: 'routes', name, view }, () => {
      const table = routeTable(push, proxy, scope, name);
      return table ? encoded(xdsType.route, RouteConfiguration, table, routeClusters) : undefined;
    });
    if (resource) found.push(resource);
  }
  return found;
}

function routeTable(push: PushContext, proxy: Proxy, scope: Scope, name: string): RouteConfiguration | undefined {
  if (proxy.proxyless) return proxylessRoutes(push, proxy, scope, name);
  const table = proxy.type === 'router' ? gatewayRoutes(push, proxy, scope, name) : sidecarRoutes(push, proxy, scope, name);
  return table && withRoutePatches(push, proxy, table);
}

/** Names its listeners mention. */
export function routeNames(push: PushContext, proxy: Proxy, scope: Scope = carriedBy(proxy, scopeOf(push, proxy))): string[] {
  if (proxy.proxyless) return scope.services.flatMap((service) => service.ports.map((port) => `outbound|${port.number}||${service.hostname}`));
  if (proxy.type === 'router') return [...new Set(gatewayListeners(push, proxy).flatMap(({ servers }) => servers.map((entry) => entry.routeName)))].filter((name) => name !== '');
  return cached(push.shape, { kind: 'route-names', view: ownView(push, proxy) }, () => {
    const found = new Set<string>();
    for (const { any } of listeners(push, proxy, scope, undefined)) for (const name of listenerReferences(Listener.decode(any.value)).routes) found.add(name);
    return [...found];
  });
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
  return cached(push.shape, { kind: 'eds-names', view: viewOf(push, proxy) }, () =>
    clusters(push, proxy, scope)
      .map(({ any }) => Cluster.decode(any.value))
      .filter(({ clusterDiscoveryType: type }) => type?.$case === 'type' && type.value === Cluster_DiscoveryType.EDS)
      .map(({ name }) => name),
  );
}

/** One cluster's endpoints. A subset nobody defines, or a service this proxy does not see, has no assignment. */
function assignment(push: PushContext, proxy: Proxy, scope: Scope, name: string): XdsResource | undefined {
  const parsed = parseClusterName(name);
  const service = parsed && scope.byHost.get(parsed.host);
  const port = service?.ports.find((candidate) => candidate.number === parsed?.port);
  if (!parsed || !service || !port || discoveryOf(push, service, proxy) !== 'static') return undefined;
  const rule = destinationRuleOf(push, proxy, service);
  const subset = parsed.subset === '' ? undefined : rule?.subsets.find((candidate) => candidate.name === parsed.subset);
  if (parsed.subset !== '' && !subset) return undefined;
  const labels = subset?.labels ?? {};
  // the mesh's default outlier detection does not turn on failover here, as in Istio
  const policy = effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, port.number);
  const preference = localityPreference(push, proxy, { policy, service });
  const tlsMode = policy.tls?.mode;
  const client = { node: service.nodeLocal ? proxy.node : '', network: proxy.network };
  const build = () => xdsResource(name, packAny(typeNameOf(xdsType.endpoint), ClusterLoadAssignment, loadAssignment(push, { name, service, port, labels, preference, client, tlsMode })));
  const list = push.registry.endpoints.get(serviceKey(service))?.get(port.number);
  // read besides the list: the labels, the client and its preference, the rule's TLS, some facts of the service, and who must not be offered mutual TLS
  return list ? cached(list, { name, labels, preference, client, tlsMode, external: service.meshExternal, unready: service.publishNotReady, spread: service.trafficDistribution }, build, push.peerAuthentications) : build();
}
