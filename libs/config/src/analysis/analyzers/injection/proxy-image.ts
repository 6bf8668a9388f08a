import { parse } from 'yaml';
import type { Analyzer } from '../../analyzer.ts';
import { mapAt, text, textMap } from '../../json.ts';
import { sidecarName } from '../../kubernetes/in-mesh.ts';
import type { PodView } from '../../kubernetes/pod.ts';
import { selects } from '../../../labels/selects.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';
import { injectorConfigs } from './injector-config.ts';

/** Pods whose sidecar is older than the injector's image. */
export const proxyImage: Analyzer = {
  name: 'injection.ImageAnalyzer',
  description: 'Pods whose sidecar is not the image the injector uses',
  analyze(mesh, report) {
    const injectors = injectorConfigs(mesh);
    if (!injectors.any) return;
    const variantOf = imageTypes(mesh);
    const byNamespace = Map.groupBy(mesh.pods.filter((pod) => pod.object.cluster === ''), (pod) => pod.namespace);
    for (const namespace of mesh.ofKind('', 'Namespace')) {
      const { labels } = namespace.meta;
      const revision = labels['istio.io/rev'] ?? (labels['istio-injection'] === 'enabled' ? 'default' : undefined);
      const expected = revision === undefined ? undefined : injectors.of(revision)?.image;
      if (expected === undefined) continue;
      const stale = (byNamespace.get(namespace.key.name) ?? []).filter((pod) => {
        if ((pod.annotations['sidecar.istio.io/proxyImage'] ?? '') !== '') return false;
        const images = [expected, `${expected}-${variantOf(pod)}`];
        return [...pod.containers, ...pod.initContainers].some(({ name, image }) => name === sidecarName && !images.includes(image));
      });
      if (stale.length > 0) report(namespace, messages.proxyImageMismatch(stale.map((pod) => pod.name).sort()));
    }
  },
};

/** The image type of a pod's sidecar: the mesh's, the root namespace's, its namespace's, its workload's, its annotation's, the last one that is set. */
function imageTypes(mesh: Mesh): (pod: PodView) => string {
  const configs = mesh.ofKind('networking.istio.io', 'ProxyConfig').filter((one) => one.spec !== undefined).map(({ key, content }) => {
    const spec = mapAt(content, 'spec');
    const selector = spec['selector'] === undefined ? undefined : textMap(mapAt(spec, 'selector')['matchLabels']);
    return { namespace: key.namespace, selector, type: text(mapAt(spec, 'image')['imageType']) };
  });
  const { rootNamespace, defaultConfig } = mesh.meshConfig;
  return (pod) => {
    const layers = [
      defaultConfig.image?.imageType,
      ...configs.filter((one) => one.namespace === rootNamespace).map((one) => one.type),
      ...configs.filter((one) => one.namespace !== rootNamespace && one.namespace === pod.namespace && one.selector === undefined).map((one) => one.type),
      ...configs.filter((one) => one.namespace !== rootNamespace && one.namespace === pod.namespace && one.selector !== undefined && selects(one.selector, pod.labels)).map((one) => one.type),
      annotated(pod.annotations['proxy.istio.io/config']),
    ];
    const type = layers.findLast((one) => one !== undefined && one !== '') ?? '';
    return type === 'default' ? '' : type;
  };
}

function annotated(config: string | undefined): string | undefined {
  if (config === undefined) return undefined;
  try {
    return text(mapAt(parse(config, { maxAliasCount: 100, logLevel: 'error' }), 'image')['imageType']);
  } catch {
    return undefined;
  }
}
