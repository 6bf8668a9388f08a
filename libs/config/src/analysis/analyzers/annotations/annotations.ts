import { closest } from '../../../schema/closest.ts';
import { child } from '../../../schema/schema.ts';
import type { Analyzer, Report } from '../../analyzer.ts';
import type { SourceFix } from '../../fix/source-fix.ts';
import type { Mesh } from '../../mesh.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';
import { ignoredAnnotations, isIstioAnnotation, knownAnnotations } from './known-annotations.ts';
import { annotationReason } from './values.ts';

const injectName = 'sidecar.istio.io/inject';

/** Unknown, deprecated, misplaced and invalid annotations. */
export const annotations: Analyzer = {
  name: 'annotations.K8sAnalyzer',
  description: 'Unknown, deprecated, misplaced and invalid annotations of Istio on Kubernetes objects',
  analyze(mesh, report) {
    for (const object of annotated(mesh)) for (const [name, value] of Object.entries(object.meta.annotations)) if (isIstioAnnotation(name) && !ignoredAnnotations.includes(name)) check(object, { name, value }, report);
  },
};

/** Namespaces, Services, Pods and Deployments. */
export function annotated(mesh: Mesh): readonly AnalyzedObject[] {
  return [...mesh.ofKind('', 'Namespace'), ...mesh.ofKind('', 'Service'), ...mesh.ofKind('', 'Pod'), ...mesh.ofKind('apps', 'Deployment')];
}

export function annotationPath(name: string): string {
  return child('metadata.annotations', name);
}

function check(object: AnalyzedObject, { name, value }: { readonly name: string; readonly value: string }, report: Report): void {
  const path = annotationPath(name);
  const known = knownAnnotations.get(name);
  if (!known) {
    const meant = closest(name, [...knownAnnotations.keys()].filter((one) => one !== 'kubernetes.io/ingress.class' && object.meta.annotations[one] === undefined));
    report(object, messages.unknownAnnotation(name, meant), { path, ...(meant === undefined ? {} : { fix: { do: 'rename', path, to: meant } as const }) });
    return;
  }
  const fits = known.kinds.includes('Any') || known.kinds.includes(object.key.kind);
  const moved = movedTo(object, { name, value });
  if (known.deprecated && !(name === injectName && object.meta.labels[injectName] !== undefined)) {
    const fix = name === injectName ? moved : undefined;
    report(object, messages.deprecatedAnnotation(name, name === injectName ? `: use the label "${injectName}" instead` : ''), { path, ...(fix && { fix }) });
  }
  if (known.kinds.includes('Any')) return;
  if (!fits) {
    const fix = known.kinds.includes('Pod') && object.key.kind === 'Deployment' ? moved : undefined;
    report(object, messages.misplacedAnnotation(name, known.kinds.join(', ')), { path, ...(fix && { fix }) });
    return;
  }
  const reason = annotationReason(name, value);
  if (reason !== undefined) report(object, messages.invalidAnnotation(name, reason), { path });
}

/** Where an annotation of pods belongs: with the pod itself, or in the template of its Deployment. Injection is asked for by a label. */
function movedTo(object: AnalyzedObject, { name, value }: { readonly name: string; readonly value: string }): SourceFix | undefined {
  const metadata = object.key.kind === 'Pod' ? 'metadata' : object.key.kind === 'Deployment' ? 'spec.template.metadata' : undefined;
  if (metadata === undefined) return undefined;
  const into = name === injectName ? 'labels' : 'annotations';
  return { do: 'all', fixes: [{ do: 'insert', path: `${metadata}.${into}`, key: name, value: JSON.stringify(value) }, { do: 'remove', path: annotationPath(name) }] };
}
