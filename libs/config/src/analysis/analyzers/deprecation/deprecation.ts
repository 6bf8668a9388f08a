import { sidecar } from '../../../kinds/sidecar/kind.ts';
import { virtualService } from '../../../kinds/virtual-service/kind.ts';
import type { FaultDelay } from '../../../kinds/virtual-service/types.ts';
import type { Analyzer } from '../../analyzer.ts';
import type { SourceFix } from '../../fix/source-fix.ts';
import { mapAt, text } from '../../json.ts';
import { messages } from '../../messages/messages.ts';

const removedKinds = ['ClusterRbacConfig', 'RbacConfig', 'ServiceRole', 'ServiceRoleBinding'];

/** Deprecated fields, and CRDs of kinds that are gone. */
export const deprecation: Analyzer = {
  name: 'deprecation.DeprecationAnalyzer',
  description: 'Deprecated fields, and CRDs of kinds that no longer exist',
  analyze(mesh, report) {
    for (const service of mesh.of(virtualService))
      for (const [i, { fault }] of service.spec.http.entries()) {
        const path = `spec.http[${i}].fault.delay.percent`;
        if (fault?.delay && fault.delay.percent > 0) report(service, messages.deprecated('http.fault.delay.percent: use http.fault.delay.percentage'), { path, fix: percentageInstead(path, fault.delay) });
      }
    for (const one of mesh.of(sidecar))
      if (one.spec.outboundTrafficPolicy?.egressProxy)
        report(one, messages.deprecated('outboundTrafficPolicy.egressProxy is ignored'), { path: 'spec.outboundTrafficPolicy.egressProxy' });
    for (const crd of mesh.ofKind('apiextensions.k8s.io', 'CustomResourceDefinition')) {
      const spec = mapAt(crd.content, 'spec');
      const kind = text(mapAt(spec, 'names')['kind']);
      if (spec['group'] === 'rbac.istio.io' && removedKinds.includes(kind)) report(crd, messages.deprecated(`the kind ${kind} of rbac.istio.io is gone`));
    }
  },
};

/** A percentage that is set already goes before the old field. */
function percentageInstead(path: string, { percent, percentage }: FaultDelay): SourceFix {
  if (percentage) return { do: 'remove', path };
  return { do: 'all', fixes: [{ do: 'replace', path, value: { value: percent } }, { do: 'rename', path, to: 'percentage' }] };
}
