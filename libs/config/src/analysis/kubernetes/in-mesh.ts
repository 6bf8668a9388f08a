import type { StringMap } from '../../kinds/types.ts';
import type { Mesh } from '../mesh.ts';
import type { AnalyzedObject } from '../object.ts';
import type { Container, PodFacts } from './pod.ts';

export const sidecarName = 'istio-proxy';
const injectName = 'sidecar.istio.io/inject';

/** True when pods like this have a sidecar: they show one, or its label, its annotation or its namespace asks for one. */
export function isInMesh(mesh: Mesh, namespace: string, pod: Pick<PodFacts, 'labels' | 'annotations'> & { readonly containers: readonly Container[] }): boolean {
  if (pod.containers.find((container) => container.name === sidecarName)?.image) return true;
  const asked = pod.labels[injectName] ?? pod.annotations[injectName];
  if (asked !== undefined) return asked === 'true';
  return mesh.find('', 'Namespace', { namespace: '', name: namespace })?.meta.labels['istio-injection'] === 'enabled';
}

export function isAmbientPod(annotations: StringMap): boolean {
  return annotations['ambient.istio.io/redirection'] === 'enabled';
}

/** A namespace with sidecar injection is not ambient, whatever its other labels. */
export function isAmbientNamespace(namespace: AnalyzedObject | undefined): boolean {
  const labels = namespace?.meta.labels ?? {};
  if (labels['istio-injection'] === 'enabled' || (labels['istio.io/rev'] ?? '') !== '') return false;
  return labels['istio.io/dataplane-mode'] === 'ambient';
}

/** True for what belongs to the control plane's own installation. */
export function isControlPlane({ meta }: AnalyzedObject): boolean {
  return meta.labels['istio'] !== undefined || meta.labels['release'] === 'istio';
}
