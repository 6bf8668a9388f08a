import { byNamespace, selectorIndex, type Config, type KubeServiceSpec, type SelectorIndex } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import type { Service, ServiceTarget } from '../registry/model.ts';
import type { PushContext } from './push-context.ts';

type Workload = Pick<Proxy, 'addresses' | 'namespace' | 'labels'>;

/** The service ports at a workload's addresses. */
export function targetsAt(push: PushContext, workload: Workload): ServiceTarget[] {
  const written = workload.addresses.flatMap((address) => push.registry.targets.get(address) ?? []);
  // an address may be written down by anybody: a workload serves what its own namespace says
  return written.length > 0 ? written.filter(({ service }) => service.namespace === workload.namespace) : labelled(push, workload);
}

/** What `targetsAt` reads: as long as each part is the same object, so are the targets. */
export function targetsFrom(push: PushContext, { addresses }: Pick<Workload, 'addresses'>): readonly unknown[] {
  return [push.services, push.inputs.get('Service'), ...addresses.flatMap((address) => [push.registry.targets.get(address), push.registry.workloads.get(address)])];
}

/** True when no endpoint names the workload's addresses: then labels tell what it serves. */
export function servesByLabel(push: PushContext, { addresses }: Pick<Workload, 'addresses'>): boolean {
  return !addresses.some((address) => push.registry.targets.has(address));
}

/** A workload that no endpoint stands for yet serves the Services whose selector fits its labels. Source: Istio's GetProxyServiceTargetsFromMetadata. */
function labelled(push: PushContext, { addresses, namespace, labels: said }: Workload): ServiceTarget[] {
  const known = addresses.flatMap((address) => push.registry.workloads.get(address) ?? [])[0];
  const labels = known?.namespace === namespace ? known.labels : said;
  const services = (push.inputs.get('Service') ?? []) as readonly Config<KubeServiceSpec>[];
  const selecting = selectorIndexes(services).get(namespace)?.selecting(labels) ?? [];
  return selecting.flatMap(({ meta }) => {
    const hostname = `${meta.name}.${namespace}.svc.${push.domain}`;
    const service = push.services.byHost.get(hostname)?.find((one) => one.namespace === namespace && one.registry === 'kubernetes');
    return service ? portsOf(service) : [];
  });
}

/** A container port's name says nothing without its Pod: as written. */
function portsOf(service: Service): ServiceTarget[] {
  return service.ports.map((port) => ({ service, port, targetPort: typeof port.targetPort === 'number' ? port.targetPort : port.number }));
}

type ServiceIndex = ReadonlyMap<string, SelectorIndex<Config<KubeServiceSpec>>>;

const indexes = new WeakMap<readonly Config<KubeServiceSpec>[], ServiceIndex>();

/** By namespace, the Services that have a selector. Computed once per list: a thousand workloads must not look at thousands of services each. */
function selectorIndexes(services: readonly Config<KubeServiceSpec>[]): ServiceIndex {
  const known = indexes.get(services);
  if (known) return known;
  const selecting = services.filter(({ spec }) => Object.keys(spec.selector).length > 0);
  const found = byNamespace(selecting, ({ meta }) => meta.namespace, (there) => selectorIndex(there, ({ spec }) => spec.selector));
  indexes.set(services, found);
  return found;
}
