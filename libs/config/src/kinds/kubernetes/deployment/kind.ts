import { checkLabels } from '../../../rules/labels.ts';
import { stringMap } from '../../../schema/containers.ts';
import { int } from '../../../schema/scalars.ts';
import { mapped, required, withDefault } from '../../../schema/schema.ts';
import { labelSelector } from '../../schema.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import { podSpec } from '../pod/schema.ts';
import type { DeploymentSpec, PodTemplate } from './types.ts';

const template = mapped(
  kubeObject<{ readonly metadata: PodTemplate['meta']; readonly spec: PodTemplate['spec'] }>({
    metadata: kubeObject<PodTemplate['meta']>({ labels: stringMap(), annotations: stringMap() }),
    spec: podSpec,
  }),
  ({ metadata, spec }): PodTemplate => ({ meta: metadata, spec }),
);

export const deployment = kubeKind<DeploymentSpec>({
  group: 'apps',
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  schema: kubeObject<DeploymentSpec>({ replicas: withDefault(int('int32', { min: 0 }), 1), selector: required(labelSelector), template: required(template) }),
  validate(spec, _about, findings) {
    const labels = spec.template.meta.labels;
    checkLabels(labels, 'spec.template.metadata.labels', findings);
    for (const [key, value] of Object.entries(spec.selector.matchLabels))
      if (labels[key] !== value) findings.error('spec.template.metadata.labels', `must hold ${key}: ${value}, because spec.selector.matchLabels does`);
  },
});
