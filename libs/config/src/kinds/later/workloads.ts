import { portReason, unixPathReason, unixPrefix } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { checkLabels } from '../../rules/labels.ts';
import { stringMap } from '../../schema/containers.ts';
import { child, optional, required } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { readinessProbe, type ReadinessProbe } from '../readiness-probe.ts';
import type { StringMap, Struct } from '../types.ts';
import { checkProbe } from '../validate-probe.ts';
import type { WorkloadEntrySpec } from '../workload-entry/types.ts';
import { workload } from '../workload-entry/schema.ts';
import { maps } from './security.ts';
import { shape } from './shape.ts';

export const workloadGroup = istioKind<Struct>({
  group: 'networking.istio.io',
  kind: 'WorkloadGroup',
  plural: 'workloadgroups',
  shortNames: ['wg'],
  schema: shape({
    metadata: optional(shape({ labels: stringMap({ maxKeys: 256 }), annotations: stringMap({ maxKeys: 256 }) })),
    template: required(workload),
    probe: optional(readinessProbe),
  }),
  validate(spec, _about, findings) {
    const [metadata] = maps([spec['metadata']]);
    if (metadata) checkLabels(metadata['labels'] as StringMap, 'spec.metadata.labels', findings);
    for (const template of maps([spec['template']])) checkTemplate(template as unknown as WorkloadEntrySpec, findings);
    checkProbe(spec['probe'] as ReadinessProbe | undefined, 'spec.probe', findings);
  },
});

// The address comes when the workload registers; what is given must be right all the same.
function checkTemplate(template: WorkloadEntrySpec, findings: Findings): void {
  const { address, ports } = template;
  for (const [name, port] of Object.entries(ports)) findings.check(child('spec.template.ports', name), portReason(port));
  if (!address.startsWith(unixPrefix)) return;
  findings.check('spec.template.address', unixPathReason(address.slice(unixPrefix.length)));
  if (Object.keys(ports).length > 0) findings.error('spec.template.ports', 'must be empty while address is a Unix domain socket');
}
