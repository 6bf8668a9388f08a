import { destinationRule } from '../../../kinds/destination-rule/kind.ts';
import { serviceEntry } from '../../../kinds/service-entry/kind.ts';
import type { StringMap } from '../../../kinds/types.ts';
import { workloadEntry } from '../../../kinds/workload-entry/kind.ts';
import type { Analyzer } from '../../analyzer.ts';
import { serviceHosts } from '../../hosts.ts';
import { labelIndex, type LabelIndex } from '../../../labels/label-index.ts';
import type { PodView } from '../../kubernetes/pod.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';

/** Subsets without pods, and rules for hosts nobody has. */
export const subsets: Analyzer = {
  name: 'destinationrule.SubsetSelectPodAnalyzer',
  description: 'Subsets that select no pods, and DestinationRules of unknown hosts',
  analyze(mesh, report) {
    const hosts = serviceHosts(mesh);
    let endpoints: LabelIndex<StringMap> | undefined;
    for (const rule of mesh.of(destinationRule)) {
      const { host, exportTo } = rule.spec;
      const service = hosts.find(host, { namespace: rule.key.namespace, exportTo });
      if (!service) {
        report(rule, messages.unknownDestinationRuleHost(host), { path: 'spec.host' });
        continue;
      }
      for (const [i, subset] of rule.spec.subsets.entries()) {
        endpoints ??= labelIndex(endpointLabels(mesh), (labels) => labels);
        const selector = { ...service.workloadLabels, ...subset.labels };
        if (endpoints.selectedBy(selector).length === 0) report(rule, messages.subsetSelectsNoPods(subset.name), { path: `spec.subsets[${i}]` });
      }
    }
  },
};

/**
 * The labels of every pod, with those its node adds, and of everything else that can be an endpoint.
 * Deviation: Istio looks at pods alone and calls subsets of virtual machines and of static endpoints empty.
 */
function endpointLabels(mesh: Mesh): readonly StringMap[] {
  const nodes = new Map(mesh.ofKind('', 'Node').map((node) => [node.key.name, node.meta.labels]));
  return [
    ...mesh.podsSelectable().map((pod) => ({ ...pod.labels, ...nodeLabels(pod, nodes) })),
    ...mesh.of(workloadEntry).map((entry) => entry.spec.labels),
    ...mesh.of(serviceEntry).flatMap((entry) => entry.spec.endpoints.map((endpoint) => endpoint.labels)),
  ];
}

const [region, zone, subzone] = ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone'];

/** A zone counts only below a region, a subzone only below a zone. */
function nodeLabels({ nodeName }: PodView, nodes: ReadonlyMap<string, StringMap>): StringMap {
  if (nodeName === '') return {};
  const written = nodes.get(nodeName) ?? {};
  const out: Record<string, string> = { 'kubernetes.io/hostname': nodeName };
  for (const label of [region, zone, subzone]) {
    const value = written[label];
    if (value === undefined || value === '') break;
    out[label] = value;
  }
  return out;
}
