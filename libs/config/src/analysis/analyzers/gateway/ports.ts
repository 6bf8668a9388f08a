import { gateway } from '../../../kinds/gateway/kind.ts';
import type { Analyzer } from '../../analyzer.ts';
import { wholeNumber } from '../../json.ts';
import { byNamespace, selectorIndex, type SelectorIndex } from '../../../labels/label-index.ts';
import type { PodView } from '../../kubernetes/pod.ts';
import { selectorText } from '../../kubernetes/selector.ts';
import type { ServiceView } from '../../kubernetes/service.ts';
import { messages } from '../../messages/messages.ts';
import { selectorPath } from './selector-path.ts';

/** Server ports that no Service of the gateway's pods exposes. */
export const gatewayPorts: Analyzer = {
  name: 'gateway.IngressGatewayPortAnalyzer',
  description: 'Gateway ports that no Service of the gateway\'s pods exposes',
  analyze(mesh, report) {
    const servicesIn = byNamespace(mesh.services, (service) => service.namespace, (there) => selectorIndex(there, (service) => service.selector));
    const exposedBy = new Map<string, ReadonlySet<number> | undefined>();
    for (const one of mesh.of(gateway)) {
      const { selector, servers } = one.spec;
      const path = selectorPath(selector);
      const pods = selectorText(selector);
      if (!exposedBy.has(pods)) exposedBy.set(pods, exposedPorts(mesh.podsSelectedBy(selector), servicesIn));
      const exposed = exposedBy.get(pods);
      if (exposed === undefined) report(one, messages.notFound('selector', pods), { path });
      else for (const { port } of servers) if (!exposed.has(port.number)) report(one, messages.gatewayPortNotOnService(port.number, pods), { path });
    }
  },
};

/** Ports and target ports of the Services that select the pods; undefined when there are no pods. */
function exposedPorts(pods: readonly PodView[], servicesIn: ReadonlyMap<string, SelectorIndex<ServiceView>>): ReadonlySet<number> | undefined {
  if (pods.length === 0) return undefined;
  const ports = new Set<number>();
  const services = new Set(pods.flatMap((pod) => servicesIn.get(pod.namespace)?.selecting(pod.labels) ?? []));
  for (const service of services) {
    for (const { port, protocol, targetPort } of service.ports) {
      if (protocol !== 'TCP' && protocol !== '') continue;
      const target = wholeNumber(targetPort);
      ports.add(port);
      if (target > 0) ports.add(target);
    }
  }
  return ports;
}
