import { virtualService } from '../../../kinds/virtual-service/kind.ts';
import { hostsOverlap } from '../../../rules/hosts.ts';
import type { Analyzer } from '../../analyzer.ts';
import { exportScopes, fullHost } from '../../hosts.ts';
import { messages } from '../../messages/messages.ts';
import { fullName, type AnalyzedObject } from '../../object.ts';

/** Several VirtualServices for one host in the mesh, as seen from some namespace. */
export const meshHosts: Analyzer = {
  name: 'virtualservice.ConflictingMeshGatewayHostsAnalyzer',
  description: 'VirtualServices that route the same host in the mesh',
  analyze(mesh, report) {
    const owners = new Map<string, { readonly scope: string; readonly host: string; readonly services: AnalyzedObject[] }>();
    for (const service of mesh.of(virtualService)) {
      const { gateways, exportTo, hosts } = service.spec;
      if (gateways.length > 0 && !gateways.includes('mesh')) continue;
      for (const scope of exportScopes(exportTo, service.key.namespace))
        for (const written of hosts) {
          const host = fullHost(service.key.namespace, written);
          const owner = owners.get(`${scope}/${host}`);
          if (owner) owner.services.push(service);
          else owners.set(`${scope}/${host}`, { scope, host, services: [service] });
        }
    }
    const everywhere = [...owners.values()].filter((owner) => owner.scope === '*');
    const exact = new Map(everywhere.map((owner) => [owner.host, owner]));
    const wild = everywhere.filter((owner) => owner.host.startsWith('*'));
    const reported = new Set<AnalyzedObject>();
    for (const [key, { scope, host, services }] of [...owners].sort(([a], [b]) => (a < b ? -1 : 1))) {
      // An owner for one namespace also meets those for all namespaces whose host overlaps.
      const overlapping = scope === '*' ? [] : host.startsWith('*') ? everywhere.filter((other) => hostsOverlap(host, other.host)) : [...[exact.get(host)].filter((one) => one !== undefined), ...wild.filter((other) => hostsOverlap(host, other.host))];
      const all = [...services, ...overlapping.flatMap((other) => other.services)];
      if (all.length < 2) continue;
      const names = all.map(fullName).sort().join(',');
      for (const one of all) {
        if (reported.has(one)) continue;
        reported.add(one);
        report(one, messages.conflictingMeshHosts(names, key), { path: 'metadata.name' });
      }
    }
  },
};
