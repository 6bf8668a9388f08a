import type { MeshConfigSpec, TrafficPolicy } from '@meltemi/config';
import { everyDestinationRule, type DestinationRuleIndex } from '../push-context/destination-rules.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { VirtualServiceIndex } from '../push-context/virtual-services.ts';

const byShape = new WeakMap<object, readonly string[]>();
const byMesh = new WeakMap<MeshConfigSpec, readonly string[]>();
const byRules = new WeakMap<DestinationRuleIndex | VirtualServiceIndex, readonly string[]>();
const lists = new Map<string, readonly string[]>();
const maxLists = 1000;

/**
 * Labels of clients that rules ask for: what is sent to two clients that agree in them differs by other facts only. A mesh has as many sets of labels as
 * workloads and revisions of them, and few of these labels. The same list each time.
 */
export function clientLabelKeys(push: Pick<PushContext, 'shape' | 'mesh' | 'destinationRules' | 'virtualServices'>): readonly string[] {
  const known = byShape.get(push.shape) ?? listOf(push);
  byShape.set(push.shape, known);
  return known;
}

function listOf({ mesh, destinationRules, virtualServices }: Pick<PushContext, 'mesh' | 'destinationRules' | 'virtualServices'>): readonly string[] {
  const parts = [
    kept(byMesh, mesh, () => failoverKeys(mesh.localityLbSetting?.failoverPriority)),
    kept(byRules, destinationRules, () => everyDestinationRule(destinationRules).flatMap(({ selector, trafficPolicy, subsets }) => [...Object.keys(selector ?? {}), ...policyKeys(trafficPolicy), ...subsets.flatMap((subset) => policyKeys(subset.trafficPolicy))])),
    kept(byRules, virtualServices, () => virtualServices.all.flatMap(({ spec }) => [...spec.http, ...spec.tcp, ...spec.tls].flatMap((route) => route.match.flatMap(({ sourceLabels }) => Object.keys(sourceLabels))))),
  ];
  const keys = [...new Set(parts.flat())].sort();
  const text = JSON.stringify(keys);
  const known = lists.get(text) ?? keys;
  if (lists.size >= maxLists) lists.clear();
  lists.set(text, known);
  return known;
}

function kept<K extends object>(memo: WeakMap<K, readonly string[]>, of: K, find: () => readonly string[]): readonly string[] {
  const keys = memo.get(of) ?? [...new Set(find())];
  memo.set(of, keys);
  return keys;
}

function policyKeys(policy: TrafficPolicy | undefined): string[] {
  return [policy, ...(policy?.portLevelSettings ?? [])].flatMap((each) => failoverKeys(each?.loadBalancer?.localityLbSetting?.failoverPriority));
}

/** "key", or "key=value", which asks the endpoint alone. */
function failoverKeys(entries: readonly string[] | undefined): string[] {
  return (entries ?? []).map((entry) => entry.split('=')[0] ?? '');
}
