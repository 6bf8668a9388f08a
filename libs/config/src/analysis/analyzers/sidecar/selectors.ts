import { addTo } from '@meltemi/base';
import { sidecar } from '../../../kinds/sidecar/kind.ts';
import type { SidecarSpec } from '../../../kinds/sidecar/types.ts';
import { child } from '../../../schema/schema.ts';
import type { Analyzer } from '../../analyzer.ts';
import { isAmbientNamespace, isAmbientPod } from '../../kubernetes/in-mesh.ts';
import type { PodView } from '../../kubernetes/pod.ts';
import { selectorText } from '../../kubernetes/selector.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';

type Sidecar = AnalyzedObject<SidecarSpec>;

/** Sidecars that select no pod, the same pod as another, or a whole namespace besides another. */
export const sidecarSelectors: Analyzer = {
  name: 'sidecar.SelectorAnalyzer',
  description: 'Sidecars that select no pod or the same pods as another Sidecar',
  analyze(mesh, report) {
    const byPod = new Map<PodView, Sidecar[]>();
    const byNamespace = new Map<string, Sidecar[]>();
    for (const one of mesh.of(sidecar)) {
      const { namespace } = one.key;
      const labels = one.spec.workloadSelector?.labels ?? {};
      const [first] = Object.keys(labels).sort();
      if (first === undefined) {
        addTo(byNamespace, namespace, one);
        continue;
      }
      const selected = mesh.podsSelectedBy(labels, namespace);
      for (const pod of selected) addTo(byPod, pod, one);
      if (selected.length === 0) report(one, messages.notFound('selector', selectorText(labels)), { path: child('spec.workloadSelector.labels', first) });
    }
    const ineffective = new Map([...ambientPods(byPod), ...ambientNamespaces(mesh, byNamespace)]);
    for (const [one, reason] of ineffective) report(one, messages.ineffectivePolicy(reason), { path: 'metadata.name' });
    for (const [pod, sidecars] of byPod)
      if (sidecars.length > 1 && !isAmbientPod(pod.annotations))
        for (const one of sidecars) report(one, messages.conflictingSidecars(names(sidecars), pod.namespace, pod.name), { path: 'metadata.name' });
    for (const [namespace, sidecars] of byNamespace)
      if (sidecars.length > 1 && !sidecars.some((one) => ineffective.has(one)))
        for (const one of sidecars) report(one, messages.multipleDefaultSidecars(names(sidecars), namespace), { path: 'metadata.name' });
  },
};

function ambientPods(byPod: ReadonlyMap<PodView, readonly Sidecar[]>): [Sidecar, string][] {
  return [...byPod].filter(([pod]) => isAmbientPod(pod.annotations)).flatMap(([, sidecars]) => sidecars.map((one): [Sidecar, string] => [one, 'the selected workload is in ambient mode']));
}

function ambientNamespaces(mesh: Mesh, byNamespace: ReadonlyMap<string, readonly Sidecar[]>): [Sidecar, string][] {
  return [...byNamespace]
    .filter(([name]) => isAmbientNamespace(mesh.find('', 'Namespace', { namespace: '', name })))
    .flatMap(([, sidecars]) => sidecars.map((one): [Sidecar, string] => [one, 'the namespace is in ambient mode']));
}

function names(sidecars: readonly Sidecar[]): string[] {
  return sidecars.map(({ key }) => key.name).sort();
}
