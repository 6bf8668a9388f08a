import type { Config, EndpointPort, EndpointsSpec, EndpointSliceSpec, KubeServicePort, KubeServiceSpec, ObjectReference, PodSpec, StringMap } from '@meltemi/config';
import type { Endpoint, Service, ServicePort, Workload } from './model.ts';
import { portProtocol } from './protocol.ts';

/** The objects a Kubernetes Service's endpoints come from, indexed. */
export interface KubernetesInputs {
  /** By "namespace/service". */
  readonly slices: ReadonlyMap<string, readonly Config<EndpointSliceSpec>[]>;
  readonly endpoints: ReadonlyMap<string, Config<EndpointsSpec>>;
  /** Pods that have an address. */
  readonly podsSelectedBy: Selected<PodWorkload>;
  readonly entriesSelectedBy: Selected<EntryWorkload>;
  readonly byAddress: ReadonlyMap<string, Workload>;
  /** Pods on their host's network, which share its address: by "namespace/name". */
  readonly onHost: ReadonlyMap<string, Workload>;
}

export type Selected<T> = (namespace: string, selector: StringMap) => readonly T[];

export interface PodWorkload {
  readonly pod: Config<PodSpec>;
  readonly workload: Workload;
}

export interface EntryWorkload {
  readonly ports: Readonly<Record<string, number>>;
  readonly workload: Workload;
}

/** "reviews.default.svc.cluster.local" */
export function kubernetesHostname(name: string, namespace: string, domain: string): string {
  return `${name}.${namespace}.svc.${domain}`;
}

/** What a Service does not say itself. */
export interface ServiceOptions {
  readonly domain: string;
  readonly defaultExportTo: readonly string[];
  readonly namespaceAnnotations: Readonly<Record<string, string>>;
}

/** The spec's word, else the annotation's, else the namespace's. Source: Istio's GetTrafficDistribution. */
export function distribution(written: string, annotations: Readonly<Record<string, string>>, namespaceAnnotations: Readonly<Record<string, string>>): Service['trafficDistribution'] {
  const known = { prefersamezone: 'zone', preferclose: 'zone', prefersamenode: 'node' } as const;
  const key = 'networking.istio.io/traffic-distribution';
  const text = (written || annotations[key] || (namespaceAnnotations[key] ?? '')).toLowerCase();
  return known[text as keyof typeof known] ?? 'any';
}

/** A Kubernetes Service as the mesh sees it. What an ExternalName service is an alias of, the caller knows. */
export function kubernetesService(config: Config<KubeServiceSpec>, options: ServiceOptions): Service {
  const { meta, spec } = config;
  const exportTo = meta.annotations['networking.istio.io/exportTo'];
  const headless = spec.clusterIP === 'None';
  return {
    hostname: kubernetesHostname(meta.name, meta.namespace, options.domain),
    name: meta.name,
    namespace: meta.namespace,
    registry: 'kubernetes',
    ports: spec.ports.map(servicePort).filter((port) => port.protocol !== 'UDP'),
    addresses: headless ? [] : clusterIps(spec),
    autoAddresses: [],
    selects: Object.keys(spec.selector).length > 0,
    resolution: headless ? 'passthrough' : 'static',
    meshExternal: spec.type === 'ExternalName',
    exportTo: exportTo === undefined ? options.defaultExportTo : exportTo.split(',').map((part) => part.trim()),
    aliases: [],
    subjectAltNames: (meta.annotations['alpha.istio.io/kubernetes-serviceaccounts'] ?? '').split(',').filter((name) => name !== ''),
    creationTimestamp: meta.creationTimestamp,
    publishNotReady: spec.publishNotReadyAddresses,
    trafficDistribution: distribution(spec.trafficDistribution, meta.annotations, options.namespaceAnnotations),
    nodeLocal: spec.internalTrafficPolicy === 'Local',
    labels: meta.labels,
  };
}

function clusterIps(spec: KubeServiceSpec): string[] {
  const all = spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP];
  return all.filter((ip) => ip !== '' && ip !== 'None');
}

function servicePort(port: KubeServicePort): ServicePort {
  const protocol = portProtocol({ transport: port.protocol, appProtocol: port.appProtocol, name: port.name, number: port.port });
  return { number: port.port, name: port.name, protocol, targetPort: port.targetPort };
}

/** Endpoints by service port number: from slices, else Endpoints, else computed from Pods; WorkloadEntries that the selector names come on top. */
export function kubernetesEndpoints(config: Config<KubeServiceSpec>, service: Service, inputs: KubernetesInputs): Map<number, Endpoint[]> {
  const found = new Map<number, Endpoint[]>(service.ports.map((port) => [port.number, []]));
  if (service.aliasOf !== undefined) return found;
  const key = `${service.namespace}/${service.name}`;
  const slices = inputs.slices.get(key);
  const endpoints = inputs.endpoints.get(key);
  if (slices) {
    for (const slice of slices) addSlice(slice, service, inputs, found);
    if (slices.length > 1) for (const [port, list] of found) found.set(port, eachOnce(list));
  }
  else if (endpoints) addEndpoints(endpoints, service, inputs, found);
  else addPods(config.spec, service, inputs, found);
  addEntries(config.spec, service, inputs, found);
  return found;
}

