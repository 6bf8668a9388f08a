import type { ObjectMeta } from '../../object.ts';
import { ipReason, portReason, unixPathReason, unixPrefix } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { fqdnReason, isDnsLabel } from '../../rules/hosts.ts';
import { checkSelector } from '../../rules/labels.ts';
import { optionalProtocolReason } from '../../rules/protocols.ts';
import { checkConnectionPool } from '../destination-rule/validate-connections.ts';
import type { Port } from '../gateway/types.ts';
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

/** Port and bind of a listener; `unixAllowed` for egress, where number 0 asks for a socket. */
export function checkListener({ port, bind }: { port: Port; bind: string }, { path, findings, unixAllowed }: { path: string; findings: Findings; unixAllowed: boolean }): void {
  if (port.targetPort !== 0) findings.error(`${path}.port.targetPort`, 'has no effect on a Sidecar: remove it');
  if (port.name !== '' && !isDnsLabel(port.name)) findings.error(`${path}.port.name`, `"${port.name}" is not a port name: 1–63 letters, digits or "-"`);
  findings.check(`${path}.port.protocol`, optionalProtocolReason(port.protocol));
  if (unixAllowed && port.number === 0) {
    const socket = bind.startsWith(unixPrefix) ? unixPathReason(bind.slice(unixPrefix.length)) : 'must be unix:///path while port.number is 0';
    findings.check(`${path}.bind`, socket);
    return;
  }
  findings.check(`${path}.port.number`, portReason(port.number));
  if (bind !== '') findings.check(`${path}.bind`, ipReason(bind));
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
