import { gateway } from '../../../kinds/gateway/kind.ts';
import type { GatewaySpec, Server } from '../../../kinds/gateway/types.ts';
import type { StringMap } from '../../../kinds/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { selects } from '../../../labels/selects.ts';
import { selectorText } from '../../kubernetes/selector.ts';
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
    const byPlace = new Map<string, Set<AnalyzedObject<GatewaySpec>>>();
    for (const one of gateways) for (const server of one.spec.servers) for (const place of placesOf(server)) byPlace.set(place, (byPlace.get(place) ?? new Set()).add(one));
    for (const one of gateways) {
      const selector = selectorText(one.spec.selector);
      if (selector !== '' && one.spec.servers.length === 0) {
        report(one, messages.notFound('selector', selector), { path: selectorPath(one.spec.selector) });
        continue;
      }
      for (const [i, server] of one.spec.servers.entries()) {
        const there = new Set(placesOf(server).flatMap((place) => [...(byPlace.get(place) ?? [])]));
        const clashing = [...there].filter((other) => other !== one && shareAPod(mesh, one.spec.selector, other.spec.selector)).map(fullName).sort();
        if (clashing.length > 0) report(one, messages.conflictingGateways(clashing.join(','), selector, String(server.port.number), server.hosts.join(',')), { path: `spec.servers[${i}]` });
      }
    }
  },
};

/** Equal selectors do; a wider and a narrower one when some pod has the labels of both. */
function shareAPod(mesh: Mesh, a: StringMap, b: StringMap): boolean {
  if (selectorText(a) === selectorText(b)) return true;
  if (!selects(a, b) && !selects(b, a)) return false;
  return mesh.podsSelectedBy({ ...a, ...b }).length > 0;
}

/** Servers with one of these in common clash. */
function placesOf({ port, bind, hosts }: Server): readonly string[] {
  return hosts.map((host) => `${port.number}\n${bind}\n${host}`);
}
