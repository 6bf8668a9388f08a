import { isDnsLabel } from '../../../rules/hosts.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import type { NamespaceSpec } from './types.ts';

export const namespace = kubeKind<NamespaceSpec>({
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  scope: 'cluster',
  body: 'object',
  schema: kubeObject<NamespaceSpec>({}),
  validate(_spec, about, findings) {
    if (!isDnsLabel(about.name)) findings.error('metadata.name', `"${about.name}" must be 1–63 letters, digits or "-"`);
  },
});
