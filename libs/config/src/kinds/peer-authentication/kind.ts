import type { ObjectMeta } from '../../object.ts';
import type { Findings } from '../../rules/findings.ts';
import { checkSelector } from '../../rules/labels.ts';
import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import type { PeerAuthenticationSpec } from './types.ts';

export const peerAuthentication = istioKind<PeerAuthenticationSpec>({
  group: 'security.istio.io',
  kind: 'PeerAuthentication',
  plural: 'peerauthentications',
  shortNames: ['pa'],
  versions: ['v1', 'v1beta1'],
  schema,
  validate,
});

function validate(spec: PeerAuthenticationSpec, _about: ObjectMeta, findings: Findings): void {
  const labels = spec.selector?.matchLabels ?? {};
  if (Object.keys(labels).length === 0 && Object.keys(spec.portLevelMtls).length > 0)
    findings.error('spec.portLevelMtls', 'needs a selector with labels: ports belong to workloads');
  checkSelector(spec.selector?.matchLabels, 'spec.selector.matchLabels', findings);
}
