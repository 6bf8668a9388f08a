import type { Analyzer } from '../../analyzer.ts';
import type { ServiceView } from '../../kubernetes/service.ts';
import { messages } from '../../messages/messages.ts';
import { fullName } from '../../object.ts';

const homeName = 'default';

/** Services that are not the same in every cluster. */
export const multiclusterServices: Analyzer = {
  name: 'services.MultiClusterServiceAnalyzer',
  description: 'Services that differ between clusters',
  analyze(mesh, report) {
    for (const [, copies] of Map.groupBy(mesh.services, (service) => fullName(service.object))) {
      const [first, ...others] = copies;
      if (!first || others.length === 0) continue;
      const reasons = new Set<string>();
      const clusters = new Set<string>();
      for (const other of others)
        for (const reason of differences(first, other)) {
          reasons.add(reason);
          clusters.add(first.object.cluster || homeName).add(other.object.cluster || homeName);
        }
      if (reasons.size > 0) report(first.object, messages.inconsistentService(first.name, first.namespace, [...clusters].sort(), [...reasons].sort().join('; ')), { path: 'spec' });
    }
  },
};

function differences(a: ServiceView, b: ServiceView): readonly string[] {
  return [
    ...((a.clusterIP === 'None') === (b.clusterIP === 'None') ? [] : ['it is headless in some only']),
    ...(a.type === b.type ? [] : ['its type differs']),
    ...(portsText(a) === portsText(b) ? [] : ['its ports differ']),
  ];
}

function portsText({ ports }: ServiceView): string {
  return JSON.stringify(ports.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
}
