import { gateway } from '../../../kinds/gateway/kind.ts';
import type { Analyzer } from '../../analyzer.ts';
import { wholeNumber } from '../../json.ts';
import { selects, selectorText } from '../../kubernetes/selector.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';
import { selectorPath } from './selector-path.ts';

/** Server ports that no Service of the gateway's pods exposes. */
export const gatewayPorts: Analyzer = {
  name: 'gateway.IngressGatewayPortAnalyzer',
  description: 'Gateway ports that no Service of the gateway\'s pods exposes',
  analyze(mesh, report) {
    for (const one of mesh.of(gateway)) {
      const { selector, servers } = one.spec;
      const path = selectorPath(selector);
      const exposed = exposedPorts(mesh, selector);
      if (exposed === undefined) report(one, messages.notFound('selector', selectorText(selector)), { path });
      else for (const { port } of servers) if (!exposed.has(port.number)) report(one, messages.gatewayPortNotOnService(port.number, selectorText(selector)), { path });
    }
  },
};

/** Ports and target ports of the Services that select the pods of the selector; undefined when there are no such pods. */
function exposedPorts(mesh: Mesh, selector: Readonly<Record<string, string>>): ReadonlySet<number> | undefined {
  const pods = mesh.podsSelectable().filter((pod) => selects(selector, pod.labels));
  if (pods.length === 0) return undefined;
  const ports = new Set<number>();
  for (const service of mesh.services) {
    if (!pods.some((pod) => pod.namespace === service.namespace && selects(service.selector, pod.labels))) continue;
    for (const { port, protocol, targetPort } of service.ports) {
      if (protocol !== 'TCP' && protocol !== '') continue;
      const target = wholeNumber(targetPort);
      ports.add(port);
      if (target > 0) ports.add(target);
    }
  }
  return ports;
}
