import { keyText, type Config } from '../../object.ts';
import { isOfKindName } from '../kind.ts';
import { meshConfig } from './kind.ts';
import { meshConfigFrom } from './read.ts';
import type { MeshConfigSpec } from './types.ts';

/** MeshConfig in force, and the object that holds it. */
export interface FoundMeshConfig {
  readonly config: Config;
  readonly spec: MeshConfigSpec;
}

/** A MeshConfig document goes before the ConfigMap that Istio keeps it in. The choice never depends on who was read first; ConfigMaps that cannot be read are passed over. */
export function meshConfigAmong(configs: Iterable<Config>): FoundMeshConfig | undefined {
  let document: FoundMeshConfig | undefined;
  let fromMap: FoundMeshConfig | undefined;
  for (const config of configs) {
    if (isOfKindName(config, meshConfig)) {
      if (!document || rank(config) < rank(document.config)) document = { config, spec: config.spec as MeshConfigSpec };
    } else {
      const read = meshConfigFrom(config);
      if (read?.ok && (!fromMap || rank(config) < rank(fromMap.config))) fromMap = { config, spec: read.value };
    }
  }
  return document ?? fromMap;
}

/** The document named "default" and the ConfigMap `istio` in istio-system first. */
function rank(config: Config): string {
  const { name, namespace } = config.key;
  return `${namespace === '' || namespace === 'istio-system' ? 0 : 1}${name === 'default' || name === 'istio' ? 0 : 1}${keyText(config.key)}`;
}
