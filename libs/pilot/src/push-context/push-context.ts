import {
  gatewayApiGroup, type AuthorizationPolicySpec, type Config, type ConfigKey, type DeploymentSpec, type DestinationRuleSpec, type EndpointsSpec, type EnvoyFilterSpec, type EndpointSliceSpec, type GatewaySpec,
  type KubeServiceSpec, type MeshConfigSpec, type PeerAuthenticationSpec, type PodSpec, type ProxyConfigSpec, type RequestAuthenticationSpec, type ServiceEntrySpec, type SidecarSpec, type TelemetrySpec, type TrafficPolicy, type VirtualServiceSpec, type WorkloadEntrySpec,
} from '@meltemi/config';
import type { FieldError } from '@meltemi/base';
import { defaultFeatures, type Features } from '../features.ts';
import { convert, convertedKinds, type Converted } from '../gateway-api/convert.ts';
import { keepingEqual } from '../registry/advance.ts';
import { changedEndpoints } from '../registry/changed-endpoints.ts';
import { buildRegistry } from '../registry/registry.ts';
import type { Registry, RegistryInputs } from '../registry/registry-types.ts';
import { serviceKey, type Endpoint, type Service } from '../registry/model.ts';
import { meshNetworksOf, type ResolvedNames } from '../registry/networks.ts';
import { indexDestinationRules, type DestinationRuleIndex } from './destination-rules.ts';
import { indexEnvoyFilters, type EnvoyFilterIndex } from './envoy-filters.ts';
import { discoveredNamespaces } from './discovery.ts';
import { hostCovers, resolveHost } from './hosts.ts';
import { inKeyOrder } from './key-order.ts';
import { indexPeerAuthentications, type PeerAuthenticationIndex } from './peer-authentication.ts';
import type { KeySets } from './key-sets.ts';
import { indexPolicies, type PolicyIndex } from './workload-policies.ts';
import { byAge, indexVirtualServices, type VirtualServiceIndex } from './virtual-services.ts';

/** An object that could not be used, and why. Everything else is in force. */
export interface Quarantined {
  readonly key: ConfigKey;
  readonly errors: readonly FieldError[];
}

/** The services as routes, clusters and listeners see them: who serves them does not matter here. */
export interface ServiceIndex {
  readonly all: readonly Service[];
  readonly byHost: ReadonlyMap<string, readonly Service[]>;
  /** serviceKey → sorted service accounts of its endpoints: whose certificates a client accepts. */
  readonly accounts: ReadonlyMap<string, readonly string[]>;
  /** serviceKey → endpoints that clusters and listeners read: names to resolve, and addresses that clients dial themselves. Service port number with its endpoints. */
  readonly inline: ReadonlyMap<string, readonly (readonly [number, readonly Endpoint[]])[]>;
}

/**
 * Config and registry, indexed and frozen. Sections that did not change since `previous` are the same objects, so translation caches
 * keyed by a section survive: an endpoint change keeps `shape`, and with it every route, cluster and listener.
 */
export interface PushContext {
  readonly mesh: MeshConfigSpec;
  readonly features: Features;
  readonly domain: string;
  readonly registry: Registry;
  readonly services: ServiceIndex;
  readonly virtualServices: VirtualServiceIndex;
  readonly destinationRules: DestinationRuleIndex;
  readonly peerAuthentications: PeerAuthenticationIndex;
  readonly gateways: readonly Config<GatewaySpec>[];
  readonly sidecars: readonly Config<SidecarSpec>[];
  readonly envoyFilters: EnvoyFilterIndex;
  /** What Gateway API objects and Ingresses became: their Gateways, VirtualServices and DestinationRules are among the others. */
  readonly gatewayApi: Converted;
  /** Not part of the shape: who reads it puts what it read into its cache key (see `policyView`). */
  readonly authorization: PolicyIndex<AuthorizationPolicySpec>;
  /** As `authorization`. */
  readonly requestAuthentications: PolicyIndex<RequestAuthenticationSpec>;
  /** Oldest first. No resource is made of them, so they are no part of the shape either. */
  readonly proxyConfigs: readonly Config<ProxyConfigSpec>[];
  /** As `authorization`. */
  readonly telemetry: PolicyIndex<TelemetrySpec>;
  /** As `authorization`: keys of issuers that were fetched. */
  readonly keySets: KeySets;
  /** PEM of the mesh's roots, for who asks for them; empty: not known. */
  readonly trustAnchors: readonly string[];
  /** One identity for all of the above but the registry's endpoints and the policies. */
  readonly shape: object;
  /** One identity for all of `shape` but the VirtualServices: what clusters and inbound listeners read. */
  readonly base: object;
  readonly quarantined: readonly Quarantined[];
  /** What each section was built from: for the next build. */
  readonly inputs: ReadonlyMap<string, readonly Config[]>;
}

