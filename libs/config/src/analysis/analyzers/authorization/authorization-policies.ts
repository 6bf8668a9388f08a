import { authorizationPolicy } from '../../../kinds/authorization-policy/kind.ts';
import type { AuthorizationPolicySpec } from '../../../kinds/authorization-policy/types.ts';
import type { Analyzer, Report } from '../../analyzer.ts';
import { isAmbientPod, isInMesh } from '../../kubernetes/in-mesh.ts';
import { byNamespace, labelIndex, type LabelIndex } from '../../../labels/label-index.ts';
import type { PodView } from '../../kubernetes/pod.ts';
import { selectorText } from '../../kubernetes/selector.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';

/** AuthorizationPolicies that select nothing, or name namespaces that do not exist. */
export const authorizationPolicies: Analyzer = {
  name: 'auth.AuthorizationPoliciesAnalyzer',
  description: 'AuthorizationPolicies that select no workload or name a namespace that does not exist',
  analyze(mesh, report) {
    const pods = mesh.podsSelectable().filter((pod) => isAmbientPod(pod.annotations) || isInMesh(mesh, pod.namespace, { ...pod, containers: [...pod.containers, ...pod.initContainers] }));
    const index = (some: readonly PodView[]): LabelIndex<PodView> => labelIndex(some, (pod) => pod.labels);
    const everywhere = index(pods);
    const inNamespace = byNamespace(pods, (pod) => pod.namespace, index);
    for (const policy of mesh.of(authorizationPolicy)) {
      const { namespace } = policy.key;
      const isMeshWide = namespace === mesh.meshConfig.rootNamespace;
      checkWorkloads(policy, { isMeshWide, pods: isMeshWide ? everywhere : inNamespace.get(namespace) }, report);
      checkNamespaces(policy, mesh, report);
    }
  },
};

function checkWorkloads(policy: AnalyzedObject<AuthorizationPolicySpec>, { isMeshWide, pods }: { readonly isMeshWide: boolean; readonly pods: LabelIndex<PodView> | undefined }, report: Report): void {
  const selector = policy.spec.selector?.matchLabels;
  if (selector === undefined) {
    // A policy bound by targetRefs selects no workload by labels.
    const isBound = policy.spec.targetRef !== undefined || policy.spec.targetRefs.length > 0;
    if (!isMeshWide && !isBound && pods === undefined) report(policy, messages.noMatchingWorkloads(''));
  } else if ((pods?.selectedBy(selector) ?? []).length === 0) report(policy, messages.noMatchingWorkloads(selectorText(selector)), { path: 'spec.selector' });
}

function checkNamespaces(policy: AnalyzedObject<AuthorizationPolicySpec>, mesh: Mesh, report: Report): void {
  const existing = mesh.ofKind('', 'Namespace').map(({ key }) => key.name);
  for (const [i, rule] of (policy.spec.rules ?? []).entries())
    for (const [j, { source }] of rule.from.entries())
      for (const field of ['namespaces', 'notNamespaces'] as const)
        for (const [k, pattern] of (source[field] ?? []).entries())
          if (!existing.some((name) => namespaceMatches(pattern, name))) report(policy, messages.notFound('namespace', pattern), { path: `spec.rules[${i}].from[${j}].source.${field}[${k}]` });
}

function namespaceMatches(pattern: string, name: string): boolean {
  if (pattern === '*') return true;
  if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1));
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name.toLowerCase() === pattern.toLowerCase();
}
