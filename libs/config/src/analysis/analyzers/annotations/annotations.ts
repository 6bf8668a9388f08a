import { closest } from '@meltemi/base';
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
    const meant = meantBy(object, name);
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

/** The annotation of this kind whose name, behind the same domain, a typing mistake may have meant. */
function meantBy(object: AnalyzedObject, name: string): string | undefined {
  const domain = name.slice(0, name.indexOf('/') + 1);
  const fitting = [...knownAnnotations.values()].filter((known) => known.name.startsWith(domain) && (known.kinds.includes(object.key.kind) || known.kinds.includes('Any')) && object.meta.annotations[known.name] === undefined);
  const meant = closest(name.slice(domain.length), fitting.map((known) => known.name.slice(domain.length)));
  return meant && `${domain}${meant}`;
}

/** Where an annotation of pods belongs: with the pod itself, or in the template of its Deployment. Injection is asked for by a label. */
function movedTo(object: AnalyzedObject, { name, value }: { readonly name: string; readonly value: string }): SourceFix | undefined {
  const metadata = object.key.kind === 'Pod' ? 'metadata' : object.key.kind === 'Deployment' ? 'spec.template.metadata' : undefined;
  if (metadata === undefined) return undefined;
  const into = name === injectName ? 'labels' : 'annotations';
  return { do: 'all', fixes: [{ do: 'insert', path: `${metadata}.${into}`, key: name, value }, { do: 'remove', path: annotationPath(name) }] };
}
