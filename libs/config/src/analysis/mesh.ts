import { addTo } from '@meltemi/base';
import type { ConfigKind } from '../kinds/kind.ts';
import type { MeshConfigSpec } from '../kinds/mesh-config/types.ts';
import type { StringMap } from '../kinds/types.ts';
import { mapAt, textMap } from './json.ts';
import { byNamespace, labelIndex, type LabelIndex } from '../labels/label-index.ts';
import { podFacts, templateFacts, type PodView } from './kubernetes/pod.ts';
import { labelSelectorSelects } from './kubernetes/selector.ts';
import { serviceView, type ServiceView } from './kubernetes/service.ts';
import type { AnalyzedObject } from './object.ts';

/** Everything under analysis, indexed. Frozen: analyzers only read. */
export interface Mesh {
  readonly meshConfig: MeshConfigSpec;
  readonly meshNetworks: AnalyzedObject | undefined;
  /** Istio's PILOT_SCOPE_GATEWAY_TO_NAMESPACE. */
  readonly scopeGatewayToNamespace: boolean;
  /** Decides which certificates have expired. */
  readonly now: Date;
  /** Every object of the cluster under analysis, sorted by kind, namespace and name. */
  readonly objects: readonly AnalyzedObject[];
  /** The objects of a kind of the mesh that decode. */
  of<Spec>(kind: ConfigKind<Spec>): readonly AnalyzedObject<Spec>[];
  /** The object of a kind of the mesh with this name, if it decodes. */
  findOf<Spec>(kind: ConfigKind<Spec>, name: { readonly namespace: string; readonly name: string }): AnalyzedObject<Spec> | undefined;
  /** The objects of any kind, whether they decode or not. */
  ofKind(group: string, kind: string): readonly AnalyzedObject[];
  find(group: string, kind: string, name: { readonly namespace: string; readonly name: string }): AnalyzedObject | undefined;
  /** Services and pods of all clusters. */
  readonly services: readonly ServiceView[];
  readonly pods: readonly PodView[];
  /** `pods`, and for each workload none of them belongs to, its template: what selectors are held against. */
  podsSelectable(): readonly PodView[];
  /** Those of them a selector selects, in the same order; with a namespace, only there. */
  podsSelectedBy(selector: StringMap, namespace?: string): readonly PodView[];
}

export interface MeshInput {
  readonly objects: readonly AnalyzedObject[];
  readonly meshConfig: MeshConfigSpec;
  readonly meshNetworks?: AnalyzedObject | undefined;
  readonly scopeGatewayToNamespace: boolean;
  readonly now: Date;
}

const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet'];

/** Indexes the objects. Of several objects with one name in one cluster, the last counts. */
export function buildMesh(input: MeshInput): Mesh {
  const byName = new Map<string, AnalyzedObject>();
  for (const object of input.objects) byName.set(`${object.cluster}\n${nameKey(object.key.group, object.key.kind, object.key)}`, object);
  const all = [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  const objects = all.filter((object) => object.cluster === '');
  const byKind = new Map<string, AnalyzedObject[]>();
  for (const object of objects) addTo(byKind, `${object.key.group}/${object.key.kind}`, object);
  const ofKind = (group: string, kind: string): readonly AnalyzedObject[] => byKind.get(`${group}/${kind}`) ?? [];
  const find: Mesh['find'] = (group, kind, name) => byName.get(`\n${nameKey(group, kind, name)}`);
  const core = (kind: string): AnalyzedObject[] => all.filter(({ key }) => key.group === '' && key.kind === kind);
  const pods = core('Pod').map((object) => ({ ...podFacts(object.content), object, name: object.key.name, namespace: object.key.namespace }));
  let selectable: readonly PodView[] | undefined;
  const podsSelectable = (): readonly PodView[] => (selectable ??= [...pods, ...templatesWithoutPods(all, pods)]);
  const decoded = new Map<string, readonly AnalyzedObject[]>();
  let indexes: { readonly everywhere: LabelIndex<PodView>; readonly inNamespace: ReadonlyMap<string, LabelIndex<PodView>> } | undefined;
  return {
    ...input,
    meshNetworks: input.meshNetworks,
    objects,
    of: <Spec>(kind: ConfigKind<Spec>) => {
      const name = `${kind.group}/${kind.kind}`;
      if (!decoded.has(name)) decoded.set(name, ofKind(kind.group, kind.kind).filter((object) => object.spec !== undefined));
      return decoded.get(name) as readonly AnalyzedObject<Spec>[];
    },
    ofKind,
    find,
    findOf: <Spec>(kind: ConfigKind<Spec>, name: { readonly namespace: string; readonly name: string }) => {
      const found = find(kind.group, kind.kind, name);
      return found?.spec === undefined ? undefined : (found as AnalyzedObject<Spec>);
    },
    services: core('Service').map(serviceView),
    pods,
    podsSelectable,
    podsSelectedBy: (selector, namespace) => {
      indexes ??= { everywhere: podIndex(podsSelectable()), inNamespace: podsByNamespace(podsSelectable()) };
      return (namespace === undefined ? indexes.everywhere : indexes.inNamespace.get(namespace))?.selectedBy(selector) ?? [];
    },
  };
}

function podIndex(pods: readonly PodView[]): LabelIndex<PodView> {
  return labelIndex(pods, (pod) => pod.labels);
}

function podsByNamespace(pods: readonly PodView[]): ReadonlyMap<string, LabelIndex<PodView>> {
  return byNamespace(pods, (pod) => pod.namespace, podIndex);
}

function nameKey(group: string, kind: string, { namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${group}\n${kind}\n${namespace}\n${name}`;
}

/** Files seldom hold Pods, which live meshes always do. So a workload without pods of its own stands for those it will make. */
function templatesWithoutPods(objects: readonly AnalyzedObject[], pods: readonly PodView[]): PodView[] {
  const inNamespace = podsByNamespace(pods);
  return objects.flatMap((object) => {
    if (object.key.group !== 'apps' || !workloadKinds.includes(object.key.kind)) return [];
    const selector = mapAt(object.content, 'spec')['selector'];
    const withLabels = inNamespace.get(object.key.namespace)?.selectedBy(textMap(mapAt(selector)['matchLabels'])) ?? [];
    const hasPods = withLabels.some((pod) => labelSelectorSelects(selector ?? {}, pod.labels));
    return hasPods ? [] : [{ ...templateFacts(object), object, name: object.key.name, namespace: object.key.namespace }];
  });
}
