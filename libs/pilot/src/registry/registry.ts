import { addTo } from '@meltemi/base';
import { byNamespace, labelIndex, type Config, type DeploymentSpec, type EndpointSliceSpec, type PodSpec } from '@meltemi/config';
import { aliasNames } from './aliases.ts';
import { autoAddresses, givenBefore } from './auto-addresses.ts';
import { kubernetesEndpoints, kubernetesService, type EntryWorkload, type KubernetesInputs, type PodWorkload, type Selected, type ServiceOptions } from './kubernetes.ts';
import { addressesOf, advancedRegistry, inOrder, rememberOrigin, targetsOf, type BuiltFrom } from './advance.ts';
import { serviceKey, type Endpoint, type Service, type ServiceTarget, type Workload } from './model.ts';
import { networkFinder, networkGateways } from './networks.ts';
import type { Registry, RegistryInputs, RegistryOptions } from './registry-types.ts';
import { entryEndpoints, entryServices } from './service-entry.ts';
import { isHealthyEntry } from './entry-health.ts';
import { entryWorkload, nodeLocality, podWorkload, type WorkloadFacts } from './workloads.ts';

type EndpointMap = ReadonlyMap<number, readonly Endpoint[]>;

/** Computes services and endpoints from Kubernetes objects, ServiceEntries and WorkloadEntries. */
export function buildRegistry(inputs: RegistryInputs, options: RegistryOptions, previous?: Registry): Registry {
  return advancedRegistry(previous, inputs, options) ?? wholeRegistry(inputs, options, previous);
}

function wholeRegistry(inputs: RegistryInputs, options: RegistryOptions, previous: Registry | undefined): Registry {
  const networkOf = networkFinder(inputs, { rootNamespace: options.mesh.rootNamespace, clusterId: options.clusterId });
  const facts: WorkloadFacts = { networkOf, meshAddresses: options.meshAddresses, clusterId: options.clusterId, deployments: deploymentsByNamespace(inputs.deployments), nodes: new Map(inputs.nodes.map(({ meta }) => [meta.name, nodeLocality(meta.labels)])) };
  const indexed = indexInputs(inputs, facts, options);
  const byKey = new Map<string, Service>();
  const endpoints = new Map<string, EndpointMap>();
  const add = (service: Service, found: EndpointMap) => {
    const key = serviceKey(service);
    const known = byKey.get(key);
    const together = known && joinedServices(known, service);
    byKey.set(key, together?.service ?? known ?? service);
    if (!known) endpoints.set(key, inOrder(found));
    else if (together?.endpoints === true) endpoints.set(key, inOrder(joinedEndpoints(endpoints.get(key), found)));
  };
  const annotations = new Map(inputs.namespaces.map(({ meta }) => [meta.name, meta.annotations]));
  const optionsFor = ({ meta }: Config): ServiceOptions => ({ domain: options.domain, defaultExportTo: options.mesh.defaultServiceExportTo, namespaceAnnotations: annotations.get(meta.namespace) ?? {} });
  const named = aliasNames(inputs.services, options.domain);
  guarded(inputs.services, options, (config) => {
    const service = named(kubernetesService(config, optionsFor(config)));
    add(service, kubernetesEndpoints(config, service, indexed));
  });
  const given = autoAddresses(inputs.serviceEntries, givenBefore(previous));
  guarded(inputs.serviceEntries, options, (config) => {
    for (const service of entryServices(config, { ...optionsFor(config), autoAddresses: given.get(config) }).map(named)) add(service, entryEndpoints(config, service, { inputs: indexed, facts }));
  });
  const services = [...byKey.values()].sort((a, b) => (a.hostname === b.hostname ? compare(a.namespace, b.namespace) : compare(a.hostname, b.hostname)));
  const registry = { services, endpoints, targets: targetsByAddress(services, endpoints), workloads: indexed.byAddress, gateways: networkGateways(inputs, options) };
  const { onError: _onError, ...surroundings } = options;
  return rememberOrigin(registry, { inputs, options: surroundings, indexed, sharedAddresses: indexed.sharedAddresses, podOf: indexed.podOf });
}

/**
 * Two services of one namespace and host. A Kubernetes Service stays what it is and takes over names that an entry's certificates may bear; entries
 * of one kind are one service with the ports, addresses and endpoints of both, else the older one stays. Source: Istio's initServiceRegistry and
 * canMergeServices.
 */
function joinedServices(known: Service, later: Service): { readonly service: Service; readonly endpoints: boolean } | undefined {
  const subjectAltNames = [...new Set([...known.subjectAltNames, ...later.subjectAltNames])];
  if (known.registry === 'kubernetes') return { service: { ...known, subjectAltNames }, endpoints: false };
  const alike = known.resolution === later.resolution && known.meshExternal === later.meshExternal && String(known.exportTo.toSorted()) === String(later.exportTo.toSorted());
  if (!alike) return undefined;
  const more = later.ports.filter(({ number }) => !known.ports.some((port) => port.number === number));
  return { service: { ...known, subjectAltNames, ports: [...known.ports, ...more], addresses: [...new Set([...known.addresses, ...later.addresses])] }, endpoints: true };
}

