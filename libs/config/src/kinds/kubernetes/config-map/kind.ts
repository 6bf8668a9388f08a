import { stringMap } from '../../../schema/containers.ts';
import { holdsMeshConfig, readMeshConfig } from '../../mesh-config/read.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import type { ConfigMapSpec } from './types.ts';

/** Any ConfigMap is fine; the one that holds MeshConfig is checked as such. */
export const configMap = kubeKind<ConfigMapSpec>({
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  body: 'object',
  schema: kubeObject<ConfigMapSpec>({ data: stringMap() }),
  validate(spec, about, findings) {
    if (!holdsMeshConfig(about.name, spec.data)) return;
    const read = readMeshConfig(spec.data['mesh'] ?? '').findings;
    const inside = (path: string): string => path.replace(/^(spec)?/, 'data.mesh');
    for (const { path, message } of read.errors) findings.error(inside(path), message);
    for (const { path, message } of read.warnings) findings.warn(inside(path), message);
  },
});
