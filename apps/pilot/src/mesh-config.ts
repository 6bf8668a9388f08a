import { defaultMeshConfig, isOfKind, keyText, meshConfig, meshConfigFrom, type Config, type MeshConfigSpec } from '@meltemi/config';

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

/** The document named "default" first, so that the choice never depends on who was read first. */
function pick(configs: Iterable<Config>): { config: Config; spec: MeshConfigSpec } | undefined {
  let document: Config<MeshConfigSpec> | undefined;
  let fromMap: { config: Config; spec: MeshConfigSpec } | undefined;
  for (const config of configs) {
    if (isOfKind(config, meshConfig)) {
      if (!document || rank(config) < rank(document)) document = config;
    } else if (config.key.kind === 'ConfigMap') {
      const read = meshConfigFrom(config);
      if (read?.ok && (!fromMap || rank(config) < rank(fromMap.config))) fromMap = { config, spec: read.value };
    }
  }
  return document ? { config: document, spec: document.spec } : fromMap;
}

function rank({ key }: Config): string {
  return `${key.name === 'default' ? 0 : 1}${keyText(key)}`;
}
