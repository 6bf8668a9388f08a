import { defaultMeshConfig, meshConfigAmong, type Config, type MeshConfigSpec } from '@meltemi/config';

/** MeshConfig in force, or Istio's defaults. The same objects give the same reference. */
export class MeshConfigReader {
  #from: Config | undefined;
  #spec: MeshConfigSpec = defaultMeshConfig();

  read(configs: Iterable<Config>): MeshConfigSpec {
    const found = meshConfigAmong(configs);
    if (found?.config !== this.#from || !found) {
      if (found || this.#from) this.#spec = found?.spec ?? defaultMeshConfig();
      this.#from = found?.config;
    }
    return this.#spec;
  }
}