export interface PushContextOptions {
  /** Decoded, valid objects of every kind; others are ignored. The same unchanged object should be passed again as the same reference. */
  readonly configs: Iterable<Config>;
  readonly meshConfig: MeshConfigSpec;
  readonly previous?: PushContext | undefined;
  /** What was fetched of `wantedKeys`. Default nothing: tokens of issuers whose keys are missing are refused. */
  readonly keySets?: KeySets;
  /** PEM of the mesh's roots; the same object as long as they are the same. Default none. */
  readonly trustAnchors?: readonly string[];
  /** What the names of network gateways were looked up as. Default nothing. */
  readonly gatewayAddresses?: ResolvedNames;
  /** Istio's feature switches; one object for the life of a process. Default Istio's. */
  readonly features?: Features;
  /** Kubernetes' DNS domain. Default "cluster.local". */
  readonly domain?: string;
  /** Default "Kubernetes". */
  readonly clusterId?: string;
  /** Addresses of workloads whose proxies speak mutual TLS though no label says so. Default none. */
  readonly meshAddresses?: ReadonlySet<string>;
}

const noKeys: KeySets = new Map();
const noAnchors: readonly string[] = [];

/** Builds the next context; never throws for an object's sake. */
export function buildPushContext(options: PushContextOptions): PushContext {
  const { previous } = options;
  const mesh = previous && JSON.stringify(previous.mesh) === JSON.stringify(options.meshConfig) ? previous.mesh : options.meshConfig;
  const domain = options.domain ?? 'cluster.local';
  const features = options.features ?? defaultFeatures;
  const quarantined: Quarantined[] = [];
  const written = discovered(sortByKind(options.configs, previous), mesh);
  const sameMesh = previous?.mesh === mesh && previous.domain === domain && previous.features === features;
  const gatewayApi = convert(<Spec>(kind: string) => (written.get(kind) ?? []) as readonly Config<Spec>[], { mesh, domain, previous: sameMesh ? previous.gatewayApi : undefined });
  for (const { config, errors } of gatewayApi.refused) quarantined.push({ key: config.key, errors });
  const inputs = withGenerated(written, gatewayApi);
  const keep = <T>(kind: string, section: T | undefined, build: () => T): T => (sameMesh && section !== undefined && sameList(previous?.inputs.get(kind), inputs.get(kind)) ? section : build());
  const of = <Spec>(kind: string) => (inputs.get(kind) ?? []) as readonly Config<Spec>[];
  const built = buildRegistry(registryInputs(of), {
    mesh,
    domain,
    clusterId: options.clusterId ?? 'Kubernetes',
    meshAddresses: options.meshAddresses ?? new Set(),
    ...(options.gatewayAddresses ? { gatewayAddresses: options.gatewayAddresses } : {}),
    onError: (config, error) => quarantined.push({ key: config.key, errors: [{ path: '', message: `cannot be read: ${error instanceof Error ? error.message : String(error)}` }] }),
  }, previous?.registry);
  const registry = reusedEndpoints(built, previous?.registry);
  const usable = <Spec>(kind: string, build: (configs: readonly Config<Spec>[]) => unknown) => withoutBroken(of<Spec>(kind), build, quarantined);
  const context = { mesh, domain };
  const sections = {
    services: nextServices(registry, { previous, sameRules: sameMesh && sameList(previous.inputs.get('DestinationRule'), inputs.get('DestinationRule')), isDialled: () => dialledHosts(of<DestinationRuleSpec>('DestinationRule'), domain) }),
    virtualServices: keep('VirtualService', previous?.virtualServices, () => indexVirtualServices(usable<VirtualServiceSpec>('VirtualService', (configs) => indexVirtualServices(configs, context)), context)),
    destinationRules: keep('DestinationRule', previous?.destinationRules, () => indexDestinationRules(usable<DestinationRuleSpec>('DestinationRule', (configs) => indexDestinationRules(configs, context)), context)),
    peerAuthentications: keep('PeerAuthentication', previous?.peerAuthentications, () => indexPeerAuthentications(of<PeerAuthenticationSpec>('PeerAuthentication'), mesh.rootNamespace)),
    gateways: keep('Gateway', previous?.gateways, () => of<GatewaySpec>('Gateway').toSorted(byAge)),
    envoyFilters: keep('EnvoyFilter', previous?.envoyFilters, () => indexEnvoyFilters(of<EnvoyFilterSpec>('EnvoyFilter'), { rootNamespace: mesh.rootNamespace, features })),
    sidecars: keep('Sidecar', previous?.sidecars, () => of<SidecarSpec>('Sidecar').toSorted(byAge)),
  };
  const policies = {
    authorization: keep('AuthorizationPolicy', previous?.authorization, () => indexPolicies(of<AuthorizationPolicySpec>('AuthorizationPolicy'), mesh.rootNamespace)),
    proxyConfigs: keep('ProxyConfig', previous?.proxyConfigs, () => of<ProxyConfigSpec>('ProxyConfig').toSorted(byAge)),
    telemetry: keep('Telemetry', previous?.telemetry, () => indexPolicies(of<TelemetrySpec>('Telemetry'), mesh.rootNamespace)),
    requestAuthentications: keep('RequestAuthentication', previous?.requestAuthentications, () => indexPolicies(of<RequestAuthenticationSpec>('RequestAuthentication'), mesh.rootNamespace)),
  };
  const kept = (name: keyof typeof sections) => sections[name] === previous?.[name];
  const sameBase = previous !== undefined && sameMesh && previous.registry.gateways.key === registry.gateways.key && previous.registry.gateways.ranges.join() === registry.gateways.ranges.join() && (Object.keys(sections) as (keyof typeof sections)[]).every((name) => name === 'virtualServices' || kept(name));
  const identities = { base: sameBase ? previous.base : {}, shape: sameBase && kept('virtualServices') ? previous.shape : {} };
  return { mesh, features, domain, registry, ...sections, ...policies, keySets: options.keySets ?? noKeys, trustAnchors: options.trustAnchors ?? noAnchors, gatewayApi, ...identities, quarantined, inputs };
}

