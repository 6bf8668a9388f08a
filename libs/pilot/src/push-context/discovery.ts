import type { Config, LabelSelector } from '@meltemi/config';

/**
 * Which namespaces the mesh knows of (MeshConfig discoverySelectors): those that any selector fits, all when there is none. A namespace nobody
 * described has the one label that Kubernetes gives every namespace: its name. Source: Istio's namespace/filter.go.
 */
export function discoveredNamespaces(selectors: readonly LabelSelector[], namespaces: readonly Config[]): (namespace: string) => boolean {
  if (selectors.length === 0) return () => true;
  const labels = new Map(namespaces.map(({ meta }) => [meta.name, meta.labels]));
  const known = new Map<string, boolean>();
  return (namespace) => {
    const answer = known.get(namespace) ?? selectors.some((selector) => fits(selector, { 'kubernetes.io/metadata.name': namespace, ...labels.get(namespace) }));
    known.set(namespace, answer);
    return answer;
  };
}

function fits({ matchLabels, matchExpressions }: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  if (!Object.entries(matchLabels).every(([key, value]) => labels[key] === value)) return false;
  return matchExpressions.every(({ key, operator, values }) => {
    const value = labels[key];
    switch (operator) {
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      default:
        return false;
    }
  });
}
