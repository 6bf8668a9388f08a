import { destinationRule } from '../../../kinds/destination-rule/kind.ts';
import { virtualService } from '../../../kinds/virtual-service/kind.ts';
import type { Analyzer } from '../../analyzer.ts';
import { serviceNameOf } from '../../hosts.ts';
import { messages } from '../../messages/messages.ts';
import { destinationsOf } from './destinations.ts';

/** Subsets that no DestinationRule defines. */
export const destinationSubsets: Analyzer = {
  name: 'virtualservice.DestinationRuleAnalyzer',
  description: 'VirtualServices that route to subsets no DestinationRule defines',
  analyze(mesh, report) {
    const defined = new Set(mesh.of(destinationRule).flatMap(({ key, spec }) => spec.subsets.map((subset) => `${serviceNameOf(key.namespace, spec.host)}+${subset.name}`)));
    for (const service of mesh.of(virtualService))
      for (const { destination, path, isMirror } of destinationsOf(service.spec)) {
        const { host, subset } = destination;
        if (subset === '' || defined.has(`${serviceNameOf(service.key.namespace, host)}+${subset}`)) continue;
        report(service, messages.notFound(`${isMirror ? 'mirror' : 'host'}+subset in destinationrule`, `${host}+${subset}`), { path: `${path}.subset` });
      }
  },
};
