import { istioKind } from '../kind.ts';
import { schema } from './schema.ts';
import { leaveOutBroken } from './tolerate.ts';
import type { MeshConfigSpec } from './types.ts';
import { validate } from './validate.ts';

/**
 * Istio's MeshConfig is no Kubernetes object: users keep it as plain YAML, or in the ConfigMap `istio` under the key `mesh`. Both are read;
 * inside the mesh it is an object of this kind, its group named after Istio's proto package.
 */
export const meshConfig = istioKind<MeshConfigSpec>({
  group: 'mesh.istio.io',
  kind: 'MeshConfig',
  plural: 'meshconfigs',
  versions: ['v1alpha1'],
  scope: 'cluster',
  schema,
  tolerate: leaveOutBroken,
  validate,
});
