import { ipReason } from '../../../rules/addresses.ts';
import { mapped } from '../../../schema/schema.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import { podSpec, podStatus } from './schema.ts';
import type { PodSpec, PodStatus } from './types.ts';

export const pod = kubeKind<PodSpec>({
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  body: 'object',
  schema: mapped(
    kubeObject<{ readonly spec: Omit<PodSpec, 'status'>; readonly status: PodStatus }>({ spec: podSpec, status: podStatus }),
    ({ spec, status }) => ({ ...spec, status }),
  ),
  validate(spec, _about, findings) {
    for (const [i, ip] of spec.status.podIPs.entries()) findings.check(`status.podIPs[${i}]`, ipReason(ip));
  },
});
