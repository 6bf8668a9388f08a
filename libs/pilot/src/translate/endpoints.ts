import { selects, type ClientTlsMode, type LocalityDistribute } from '@meltemi/config';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Endpoint as EnvoyEndpoint, LbEndpoint, LocalityLbEndpoints } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint_components.ts';
import { HealthStatus } from '@meltemi/api/gen/envoy/config/core/v3/health_check.ts';
import { Metadata } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { modeForPort, mtlsPolicyFor } from '../push-context/peer-authentication.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { serviceKey, type Endpoint, type Service, type ServicePort } from '../registry/model.ts';
import { patternOf, priorityOf, sharedWeight, type LocalityPreference } from './locality.ts';
import { address, create } from './message.ts';
import { throughGateways, type ReachedEndpoint } from './network-gateways.ts';

/** What endpoints depend on in who asks. */
export type EndpointClient = Pick<Proxy, 'node' | 'network'>;

/** Which endpoints a cluster has. */
export interface AssignmentTarget {
  /** The cluster's name. */
  readonly name: string;
  readonly service: Service;
  readonly port: ServicePort;
  /** The subset's labels; empty takes all. */
  readonly labels: Readonly<Record<string, string>>;
  /** How the client prefers places. Default: not at all. */
  readonly preference?: LocalityPreference | undefined;
  readonly client: EndpointClient;
  /** The DestinationRule's TLS, which decides for all endpoints. Default: each for itself. */
  readonly tlsMode?: ClientTlsMode | undefined;
  /** Only endpoints that speak mutual TLS: for gateways that pass it through. Default false. */
  readonly mutualOnly?: boolean;
  /** Without endpoints, the host itself is one. Default false. */
  readonly fallbackToHostname?: boolean;
}

/** Endpoints of a cluster, grouped by locality; those that are not ready are left out unless the service publishes them. */
export function loadAssignment(push: PushContext, target: AssignmentTarget): ClusterLoadAssignment {
  const { service, port } = target;
  const all = push.registry.endpoints.get(serviceKey(service))?.get(port.number) ?? [];
  const fitting = all.filter((endpoint) => isUsable(endpoint, target));
  // one logical name has one address to look up
  const usable = service.resolution === 'dns-round-robin' ? fitting.slice(0, 1) : fitting;
  const owner = { push, service, tlsMode: target.tlsMode };
  const reached = throughGateways(usable, { gateways: push.registry.gateways, network: target.client.network, mutual: (endpoint) => speaksMutualTls(endpoint, owner) });
  const chosen = target.mutualOnly === true ? reached.filter((endpoint) => endpoint.gateway === true || speaksMutualTls(endpoint, owner)) : reached;
  const groups = grouped(chosen, target.preference).map((group) => localityGroup(group, owner));
  const endpoints = target.preference?.distribute ? shared(groups, target.preference.distribute) : groups;
  if (endpoints.length === 0 && target.fallbackToHostname === true) endpoints.push(hostnameGroup(service, port));
  return create(ClusterLoadAssignment, { clusterName: target.name, endpoints });
}

/** A service that prefers near endpoints needs to know those that are not ready, too: without them nobody sees that a place has failed. */
function isUsable(endpoint: Endpoint, { service, labels, client }: AssignmentTarget): boolean {
  if (!endpoint.healthy && !service.publishNotReady && service.trafficDistribution === 'any') return false;
  if (service.nodeLocal && endpoint.node !== client.node) return false;
  return selects(labels, endpoint.labels);
}

/** Endpoints of one priority and place. */
interface Group {
  readonly priority: number;
  readonly endpoints: ReachedEndpoint[];
}

/** By priority, then locality. Envoy wants priorities without gaps. */
function grouped(endpoints: readonly ReachedEndpoint[], preference: LocalityPreference | undefined): Group[] {
  const ranked = endpoints.map((endpoint) => ({ endpoint, rank: priorityOf(endpoint, preference) }));
  const ranks = [...new Set(ranked.map(({ rank }) => rank))].toSorted((a, b) => a - b);
  const groups = new Map<string, Group>();
  for (const { endpoint, rank } of ranked) {
    const { region, zone, subZone } = endpoint.locality;
    const priority = ranks.indexOf(rank);
    const key = `${priority}|${region}/${zone}/${subZone}`;
    const group = groups.get(key);
    if (group) group.endpoints.push(endpoint);
    else groups.set(key, { priority, endpoints: [endpoint] });
  }
  return [...groups.keys()].toSorted().map((key) => groups.get(key)).filter((group) => group !== undefined);
}

