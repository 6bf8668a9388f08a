import { isMap } from '../../../schema/containers.ts';
import type { Analyzer } from '../../analyzer.ts';
import { mapAt, maps, textMap } from '../../json.ts';
import { selects } from '../../kubernetes/selector.ts';
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
        for (const pod of gatewayPods.get(policy.key.namespace) ?? []) if (selects(textMap(selector['matchLabels']), pod.labels)) report(policy, messages.ineffectiveSelector(pod.labels[gatewayName] ?? ''), { path: 'spec.selector' });
      }
  },
};
