import type { ObjectMeta } from '../../../object.ts';
import { ipReason, portReason } from '../../../rules/addresses.ts';
import type { Findings } from '../../../rules/findings.ts';
import { fqdnReason } from '../../../rules/hosts.ts';
import { checkLabels } from '../../../rules/labels.ts';
import { list, stringMap, strings } from '../../../schema/containers.ts';
import { bool, int, intOrString, oneOf, string } from '../../../schema/scalars.ts';
import { item, mapped, optional, required, withDefault } from '../../../schema/schema.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import type { KubeServicePort, KubeServiceSpec } from './types.ts';

const port = mapped(
  kubeObject<KubeServicePort>({
    name: string(),
    port: required(int('int32')),
    protocol: oneOf(['TCP', 'UDP', 'SCTP']),
    appProtocol: optional(string()),
    targetPort: intOrString(),
    nodePort: int('int32'),
  }),
  (one) => (one.targetPort === 0 || one.targetPort === '' ? { ...one, targetPort: one.port } : one),
);

export const kubeService = kubeKind<KubeServiceSpec>({
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  schema: kubeObject<KubeServiceSpec>({
    type: oneOf(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']),
    clusterIP: string(),
    clusterIPs: strings(),
    ports: list(port),
    selector: stringMap(),
    externalName: string(),
    externalIPs: strings(),
    publishNotReadyAddresses: bool(),
    sessionAffinity: withDefault(string(), 'None'),
    internalTrafficPolicy: string(),
    externalTrafficPolicy: string(),
    trafficDistribution: string(),
  }),
  validate,
});

function validate(spec: KubeServiceSpec, about: ObjectMeta, findings: Findings): void {
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(about.name)) findings.error('metadata.name', `"${about.name}" must be 1–63 small letters, digits or "-", starting with a letter`);
  if (spec.type === 'ExternalName') findings.check('spec.externalName', spec.externalName === '' ? 'is required for type ExternalName' : fqdnReason(spec.externalName));
  else if (spec.ports.length === 0 && spec.clusterIP !== 'None') findings.error('spec.ports', 'needs at least one port');
  if (spec.clusterIP !== '' && spec.clusterIP !== 'None') findings.check('spec.clusterIP', ipReason(spec.clusterIP));
  checkLabels(spec.selector, 'spec.selector', findings);
  const names = new Set<string>();
  for (const [i, one] of spec.ports.entries()) {
    const at = item('spec.ports', i);
    findings.check(`${at}.port`, portReason(one.port));
    if (typeof one.targetPort === 'number') findings.check(`${at}.targetPort`, portReason(one.targetPort));
    // Kubernetes refuses both; proxies tell ports apart by number
    if (one.name === '' && spec.ports.length > 1) findings.warn(`${at}.name`, 'is required when there are several ports');
    else if (names.has(one.name)) findings.warn(`${at}.name`, `"${one.name}" names an earlier port already`);
    names.add(one.name);
  }
}
