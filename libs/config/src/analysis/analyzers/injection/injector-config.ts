import { parse } from 'yaml';
import { mapAt, text, textMap } from '../../json.ts';
import type { Mesh } from '../../mesh.ts';
import type { AnalyzedObject } from '../../object.ts';

/** What the analysis reads of the injector's ConfigMap. */
export interface InjectorConfig {
  /** The sidecar's image; "" when the values cannot be read. */
  readonly image: string;
  readonly enableNamespacesByDefault: boolean;
}

const configMapName = 'istio-sidecar-injector';

/** The injector's ConfigMap of a revision, "" and "default" being the one without a revision. */
export function injectorConfigs(mesh: Mesh): { readonly any: boolean; of(revision: string): InjectorConfig | undefined } {
  const byName = new Map(mesh.ofKind('', 'ConfigMap').filter(({ key }) => key.name.startsWith(configMapName)).map((object) => [object.key.name, read(object)]));
  return { any: byName.size > 0, of: (revision) => byName.get(revision === '' || revision === 'default' ? configMapName : `${configMapName}-${revision}`) };
}

function read({ content }: AnalyzedObject): InjectorConfig {
  const values = valuesIn(textMap(content['data'])['values'] ?? '');
  const global = mapAt(values, 'global');
  const image = text(mapAt(global, 'proxy')['image']);
  return {
    image: image.includes('/') ? image : `${text(global['hub'])}/${image}:${textMap(global)['tag'] ?? ''}`,
    enableNamespacesByDefault: mapAt(values, 'sidecarInjectorWebhook')['enableNamespacesByDefault'] === true,
  };
}

function valuesIn(json: string): unknown {
  try {
    return parse(json, { maxAliasCount: 100, logLevel: 'error' });
  } catch {
    return undefined;
  }
}