function registryInputs(of: <Spec>(kind: string) => readonly Config<Spec>[]): RegistryInputs {
  return {
    services: of<KubeServiceSpec>('Service'),
    slices: of<EndpointSliceSpec>('EndpointSlice'),
    endpoints: of<EndpointsSpec>('Endpoints'),
    pods: of<PodSpec>('Pod'),
    deployments: of<DeploymentSpec>('Deployment'),
    serviceEntries: of<ServiceEntrySpec>('ServiceEntry').toSorted(byAge),
    workloadEntries: of<WorkloadEntrySpec>('WorkloadEntry'),
    namespaces: of('Namespace'),
    nodes: of('Node'),
    meshNetworks: meshNetworksOf([...of('MeshNetworks'), ...of('ConfigMap')]),
  };
}

/** Group → its kinds we read: a Service of another API group is not Kubernetes' Service. */
const kindsByGroup: Readonly<Record<string, readonly string[]>> = {
  '': ['Service', 'Endpoints', 'Pod', 'Namespace', 'Node', 'ServiceAccount', 'Secret', 'ConfigMap'],
  'discovery.k8s.io': ['EndpointSlice'],
  apps: ['Deployment'],
  'networking.istio.io': ['VirtualService', 'DestinationRule', 'Gateway', 'ServiceEntry', 'WorkloadEntry', 'Sidecar', 'EnvoyFilter', 'ProxyConfig'],
  'mesh.istio.io': ['MeshNetworks'],
  'telemetry.istio.io': ['Telemetry'],
  'security.istio.io': ['PeerAuthentication', 'RequestAuthentication', 'AuthorizationPolicy'],
  'gateway.networking.k8s.io': ['GatewayClass', 'Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute', 'ReferenceGrant', 'BackendTLSPolicy'],
  'networking.k8s.io': ['Ingress', 'IngressClass'],
};

/** Where a kind's objects are kept: two kinds are called Gateway. */
function inputKind({ group, kind }: ConfigKey): string {
  return group === gatewayApiGroup && kind === 'Gateway' ? convertedKinds.gateway : kind;
}

function sortByKind(configs: Iterable<Config>, previous: PushContext | undefined): Map<string, readonly Config[]> {
  const sorted = new Map<string, Config[]>();
  for (const config of configs) {
    if (!kindsByGroup[config.key.group]?.includes(config.key.kind)) continue;
    const list = sorted.get(inputKind(config.key));
    if (list) list.push(config);
    else sorted.set(inputKind(config.key), [config]);
  }
  // whatever the store's order, the same objects make the same snapshot
  return new Map([...sorted].map(([kind, list]) => [kind, inKeyOrder(list, previous?.inputs.get(kind))]));
}

/** Objects in namespaces that the mesh does not look at are not there. */
function discovered(inputs: Map<string, readonly Config[]>, mesh: MeshConfigSpec): Map<string, readonly Config[]> {
  if (mesh.discoverySelectors.length === 0) return inputs;
  const known = discoveredNamespaces(mesh.discoverySelectors, inputs.get('Namespace') ?? []);
  return new Map([...inputs].map(([kind, list]) => [kind, list.filter(({ meta }) => meta.namespace === '' || known(meta.namespace))]));
}

