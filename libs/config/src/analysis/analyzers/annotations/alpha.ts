import type { Analyzer } from '../../analyzer.ts';
import { podFacts } from '../../kubernetes/pod.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';
import { annotated, annotationPath } from './annotations.ts';
import { ignoredAnnotations, isIstioAnnotation, knownAnnotations } from './known-annotations.ts';

/** Set by the injector itself when pods are captured by a CNI plug-in, which shows in the missing init container. */
const setByInjector = [
  'sidecar.istio.io/interceptionMode',
  'traffic.sidecar.istio.io/includeInboundPorts',
  'traffic.sidecar.istio.io/excludeInboundPorts',
  'traffic.sidecar.istio.io/includeOutboundIPRanges',
];

/** Annotations of alpha quality. */
export const alphaAnnotations: Analyzer = {
  name: 'annotations.AlphaAnalyzer',
  description: 'Annotations of alpha quality on Kubernetes objects',
  analyze(mesh, report) {
    for (const object of annotated(mesh)) {
      const ignored = usesCni(object) ? [...ignoredAnnotations, ...setByInjector] : ignoredAnnotations;
      for (const name of Object.keys(object.meta.annotations))
        if (isIstioAnnotation(name) && knownAnnotations.get(name)?.alpha === true && !ignored.includes(name)) report(object, messages.alphaAnnotation(name), { path: annotationPath(name) });
    }
  },
};

function usesCni(object: AnalyzedObject): boolean {
  return object.key.kind === 'Pod' && !podFacts(object.content).initContainers.some((container) => container.name === 'istio-init');
}
