import { gateway } from '../../../kinds/gateway/kind.ts';
import type { GatewaySpec, Server } from '../../../kinds/gateway/types.ts';
import type { StringMap } from '../../../kinds/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { selects, selectorText } from '../../kubernetes/selector.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';
import { fullName, type AnalyzedObject } from '../../object.ts';
import { selectorPath } from './selector-path.ts';

/** Gateways of the same pods with the same port, bind address and host. */
export const gatewayConflicts: Analyzer = {
  name: 'gateway.ConflictingGatewayAnalyzer',
  description: 'Gateways of the same pods with the same port and host',
  analyze(mesh, report) {
    const gateways = mesh.of(gateway);
    for (const one of gateways) {
      const selector = selectorText(one.spec.selector);
      if (selector !== '' && one.spec.servers.length === 0) {
        report(one, messages.notFound('selector', selector), { path: selectorPath(one.spec.selector) });
        continue;
      }
      for (const [i, server] of one.spec.servers.entries()) {
        const clashing = gateways.filter((other) => other !== one && clashes(server, other) && shareAPod(mesh, one.spec.selector, other.spec.selector)).map(fullName).sort();
        if (clashing.length > 0) report(one, messages.conflictingGateways(clashing.join(','), selector, String(server.port.number), server.hosts.join(',')), { path: `spec.servers[${i}]` });
      }
    }
  },
};

/** Equal selectors do; a wider and a narrower one when some pod has the labels of both. */
function shareAPod(mesh: Mesh, a: StringMap, b: StringMap): boolean {
  if (selectorText(a) === selectorText(b)) return true;
  if (!selects(a, b) && !selects(b, a)) return false;
  return mesh.podsSelectable().some((pod) => selects(a, pod.labels) && selects(b, pod.labels));
}

function clashes(server: Server, other: AnalyzedObject<GatewaySpec>): boolean {
  return other.spec.servers.some((one) => one.port.number === server.port.number && one.bind === server.bind && one.hosts.some((host) => server.hosts.includes(host)));
}
