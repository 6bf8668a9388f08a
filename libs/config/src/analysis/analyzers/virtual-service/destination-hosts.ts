import { addTo } from '@meltemi/base';
import { virtualService } from '../../../kinds/virtual-service/kind.ts';
import type { VirtualServiceSpec } from '../../../kinds/virtual-service/types.ts';
import type { Analyzer, Report } from '../../analyzer.ts';
import { serviceHosts, type HostedService } from '../../hosts.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';
import { fullName, type AnalyzedObject } from '../../object.ts';
import { destinationsOf, type PlacedDestination } from './destinations.ts';

/** Destinations that do not exist or leave their port open, and subsets that gateways do not see. */
export const destinationHosts: Analyzer = {
  name: 'virtualservice.DestinationHostAnalyzer',
  description: 'VirtualServices that route to hosts or ports that do not exist',
  analyze(mesh, report) {
    const hosts = serviceHosts(mesh);
    const withSubsets = subsetRoutes(mesh);
    for (const service of mesh.of(virtualService)) {
      for (const placed of destinationsOf(service.spec)) {
        const { host } = placed.destination;
        const found = hosts.find(host, { namespace: service.key.namespace, exportTo: service.spec.exportTo });
        if (found) checkPort(service, { placed, service: found }, report);
        else report(service, messages.notFound(placed.isMirror ? 'mirror host' : 'host', host), { path: `${placed.path}.host` });
      }
      checkGatewayRoutes(service, withSubsets, report);
    }
  },
};

function checkPort(virtualServiceObject: AnalyzedObject, { placed, service }: { readonly placed: PlacedDestination; readonly service: HostedService }, report: Report): void {
  const { host, port } = placed.destination;
  if (port === undefined) {
    if (service.ports.length > 1) report(virtualServiceObject, messages.portRequired(host, service.ports), { path: `${placed.path}.host` });
  } else if (!service.ports.includes(port.number)) report(virtualServiceObject, messages.notFound('host:port', `${host}:${port.number}`), { path: `${placed.path}.port` });
}

/** Of each host, the VirtualServices that route it to a subset and own it. */
function subsetRoutes(mesh: Mesh): ReadonlyMap<string, readonly string[]> {
  const byHost = new Map<string, string[]>();
  for (const one of mesh.of(virtualService))
    for (const { route } of one.spec.http)
      for (const { destination } of route) if (destination.subset !== '' && one.spec.hosts.includes(destination.host)) addTo(byHost, destination.host, fullName(one));
  return byHost;
}

/** What comes through a gateway follows the gateway's VirtualService alone. */
function checkGatewayRoutes(service: AnalyzedObject<VirtualServiceSpec>, withSubsets: ReadonlyMap<string, readonly string[]>, report: Report): void {
  if (service.spec.gateways.length === 0) return;
  for (const [i, { route }] of service.spec.http.entries())
    for (const [j, { destination }] of route.entries()) {
      if (destination.subset !== '') continue;
      for (const other of withSubsets.get(destination.host) ?? [])
        report(service, messages.ingressRulesNotAffected(other, fullName(service)), { path: `spec.http[${i}].route[${j}].destination.host` });
    }
}
