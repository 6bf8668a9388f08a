import { isOfKind, kubeService, type Config } from '@meltemi/config';
import type { PushContext, Workload } from '@meltemi/pilot';
import type { LoadedMesh } from '../load.ts';

/** Workloads that one policy selects. */
export interface WorkloadGroup {
  readonly namespace: string;
  /** Of the service, or of the workload when no service selects it. */
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
  /** namespace/name of each. */
  readonly workloads: readonly string[];
}

/** Labels that one rollout or Meltemi itself gives: a selector with them would lose its workload at the next one. */
const passing = /^(?:pod-template-hash|controller-revision-hash|statefulset\.kubernetes\.io\/.*|apps\.kubernetes\.io\/.*|security\.istio\.io\/.*|service\.istio\.io\/.*|sidecar\.istio\.io\/.*|topology\.istio\.io\/.*)$/;

/**
 * Each workload in one group: that of the service that selects it, so that a new version of it is covered, too; of several services the one with the
 * fewest labels. Without a service its own labels select it. Workloads without any such label are in no group.
 */
export function workloadGroups(mesh: LoadedMesh, push: PushContext): WorkloadGroup[] {
  const services = mesh.configs.filter((config): config is Config<{ readonly selector: Readonly<Record<string, string>> }> => isOfKind(config, kubeService) && Object.keys(config.spec.selector).length > 0)
    .map(({ key, spec }) => ({ namespace: key.namespace, name: key.name, selector: spec.selector }))
    .toSorted((a, b) => Object.keys(a.selector).length - Object.keys(b.selector).length || (a.name < b.name ? -1 : 1));
  const groups = new Map<string, { readonly group: Omit<WorkloadGroup, 'workloads'>; readonly names: Set<string> }>();
  for (const workload of push.registry.workloads.values()) {
    const group = services.find(({ namespace, selector }) => namespace === workload.namespace && selects(selector, workload)) ?? ownGroup(workload);
    if (group === undefined) continue;
    const key = `${group.namespace} ${JSON.stringify(Object.entries(group.selector).toSorted(([a], [b]) => (a < b ? -1 : 1)))}`;
    const known = groups.get(key) ?? { group, names: new Set<string>() };
    groups.set(key, known);
    known.names.add(`${workload.namespace}/${workload.name}`);
  }
  return [...groups.values()].map(({ group, names }) => ({ ...group, workloads: [...names].toSorted() })).toSorted((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}

function selects(selector: Readonly<Record<string, string>>, { labels }: Workload): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}

function ownGroup({ namespace, name, labels }: Workload): Omit<WorkloadGroup, 'workloads'> | undefined {
  const selector = Object.fromEntries(Object.entries(labels).filter(([label]) => !passing.test(label)));
  return Object.keys(selector).length === 0 ? undefined : { namespace, name, selector };
}
