import type { Analyzer, Report } from '../../analyzer.ts';
import { isInMesh } from '../../kubernetes/in-mesh.ts';
import { byNamespace, selectorIndex } from '../../../labels/label-index.ts';
import { templateFacts } from '../../kubernetes/pod.ts';
import type { ServiceView } from '../../kubernetes/service.ts';
import { messages } from '../../messages/messages.ts';
import { fullName, type AnalyzedObject } from '../../object.ts';

/** Services of one deployment that contradict each other. */
export const deploymentServices: Analyzer = {
  name: 'deployment.MultiServiceAnalyzer',
  description: 'Services that select one deployment and contradict each other on ports',
  analyze(mesh, report) {
    const considered = mesh.services.filter(({ object, selector }) => object.cluster === '' && Object.keys(selector).length > 0);
    const selecting = byNamespace(considered, (service) => service.namespace, (there) => selectorIndex(there, (service) => service.selector));
    for (const deployment of mesh.ofKind('apps', 'Deployment')) {
      const { namespace } = deployment.key;
      const pod = templateFacts(deployment);
      const isWaypoint = deployment.meta.labels['gateway.istio.io/managed'] === 'istio.io-mesh-controller';
      if (isWaypoint || !isInMesh(mesh, namespace, pod)) continue;
      const services = selecting.get(namespace)?.selecting(pod.labels) ?? [];
      checkProtocols(deployment, services, report);
      checkTargetPorts(deployment, services, report);
    }
  },
};

function checkProtocols(deployment: AnalyzedObject, services: readonly ServiceView[], report: Report): void {
  const uses = services.flatMap((service) => service.ports.map(({ port, protocol }) => ({ service: fullName(service.object), port, protocol: protocol || 'TCP' })));
  for (const [port, ofPort] of Map.groupBy(uses, (use) => use.port))
    if (new Set(ofPort.map((use) => use.protocol)).size > 1) report(deployment, messages.severalServices(deployment.key.name, port, ofPort.map((use) => use.service).sort()), { path: 'metadata.name' });
}

function checkTargetPorts(deployment: AnalyzedObject, services: readonly ServiceView[], report: Report): void {
  const uses = services.flatMap((service) => service.ports.map(({ port, targetPort }) => ({ service: fullName(service.object), port, targetPort: targetPort === '0' ? String(port) : targetPort })));
  for (const [targetPort, ofTarget] of Map.groupBy(uses, (use) => use.targetPort)) {
    const byPort = new Map(ofTarget.map((use) => [use.port, use.service]));
    if (byPort.size > 1) report(deployment, messages.conflictingTargetPorts(deployment.key.name, [...byPort.values()].sort(), targetPort, [...byPort.keys()].sort((a, b) => a - b)), { path: 'metadata.name' });
  }
}