/** Weights by the user's shares; places without a share are left out. */
function shared(groups: readonly LocalityLbEndpoints[], distribute: LocalityDistribute): LocalityLbEndpoints[] {
  const none = { region: '', zone: '', subZone: '' };
  const totals = new Map<string, number>();
  for (const group of groups) {
    const pattern = patternOf(group.locality ?? none, distribute);
    if (pattern !== undefined) totals.set(pattern, (totals.get(pattern) ?? 0) + (group.loadBalancingWeight ?? 0));
  }
  return groups.flatMap((group) => {
    const weight = sharedWeight(group.locality ?? none, group.loadBalancingWeight ?? 0, { distribute, totals });
    return weight === undefined ? [] : [{ ...group, loadBalancingWeight: weight }];
  });
}

interface Owner {
  readonly push: PushContext;
  readonly service: Service;
  readonly tlsMode: ClientTlsMode | undefined;
}

function localityGroup({ endpoints: group, priority }: Group, owner: Owner): LocalityLbEndpoints {
  const locality = group[0]?.locality;
  return create(LocalityLbEndpoints, {
    ...(locality ? { locality: { region: locality.region, zone: locality.zone, subZone: locality.subZone } } : {}),
    priority,
    lbEndpoints: group.map((endpoint) => lbEndpoint(endpoint, owner)),
    loadBalancingWeight: group.reduce((sum, endpoint) => sum + endpoint.weight, 0),
  });
}

function lbEndpoint(endpoint: ReachedEndpoint, owner: Owner): LbEndpoint {
  return create(LbEndpoint, {
    hostIdentifier: { $case: 'endpoint', value: create(EnvoyEndpoint, { address: address(endpoint.address, endpoint.port) }) },
    metadata: create(Metadata, { filterMetadata: endpointMetadata(endpoint, owner) }),
    loadBalancingWeight: endpoint.weight,
    // a service that publishes endpoints before they are ready wants them used
    healthStatus: endpoint.healthy ? HealthStatus.UNKNOWN : owner.service.publishNotReady ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
  });
}

/** Istio's notes on an endpoint: whether it speaks mutual TLS, and "workload;namespace;canonical name;revision;cluster" for metrics. */
function endpointMetadata(endpoint: ReachedEndpoint, owner: Owner): { [key: string]: { [key: string]: unknown } } {
  const { labels } = endpoint;
  const canonical = labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? endpoint.name;
  const revision = labels['service.istio.io/canonical-revision'] ?? labels['app.kubernetes.io/version'] ?? labels['version'] ?? 'latest';
  const workload = endpoint.name === '' && canonical === '' ? '' : [endpoint.name, endpoint.namespace, canonical, revision, endpoint.cluster].join(';');
  return {
    ...(endpoint.gateway === true || speaksMutualTls(endpoint, owner) ? { 'envoy.transport_socket_match': { tlsMode: 'istio' } } : {}),
    ...(workload === '' ? {} : { istio: { workload } }),
  };
}

/** A workload told to refuse mutual TLS is not offered it. */
function speaksMutualTls(endpoint: Endpoint, { push, service, tlsMode }: Owner): boolean {
  if (tlsMode !== undefined) return tlsMode === 'ISTIO_MUTUAL';
  if (!endpoint.mutualTls || service.meshExternal) return false;
  return modeForPort(mtlsPolicyFor(push.peerAuthentications, endpoint), endpoint.port) !== 'DISABLE';
}

function hostnameGroup(service: Service, port: ServicePort): LocalityLbEndpoints {
  const target = typeof port.targetPort === 'number' ? port.targetPort : port.number;
  const endpoint = create(LbEndpoint, { hostIdentifier: { $case: 'endpoint', value: create(EnvoyEndpoint, { address: address(service.hostname, target) }) }, loadBalancingWeight: 1 });
  return create(LocalityLbEndpoints, { lbEndpoints: [endpoint], loadBalancingWeight: 1 });
}
