import { isMap } from '../../../schema/containers.ts';
import type { Analyzer } from '../../analyzer.ts';
import type { SourceFix } from '../../fix/source-fix.ts';
import { mapAt, maps, textMap } from '../../json.ts';
import { selects } from '../../../labels/selects.ts';
import { messages } from '../../messages/messages.ts';

const policies = [
  ['security.istio.io', 'AuthorizationPolicy'],
  ['security.istio.io', 'RequestAuthentication'],
  ['telemetry.istio.io', 'Telemetry'],
  ['extensions.istio.io', 'WasmPlugin'],
] as const;
const gatewayName = 'gateway.networking.k8s.io/gateway-name';

/** Policies that select the pods of a Kubernetes Gateway, which only targetRefs reach. */
export const gatewaySelectors: Analyzer = {
  name: 'k8sgateway.SelectorAnalyzer',
  description: 'Policies that select the pods of a Kubernetes Gateway instead of naming it in targetRefs',
  analyze(mesh, report) {
    const gatewayPods = Map.groupBy(mesh.podsSelectable().filter((pod) => pod.labels[gatewayName] !== undefined), (pod) => pod.namespace);
    for (const [group, kind] of policies)
      for (const policy of mesh.ofKind(group, kind)) {
        const spec = mapAt(policy.content, 'spec');
        const selector = spec['selector'];
        if (policy.spec === undefined || spec['targetRef'] !== undefined || maps(spec['targetRefs']).length > 0 || !isMap(selector)) continue;
        const selected = (gatewayPods.get(policy.key.namespace) ?? []).filter((pod) => selects(textMap(selector['matchLabels']), pod.labels));
        const gateways = [...new Set(selected.map((pod) => pod.labels[gatewayName] ?? ''))];
        for (const name of gateways) report(policy, messages.ineffectiveSelector(name), { path: 'spec.selector', ...(gateways.length === 1 && { fix: targetInstead(name) }) });
      }
  },
};

function targetInstead(name: string): SourceFix {
  const target = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name };
  return { do: 'all', fixes: [{ do: 'insert', path: 'spec', key: 'targetRefs', value: [target] }, { do: 'remove', path: 'spec.selector' }] };
}
