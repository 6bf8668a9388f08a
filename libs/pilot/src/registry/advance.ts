import { selects, type Config, type EndpointSliceSpec, type EndpointsSpec, type KubeServiceSpec, type PodSpec } from '@meltemi/config';
import { kubernetesEndpoints, kubernetesHostname, type KubernetesInputs, type PodWorkload } from './kubernetes.ts';
import { serviceKey, type Endpoint, type Service, type ServiceTarget, type Workload } from './model.ts';
import type { Registry, RegistryInputs, RegistryOptions } from './registry-types.ts';

type EndpointMap = ReadonlyMap<number, readonly Endpoint[]>;

/** What a registry was built from, for the next one. */
export interface BuiltFrom {
  readonly inputs: RegistryInputs;
  readonly options: Omit<RegistryOptions, 'onError'>;
  readonly indexed: KubernetesInputs;
  /** Two workloads say that they have one address: which of them counts depends on all of them. */
  readonly sharedAddresses: boolean;
  readonly podOf: (pod: Config<PodSpec>) => PodWorkload | undefined;
}

const origins = new WeakMap<Registry['targets'], BuiltFrom>();

/** Remembered by the targets, which stay the same object through copies of a registry. */
export function rememberOrigin(registry: Registry, origin: BuiltFrom): Registry {
  origins.set(registry.targets, origin);
  return registry;
}

/** More changes than this are a new build. */
const maxChanges = 200;

/** What may differ for the short way: who serves, not what there is to serve. */
interface Changed {
  readonly pods: Changes<PodSpec>;
  readonly slices: Changes<EndpointSliceSpec>;
  readonly endpoints: Changes<EndpointsSpec>;
}

interface Changes<Spec> {
  readonly gone: readonly Config<Spec>[];
  readonly come: readonly Config<Spec>[];
}

/**
 * The registry for inputs of which only a few Pods, EndpointSlices or Endpoints differ from the last one's: the services these touch are computed anew, all else is the
 * same object. Undefined: it takes a whole build. The answer is what a whole build gives.
 */
export function advancedRegistry(previous: Registry | undefined, inputs: RegistryInputs, options: RegistryOptions): Registry | undefined {
  const origin = previous && origins.get(previous.targets);
  if (!previous || !origin || origin.sharedAddresses || !sameRest(origin, inputs, options)) return undefined;
  const changed: Changed = { pods: changesOf(origin.inputs.pods, inputs.pods), slices: changesOf(origin.inputs.slices, inputs.slices), endpoints: changesOf(origin.inputs.endpoints, inputs.endpoints) };
  const count = Object.values(changed).reduce((sum: number, { gone, come }: Changes<unknown>) => sum + gone.length + come.length, 0);
  if (count === 0) return rememberOrigin(previous, { ...origin, inputs });
  if (count > maxChanges) return undefined;
  const byAddress = movedAddresses(previous.workloads, changed.pods, origin);
  if (!byAddress || entriesSelect(inputs, changed.pods)) return undefined;
  const indexed = indexedWith(origin, inputs, byAddress);
  const touched = touchedServices(previous, inputs.services, { changed, options });
  const endpoints = new Map(previous.endpoints);
  const targets = new Map(previous.targets);
  for (const { config, service } of touched) {
    const key = serviceKey(service);
    const before = previous.endpoints.get(key);
    const now = keepingEqual(before, inOrder(kubernetesEndpoints(config, service, indexed)));
    if (before === now) continue;
    endpoints.set(key, now);
    moveTargets(targets, service, { before, now });
  }
  return rememberOrigin({ services: previous.services, endpoints, targets, workloads: byAddress, gateways: previous.gateways }, { ...origin, inputs, indexed });
}

function sameRest({ inputs, options: before }: BuiltFrom, next: RegistryInputs, options: RegistryOptions): boolean {
  if (before.mesh !== options.mesh || before.domain !== options.domain || before.clusterId !== options.clusterId || !sameSet(before.meshAddresses, options.meshAddresses)) return false;
  if (inputs.meshNetworks !== next.meshNetworks || before.gatewayAddresses !== options.gatewayAddresses) return false;
  return (['services', 'deployments', 'serviceEntries', 'workloadEntries', 'namespaces', 'nodes'] as const).every((kind) => inputs[kind].length === next[kind].length && inputs[kind].every((config, index) => config === next[kind][index]));
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a === b || (a.size === 0 && b.size === 0);
}

function changesOf<Spec>(before: readonly Config<Spec>[], after: readonly Config<Spec>[]): Changes<Spec> {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  // of thousands, few stand between what did not change
  const [left, right] = [before.slice(start, before.length - end), after.slice(start, after.length - end)];
  const [old, fresh] = [new Set(left), new Set(right)];
  return { gone: left.filter((config) => !fresh.has(config)), come: right.filter((config) => !old.has(config)) };
}

/** Undefined when an address had, or gets, a second owner: that of a host has many. */
function movedAddresses(workloads: Registry['workloads'], { gone, come }: Changes<PodSpec>, { podOf }: BuiltFrom): Map<string, Workload> | undefined {
  if ([...gone, ...come].some(({ spec }) => spec.hostNetwork)) return undefined;
  const moved = new Map(workloads);
  for (const pod of gone) for (const address of addressesOf(pod, podOf)) moved.delete(address);
  for (const pod of come) {
    const workload = podOf(pod)?.workload;
    for (const address of addressesOf(pod, podOf)) {
      if (moved.has(address) || !workload) return undefined;
      moved.set(address, { ...workload, address });
    }
  }
  return moved;
}

