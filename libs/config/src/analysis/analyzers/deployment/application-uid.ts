import type { Analyzer } from '../../analyzer.ts';
import { isControlPlane, sidecarName } from '../../kubernetes/in-mesh.ts';
import { podFacts, templateFacts, type PodFacts } from '../../kubernetes/pod.ts';
import { messages } from '../../messages/messages.ts';

/** Traffic of this user is the sidecar's own, and not captured. */
const sidecarUser = 1337;

/** Applications that run as the sidecar's user. */
export const applicationUid: Analyzer = {
  name: 'applicationUID.Analyzer',
  description: 'Applications that run as user 1337, the sidecar\'s',
  analyze(mesh, report) {
    for (const pod of mesh.ofKind('', 'Pod')) if (!isControlPlane(pod) && usesSidecarUser(podFacts(pod.content))) report(pod, messages.reservedUser(), { path: 'spec' });
    for (const deployment of mesh.ofKind('apps', 'Deployment'))
      if (!isControlPlane(deployment) && usesSidecarUser(templateFacts(deployment))) report(deployment, messages.reservedUser(), { path: 'spec.template.spec' });
  },
};

function usesSidecarUser({ runAsUser, containers }: PodFacts): boolean {
  return runAsUser === sidecarUser || containers.some((container) => container.name !== sidecarName && container.name !== 'istio-operator' && container.runAsUser === sidecarUser);
}
