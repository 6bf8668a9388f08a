import type { Struct } from '../../../kinds/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import { maps, text } from '../../json.ts';
import { sidecarName } from '../../kubernetes/in-mesh.ts';
import { templateFacts, type Container } from '../../kubernetes/pod.ts';
import { labelSelectorSelects } from '../../kubernetes/selector.ts';
import { messages } from '../../messages/messages.ts';

/** `image: auto` that no injector replaces. */
export const imageAuto: Analyzer = {
  name: 'injection.ImageAutoAnalyzer',
  description: 'Pods and Deployments with "image: auto" that are not injected',
  analyze(mesh, report) {
    const webhooks: readonly Struct[] = mesh
      .ofKind('admissionregistration.k8s.io', 'MutatingWebhookConfiguration')
      .flatMap(({ content }) => maps(content['webhooks']))
      .filter((webhook) => text(webhook['name']).endsWith('istio.io'));
    for (const pod of mesh.pods) if (pod.object.cluster === '' && hasAutoImage(pod.containers)) report(pod.object, messages.imageAutoError('Pod', pod.name), { path: 'spec.containers' });
    for (const deployment of mesh.ofKind('apps', 'Deployment')) {
      const template = templateFacts(deployment);
      if (!hasAutoImage(template.containers)) continue;
      const namespace = mesh.find('', 'Namespace', { namespace: '', name: deployment.key.namespace })?.meta.labels ?? {};
      const isInjected = webhooks.some((webhook) => labelSelectorSelects(webhook['namespaceSelector'], namespace) && labelSelectorSelects(webhook['objectSelector'], template.labels));
      if (!isInjected) report(deployment, messages.imageAutoWarning('Deployment', deployment.key.name), { path: 'spec.template.spec.containers' });
    }
  },
};

function hasAutoImage(containers: readonly Container[]): boolean {
  return containers.some(({ name, image }) => name === sidecarName && image === 'auto');
}