/** Slices may hold an endpoint twice while it goes from one to another. Source: Kubernetes, "Duplicate endpoints". */
function eachOnce(list: readonly Endpoint[]): Endpoint[] {
  const known = new Map<string, Endpoint>();
  for (const endpoint of list) {
    const key = `${endpoint.address} ${endpoint.port}`;
    if (endpoint.healthy || !known.has(key)) known.set(key, endpoint);
  }
  return [...known.values()];
}

function addSlice(slice: Config<EndpointSliceSpec>, service: Service, inputs: KubernetesInputs, found: Map<number, Endpoint[]>): void {
  if (slice.spec.addressType === 'FQDN') return;
  for (const entry of slice.spec.endpoints) {
    const healthy = entry.conditions.ready && entry.conditions.terminating !== true;
    for (const address of entry.addresses) {
      const base = workloadAt(address, entry.targetRef, inputs) ?? { ...strangerAt(address, service.namespace, healthy), locality: { region: '', zone: entry.zone, subZone: '' } };
      for (const { service: port, number } of matchedPorts(service, slice.spec.ports)) found.get(port.number)?.push({ ...base, healthy, port: number });
    }
  }
}

function addEndpoints(config: Config<EndpointsSpec>, service: Service, inputs: KubernetesInputs, found: Map<number, Endpoint[]>): void {
  for (const subset of config.spec.subsets) {
    const both = [...subset.addresses.map((address) => ({ ...address, healthy: true })), ...subset.notReadyAddresses.map((address) => ({ ...address, healthy: false }))];
    for (const { ip, targetRef, healthy } of both) {
      const base = workloadAt(ip, targetRef, inputs) ?? strangerAt(ip, service.namespace, healthy);
      for (const { service: port, number } of matchedPorts(service, subset.ports)) found.get(port.number)?.push({ ...base, healthy, port: number });
    }
  }
}

/** Who is at an address: where several Pods share their host's, the one that is named. Source: Istio's EndpointBuilder, which goes by targetRef. */
function workloadAt(address: string, targetRef: ObjectReference | undefined, { byAddress, onHost }: KubernetesInputs): Workload | undefined {
  const named = targetRef?.kind === 'Pod' ? onHost.get(`${targetRef.namespace}/${targetRef.name}`) : undefined;
  return named ? { ...named, address } : byAddress.get(address);
}

function addPods(spec: KubeServiceSpec, service: Service, inputs: KubernetesInputs, found: Map<number, Endpoint[]>): void {
  // a Service without a selector has only the endpoints that somebody wrote down
  if (Object.keys(spec.selector).length === 0) return;
  for (const { pod, workload } of inputs.podsSelectedBy(service.namespace, spec.selector)) {
    for (const port of service.ports) {
      const number = podPort(pod.spec, port);
      if (number !== undefined) found.get(port.number)?.push({ ...workload, port: number });
    }
  }
}

function addEntries(spec: KubeServiceSpec, service: Service, inputs: KubernetesInputs, found: Map<number, Endpoint[]>): void {
  if (Object.keys(spec.selector).length === 0) return;
  for (const { ports, workload } of inputs.entriesSelectedBy(service.namespace, spec.selector)) {
    for (const port of service.ports) {
      const target = typeof port.targetPort === 'number' ? port.targetPort : port.number;
      found.get(port.number)?.push({ ...workload, port: ports[port.name] ?? target });
    }
  }
}

/** The workload's port for a service port: a name is looked up among the containers; undefined when no container has it. */
export function podPort(pod: Pick<PodSpec, 'containers'>, port: ServicePort): number | undefined {
  if (typeof port.targetPort === 'number') return port.targetPort;
  for (const container of pod.containers) {
    const named = container.ports.find((candidate) => candidate.name === port.targetPort);
    if (named) return named.containerPort;
  }
  return undefined;
}

function matchedPorts(service: Service, ports: readonly EndpointPort[]): { service: ServicePort; number: number }[] {
  const matched: { service: ServicePort; number: number }[] = [];
  for (const port of ports) {
    const target = service.ports.find((candidate) => candidate.name === port.name);
    if (target) matched.push({ service: target, number: port.port });
  }
  return matched;
}

/** An address nobody described. */
export function strangerAt(address: string, namespace: string, healthy: boolean): Workload {
  const locality = { region: '', zone: '', subZone: '' };
  return { name: '', namespace, address, labels: {}, serviceAccount: '', mutualTls: false, network: '', cluster: '', node: '', podHost: '', locality, weight: 1, healthy };
}