/** What is generated stands among what is written. */
function withGenerated(written: ReadonlyMap<string, readonly Config[]>, { gateways, virtualServices, destinationRules }: Converted): Map<string, readonly Config[]> {
  const inputs = new Map(written);
  for (const [kind, list] of [['Gateway', gateways], ['VirtualService', virtualServices], ['DestinationRule', destinationRules]] as const) {
    if (list.length > 0) inputs.set(kind, [...(written.get(kind) ?? []), ...list]);
  }
  return inputs;
}

function sameList(a: readonly Config[] = [], b: readonly Config[] = []): boolean {
  return a === b || (a.length === b.length && a.every((config, index) => config === b[index]));
}

/** Tries all at once; only when that fails, finds out who is to blame. */
function withoutBroken<Spec>(configs: readonly Config<Spec>[], build: (configs: readonly Config<Spec>[]) => unknown, quarantined: Quarantined[]): readonly Config<Spec>[] {
  if (problemWith(configs, build) === undefined) return configs;
  return configs.filter((config) => {
    const problem = problemWith([config], build);
    if (problem !== undefined) quarantined.push({ key: config.key, errors: [{ path: '', message: `cannot be used: ${problem}` }] });
    return problem === undefined;
  });
}

function problemWith<Spec>(configs: readonly Config<Spec>[], build: (configs: readonly Config<Spec>[]) => unknown): string | undefined {
  try {
    build(configs);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** True for services whose rules say that clients choose the endpoint. */
function dialledHosts(configs: readonly Config<DestinationRuleSpec>[], domain: string): (service: Service) => boolean {
  const dials = (policy: TrafficPolicy | undefined) => policy?.loadBalancer?.simple === 'PASSTHROUGH' || policy?.portLevelSettings.some(({ loadBalancer }) => loadBalancer?.simple === 'PASSTHROUGH') === true;
  const hosts = configs.filter(({ spec }) => dials(spec.trafficPolicy) || spec.subsets.some((subset) => dials(subset.trafficPolicy))).map(({ spec, meta }) => resolveHost(spec.host, meta.namespace, domain));
  return ({ hostname }) => hosts.some((host) => hostCovers(host, hostname));
}

function indexServices(registry: Registry, isDialled: (service: Service) => boolean): ServiceIndex {
  const byHost = new Map<string, Service[]>();
  const accounts = new Map<string, readonly string[]>();
  const inline = new Map<string, readonly (readonly [number, readonly Endpoint[]])[]>();
  for (const service of registry.services) {
    const list = byHost.get(service.hostname);
    if (list) list.push(service);
    else byHost.set(service.hostname, [service]);
    accounts.set(serviceKey(service), accountsOf(registry, serviceKey(service)));
    if (service.resolution !== 'static' || isDialled(service)) inline.set(serviceKey(service), [...(registry.endpoints.get(serviceKey(service)) ?? [])]);
  }
  return { all: registry.services, byHost, accounts, inline };
}

/** The last index, when the services are the same objects and nothing of it shows the endpoints that changed. */
function nextServices(registry: Registry, { previous, sameRules, isDialled }: { readonly previous: PushContext | undefined; readonly sameRules: boolean; readonly isDialled: () => (service: Service) => boolean }): ServiceIndex {
  if (previous && sameRules && previous.registry.services === registry.services) {
    const unseen = [...changedEndpoints(previous.registry, registry)].every((key) => !previous.services.inline.has(key) && String(previous.services.accounts.get(key)) === String(accountsOf(registry, key)));
    if (unseen) return previous.services;
  }
  return reusedServices(indexServices(registry, isDialled()), previous?.services);
}

function accountsOf(registry: Registry, key: string): string[] {
  const names = new Set<string>();
  for (const endpoints of registry.endpoints.get(key)?.values() ?? []) {
    for (const endpoint of endpoints) if (endpoint.serviceAccount !== '') names.add(`${endpoint.namespace}/${endpoint.serviceAccount}`);
  }
  return [...names].sort();
}

function reusedServices(next: ServiceIndex, previous: ServiceIndex | undefined): ServiceIndex {
  if (previous === undefined || previous.all.length !== next.all.length) return next;
  return signature(next) === signature(previous) ? previous : next;
}

/** Endpoint lists that did not change stay the same objects: caches hang on them. */
function reusedEndpoints(next: Registry, previous: Registry | undefined): Registry {
  if (!previous || next === previous || next.services === previous.services) return next;
  return { ...next, endpoints: new Map([...next.endpoints].map(([key, ports]) => [key, keepingEqual(previous.endpoints.get(key), ports)])) };
}

const signatures = new WeakMap<ServiceIndex, string>();

function signature(index: ServiceIndex): string {
  const known = signatures.get(index);
  if (known !== undefined) return known;
  const text = JSON.stringify([index.all, [...index.accounts], [...index.inline]]);
  signatures.set(index, text);
  return text;
}
