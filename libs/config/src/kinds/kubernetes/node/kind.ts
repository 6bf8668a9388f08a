import { kubeKind, kubeObject } from '../kube-kind.ts';
import type { NodeSpec } from './types.ts';

export const node = kubeKind<NodeSpec>({
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  scope: 'cluster',
  body: 'object',
  schema: kubeObject<NodeSpec>({}),
});
