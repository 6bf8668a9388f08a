import type { ObjectMeta } from '../../object.ts';
import type { Findings } from '../../rules/findings.ts';
import { fqdnReason } from '../../rules/hosts.ts';
import { checkSelector } from '../../rules/labels.ts';
import { checkConnectionPool } from '../destination-rule/validate-connections.ts';
import { checkDestination } from '../virtual-service/validate-destination.ts';
import type { SidecarSpec } from './types.ts';
import { checkEgress } from './validate-egress.ts';
import { checkIngress } from './validate-ingress.ts';

/** Source: istio.io/istio pkg/config/validation (webhook), read for its rules; the messages are ours. */
export function validate(spec: SidecarSpec, about: ObjectMeta, findings: Findings): void {
  checkSelector(spec.workloadSelector?.labels, 'spec.workloadSelector.labels', findings);
  const empty = spec.ingress.length + spec.egress.length === 0 && !spec.outboundTrafficPolicy && !spec.inboundConnectionPool;
  if (empty) findings.error('spec', 'needs at least one of ingress, egress, outboundTrafficPolicy or inboundConnectionPool');
  checkIngress(spec.ingress, findings);
  checkConnectionPool(spec.inboundConnectionPool, 'spec.inboundConnectionPool', findings);
  checkEgress(spec.egress, about.namespace, findings);
  checkOutbound(spec, findings);
}

function checkOutbound({ outboundTrafficPolicy: policy }: SidecarSpec, findings: Findings): void {
  const proxy = policy?.egressProxy;
  if (!proxy) return;
  const path = 'spec.outboundTrafficPolicy.egressProxy';
  if (policy.mode !== 'ALLOW_ANY') findings.error(path, 'needs mode ALLOW_ANY');
  findings.check(`${path}.host`, fqdnReason(proxy.host));
  if (!proxy.port) findings.error(`${path}.port`, 'is required');
  checkDestination({ ...proxy, host: 'checked-above' }, path, findings);
}