export function addressesOf(pod: Config<PodSpec>, podOf: BuiltFrom['podOf']): ReadonlySet<string> {
  const found = podOf(pod);
  return found ? new Set([found.workload.address, ...pod.spec.status.podIPs]) : new Set();
}

function entriesSelect({ serviceEntries }: RegistryInputs, { gone, come }: Changes<PodSpec>): boolean {
  const selecting = serviceEntries.filter(({ spec }) => spec.workloadSelector !== undefined);
  return selecting.length > 0 && [...gone, ...come].some(({ meta }) => selecting.some((entry) => entry.meta.namespace === meta.namespace && selects(entry.spec.workloadSelector?.labels ?? {}, meta.labels)));
}

/** The few services that are touched look through all Pods; an index would cost more. */
function indexedWith({ indexed, podOf }: BuiltFrom, inputs: RegistryInputs, byAddress: ReadonlyMap<string, Workload>): KubernetesInputs {
  const slices = Map.groupBy(inputs.slices, (slice) => `${slice.meta.namespace}/${slice.meta.labels['kubernetes.io/service-name'] ?? ''}`);
  return {
    ...indexed, byAddress, slices,
    endpoints: new Map(inputs.endpoints.map((config) => [`${config.meta.namespace}/${config.meta.name}`, config])),
    podsSelectedBy: (namespace, selector) => inputs.pods.flatMap((pod) => (pod.meta.namespace === namespace && selects(selector, pod.meta.labels) ? (podOf(pod) ?? []) : [])),
  };
}

function touchedServices(previous: Registry, services: readonly Config<KubeServiceSpec>[], { changed, options }: { readonly changed: Changed; readonly options: RegistryOptions }): { config: Config<KubeServiceSpec>; service: Service }[] {
  const pods = [...changed.pods.gone, ...changed.pods.come];
  const addresses = new Set(pods.flatMap(({ spec }) => [spec.status.podIP, ...spec.status.podIPs]));
  const named = new Set([
    ...[...changed.slices.gone, ...changed.slices.come].map(({ meta }) => `${meta.namespace}/${meta.labels['kubernetes.io/service-name'] ?? ''}`),
    ...[...changed.endpoints.gone, ...changed.endpoints.come].map(({ meta }) => `${meta.namespace}/${meta.name}`),
  ]);
  const served = new Set([...addresses].flatMap((address) => (previous.targets.get(address) ?? []).map((target) => serviceKey(target.service))));
  const byKey = new Map(previous.services.map((service) => [serviceKey(service), service]));
  return services.flatMap((config) => {
    const { meta, spec } = config;
    const service = byKey.get(serviceKey({ namespace: meta.namespace, hostname: kubernetesHostname(meta.name, meta.namespace, options.domain) }));
    if (!service) return [];
    const selected = Object.keys(spec.selector).length > 0 && pods.some((pod) => pod.meta.namespace === meta.namespace && selects(spec.selector, pod.meta.labels));
    const touched = selected || named.has(`${meta.namespace}/${meta.name}`) || served.has(serviceKey(service));
    return touched ? [{ config, service }] : [];
  });
}

/** Lists that did not change stay the same objects: caches hang on them. */
export function keepingEqual(before: EndpointMap | undefined, now: EndpointMap): EndpointMap {
  if (!before || before === now) return now;
  let same = before.size === now.size;
  const kept = new Map([...now].map(([port, list]) => {
    const earlier = before.get(port);
    const equal = earlier !== undefined && earlier.length === list.length && JSON.stringify(earlier) === JSON.stringify(list);
    same &&= equal;
    return [port, equal ? earlier : list];
  }));
  return same ? before : kept;
}

/** A stable order, so that equal content encodes to equal bytes. */
export function inOrder(found: EndpointMap): EndpointMap {
  const order = (a: Endpoint, b: Endpoint) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port);
  return new Map([...found].map(([port, list]) => [port, list.toSorted(order)]));
}

function moveTargets(targets: Map<string, readonly ServiceTarget[]>, service: Service, { before, now }: { readonly before: EndpointMap | undefined; readonly now: EndpointMap }): void {
  for (const address of new Set([...(before?.values() ?? [])].flat().map((endpoint) => endpoint.address))) {
    const left = (targets.get(address) ?? []).filter((target) => target.service !== service);
    if (left.length === 0) targets.delete(address);
    else targets.set(address, left);
  }
  const fresh = new Map<string, ServiceTarget[]>();
  for (const target of targetsOf(service, now)) {
    const list = fresh.get(target.address) ?? [];
    fresh.set(target.address, [...list, target.target]);
  }
  const order = ({ service: a }: ServiceTarget, { service: b }: ServiceTarget) => (a.hostname === b.hostname ? compare(a.namespace, b.namespace) : compare(a.hostname, b.hostname));
  for (const [address, list] of fresh) targets.set(address, [...(targets.get(address) ?? []), ...list].toSorted(order));
}

/** The ports of one service at the addresses that serve them, each once. */
export function* targetsOf(service: Service, ports: EndpointMap | undefined): Iterable<{ readonly address: string; readonly target: ServiceTarget }> {
  for (const port of service.ports) {
    const seen = new Set<string>();
    for (const endpoint of ports?.get(port.number) ?? []) {
      const place = `${endpoint.address} ${endpoint.port}`;
      if (seen.has(place)) continue;
      seen.add(place);
      yield { address: endpoint.address, target: { service, port, targetPort: endpoint.port } };
    }
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

