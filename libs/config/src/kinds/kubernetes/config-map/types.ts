import type { StringMap } from '../../types.ts';

/** ConfigMap: of interest only as the home of MeshConfig (name `istio`, key `mesh`). */
export interface ConfigMapSpec {
  readonly data: StringMap;
}
