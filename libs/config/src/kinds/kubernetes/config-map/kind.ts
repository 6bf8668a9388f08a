import { stringMap } from '../../../schema/containers.ts';
import type { ConfigKind } from '../../kind.ts';
import { isMeshConfigMap, meshKeys, readMeshText } from '../../mesh-config/read.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';
import type { ConfigMapSpec } from './types.ts';

/** Any ConfigMap is fine; in the one that holds the mesh's settings they are checked as such. */
export const configMap = kubeKind<ConfigMapSpec>({
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  body: 'object',
  schema: kubeObject<ConfigMapSpec>({ data: stringMap() }),
  validate(spec, about, findings) {
    if (!isMeshConfigMap(about.name)) return;
    for (const { key, kind } of meshKeys) {
      const text = spec.data[key];
      if (text === undefined) continue;
      const read = readMeshText<unknown>(kind as ConfigKind, text).findings;
      const inside = (path: string): string => path.replace(/^(spec)?/, `data.${key}`);
      for (const { path, message } of read.errors) findings.error(inside(path), message);
      for (const { path, message } of read.warnings) findings.warn(inside(path), message);
    }
  },
});