function joinedEndpoints(known: EndpointMap = new Map<number, readonly Endpoint[]>(), later: EndpointMap): EndpointMap {
  const joined = new Map(known);
  for (const [port, list] of later) {
    const before = joined.get(port) ?? [];
    joined.set(port, [...before, ...list.filter((endpoint) => !before.some((other) => other.address === endpoint.address && other.port === endpoint.port))]);
  }
  return joined;
}

function guarded<Spec>(configs: readonly Config<Spec>[], options: RegistryOptions, work: (config: Config<Spec>) => void): void {
  for (const config of configs) {
    try {
      work(config);
    } catch (error) {
      options.onError(config, error);
    }
  }
}

function indexInputs(inputs: RegistryInputs, facts: WorkloadFacts, options: RegistryOptions): KubernetesInputs & Pick<BuiltFrom, 'sharedAddresses' | 'podOf'> {
  const slices = new Map<string, Config<EndpointSliceSpec>[]>();
  for (const slice of inputs.slices) addTo(slices, `${slice.meta.namespace}/${slice.meta.labels['kubernetes.io/service-name'] ?? ''}`, slice);
  const pods: PodWorkload[] = [];
  const entries: EntryWorkload[] = [];
  const byAddress = new Map<string, Workload>();
  const onHost = new Map<string, Workload>();
  const ofPods = new Set<string>();
  let sharedAddresses = false;
  const at = (address: string, workload: Workload) => {
    sharedAddresses ||= byAddress.has(address);
    byAddress.set(address, workload);
  };
  const podOf = podsRemembered(facts);
  guarded(inputs.workloadEntries, options, (config) => {
    const workload = entryWorkload({ ...config.spec, labels: { ...config.spec.labels, ...config.meta.labels } }, { ...config.meta, healthy: isHealthyEntry(config) }, facts);
    entries.push({ ports: config.spec.ports, workload });
    at(workload.address, workload);
  });
  guarded(inputs.pods, options, (pod) => {
    const found = podOf(pod);
    if (!found) return;
    pods.push(found);
    if (pod.spec.hostNetwork) onHost.set(`${pod.meta.namespace}/${pod.meta.name}`, found.workload);
    else {
      for (const address of addressesOf(pod, podOf)) {
        at(address, { ...found.workload, address });
        ofPods.add(address);
      }
    }
  });
  // a host's own address says nothing of who listens there: one of those Pods has it where nobody else does
  for (const { pod, workload } of pods) {
    if (!pod.spec.hostNetwork) continue;
    for (const address of addressesOf(pod, podOf)) {
      sharedAddresses ||= ofPods.has(address);
      if (!byAddress.has(address)) byAddress.set(address, { ...workload, address });
    }
  }
  const endpoints = new Map(inputs.endpoints.map((config) => [`${config.meta.namespace}/${config.meta.name}`, config]));
  return { slices, endpoints, podsSelectedBy: selectedAmong(pods), entriesSelectedBy: selectedAmong(entries), byAddress, onHost, sharedAddresses, podOf };
}

function selectedAmong<T extends { readonly workload: Workload }>(found: readonly T[]): Selected<T> {
  const indexes = byNamespace(found, ({ workload }) => workload.namespace, (there) => labelIndex(there, ({ workload }) => workload.labels));
  return (namespace, selector) => indexes.get(namespace)?.selectedBy(selector) ?? [];
}

function podsRemembered(facts: WorkloadFacts): BuiltFrom['podOf'] {
  const known = new WeakMap<Config<PodSpec>, { readonly found: PodWorkload | undefined }>();
  return (pod) => {
    const before = known.get(pod);
    if (before) return before.found;
    const workload = podWorkload(pod, facts);
    const found = workload && { pod, workload };
    known.set(pod, { found });
    return found;
  };
}

function deploymentsByNamespace(deployments: readonly Config<DeploymentSpec>[]): Map<string, Config<DeploymentSpec>[]> {
  const found = new Map<string, Config<DeploymentSpec>[]>();
  for (const deployment of deployments) if (Object.keys(deployment.spec.selector.matchLabels).length > 0) addTo(found, deployment.meta.namespace, deployment);
  return found;
}

function targetsByAddress(services: readonly Service[], endpoints: ReadonlyMap<string, EndpointMap>): Map<string, ServiceTarget[]> {
  const targets = new Map<string, ServiceTarget[]>();
  for (const service of services) for (const { address, target } of targetsOf(service, endpoints.get(serviceKey(service)))) addTo(targets, address, target);
  return targets;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
