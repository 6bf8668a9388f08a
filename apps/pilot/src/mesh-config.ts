import { defaultMeshConfig, isOfKind, meshConfig, meshConfigFrom, type Config, type MeshConfigSpec } from '@meltemi/config';

/** MeshConfig in force: a MeshConfig document, else the ConfigMap Istio keeps it in, else Istio's defaults. The same objects give the same reference. */
export class MeshConfigReader {
  #from: Config | undefined;
  #spec: MeshConfigSpec = defaultMeshConfig();

  read(configs: Iterable<Config>): MeshConfigSpec {
    const found = pick(configs);
    if (found?.config !== this.#from || !found) {
      if (found || this.#from) this.#spec = found?.spec ?? defaultMeshConfig();
      this.#from = found?.config;
    }
    return this.#spec;
  }
}

function pick(configs: Iterable<Config>): { config: Config; spec: MeshConfigSpec } | undefined {
  let fromMap: { config: Config; spec: MeshConfigSpec } | undefined;
  for (const config of configs) {
    if (isOfKind(config, meshConfig)) return { config, spec: config.spec };
    if (fromMap || config.key.kind !== 'ConfigMap') continue;
    const read = meshConfigFrom(config);
    if (read?.ok) fromMap = { config, spec: read.value };
  }
  return fromMap;
}
