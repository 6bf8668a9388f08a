import type { StringMap } from '../../../kinds/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { sidecarName } from '../../kubernetes/in-mesh.ts';
import { messages } from '../../messages/messages.ts';
import { fullName } from '../../object.ts';
import { injectorConfigs } from './injector-config.ts';

const injectionLabel = 'istio-injection';
const revisionLabel = 'istio.io/rev';
const dataplaneLabel = 'istio.io/dataplane-mode';
const injectName = 'sidecar.istio.io/inject';

/** Namespaces and pods without sidecars. */
export const injection: Analyzer = {
  name: 'injection.Analyzer',
  description: 'Namespaces that are not injected, and pods without a sidecar in those that are',
  analyze(mesh, report) {
    const injectors = injectorConfigs(mesh);
    const injected = new Set<string>();
    for (const namespace of mesh.ofKind('', 'Namespace')) {
      const { name } = namespace.key;
      if (name === 'istio-system') continue;
      const { labels } = namespace.meta;
      const contradicting = injectionLabels(labels);
      if (contradicting.length > 1) report(namespace, messages.multipleInjectionLabels(contradicting), { path: 'metadata.labels' });
      if (labels[dataplaneLabel] === 'ambient') continue;
      const [asked, revision] = [labels[injectionLabel] ?? '', labels[revisionLabel]];
      if (asked === '' && revision === undefined) {
        const byDefault = injectors.of('')?.enableNamespacesByDefault === true;
        report(namespace, byDefault ? messages.injectedByDefault() : messages.namespaceNotInjected(name), { path: 'metadata.name' });
      } else if (asked === 'enabled') injected.add(name);
    }
    for (const pod of mesh.pods) {
      const asked = pod.labels[injectName] ?? pod.annotations[injectName] ?? '';
      if (pod.object.cluster !== '' || !injected.has(pod.namespace) || asked.toLowerCase() === 'false' || pod.hostNetwork) continue;
      const hasSidecar = [...pod.containers, ...pod.initContainers].some((container) => container.name === sidecarName && container.image !== '');
      if (!hasSidecar) report(pod.object, messages.podMissingProxy(fullName(pod.object)));
    }
  },
};

/** The labels that ask for a data plane, as key=value. With injection disabled the others mean nothing. */
function injectionLabels(labels: StringMap): readonly string[] {
  const asked = labels[injectionLabel];
  const others = asked === undefined || asked === 'enabled' ? [revisionLabel, dataplaneLabel] : [];
  return [injectionLabel, ...others].filter((name) => labels[name] !== undefined).map((name) => `${name}=${labels[name]}`);
}
