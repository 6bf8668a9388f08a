import { addTo } from '@meltemi/base';
import type { Config, KubeServiceSpec } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import type { Service, ServiceTarget } from '../registry/model.ts';
import { selects } from '../registry/workloads.ts';
import type { PushContext } from './push-context.ts';

type Workload = Pick<Proxy, 'addresses' | 'namespace' | 'labels'>;

/** The service ports at a workload's addresses. */
export function targetsAt(push: PushContext, workload: Workload): ServiceTarget[] {
  const written = workload.addresses.flatMap((address) => push.registry.targets.get(address) ?? []);
  // an address may be written down by anybody: a workload serves what its own namespace says
  return written.length > 0 ? written.filter(({ service }) => service.namespace === workload.namespace) : labelled(push, workload);
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
  const bySelector = candidates(services);
  const found = Object.entries(labels).flatMap(([key, value]) => bySelector.get(placeOf(namespace, key, value)) ?? []);
  return found.toSorted((a, b) => a.index - b.index).flatMap(({ config: { meta, spec } }) => {
    if (!selects(spec.selector, labels)) return [];
    const hostname = `${meta.name}.${namespace}.svc.${push.domain}`;
    const service = push.services.byHost.get(hostname)?.find((one) => one.namespace === namespace && one.registry === 'kubernetes');
    return service ? portsOf(service) : [];
  });
}

/** A container port's name says nothing without its Pod: as written. */
function portsOf(service: Service): ServiceTarget[] {
  return service.ports.map((port) => ({ service, port, targetPort: typeof port.targetPort === 'number' ? port.targetPort : port.number }));
}

interface Candidate {
  readonly config: Config<KubeServiceSpec>;
  /** Where it stands in the list. */
  readonly index: number;
}

const indexes = new WeakMap<readonly Config<KubeServiceSpec>[], ReadonlyMap<string, readonly Candidate[]>>();

/** Services by the first label that they select by: a thousand workloads must not look at thousands of services each. Computed once per list. */
function candidates(services: readonly Config<KubeServiceSpec>[]): ReadonlyMap<string, readonly Candidate[]> {
  const known = indexes.get(services);
  if (known) return known;
  const found = new Map<string, Candidate[]>();
  for (const [index, config] of services.entries()) {
    const [first] = Object.entries(config.spec.selector);
    if (!first) continue;
    addTo(found, placeOf(config.meta.namespace, ...first), { config, index });
  }
  indexes.set(services, found);
  return found;
}

function placeOf(namespace: string, key: string, value: string): string {
  return `${namespace}\0${key}\0${value}`;
}
