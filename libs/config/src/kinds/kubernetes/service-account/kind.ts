import { kubeKind, kubeObject } from '../kube-kind.ts';
import type { ServiceAccountSpec } from './types.ts';

export const serviceAccount = kubeKind<ServiceAccountSpec>({
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  body: 'object',
  schema: kubeObject<ServiceAccountSpec>({}),
});
