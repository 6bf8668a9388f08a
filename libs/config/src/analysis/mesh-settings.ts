import { LineCounter, parseDocument } from 'yaml';
import { locate } from '../documents/locate.ts';
import { parseYamlDocuments } from '../documents/parse.ts';
import { isOfKindName } from '../kinds/kind.ts';
import { meshConfig as meshConfigKind } from '../kinds/mesh-config/kind.ts';
import { defaultMeshConfig, isMeshConfigMap, readMeshText } from '../kinds/mesh-config/read.ts';
import type { MeshConfigSpec } from '../kinds/mesh-config/types.ts';
import { meshNetworks as meshNetworksKind } from '../kinds/mesh-networks/kind.ts';
import type { Struct } from '../kinds/types.ts';
import { isMap } from '../schema/containers.ts';
import { mapAt, textMap } from './json.ts';
import { noSource, type AnalyzedObject, type Source } from './object.ts';
import type { SourceText } from './read.ts';

/** The mesh's settings from files of their own, which go before those among the objects. */
export interface MeshTexts {
  readonly meshConfig?: SourceText;
  readonly meshNetworks?: SourceText;
}

const networksKey = { group: '', kind: 'MeshNetworks', namespace: 'istio-system', name: 'meshnetworks' };

/** MeshConfig of its own file, else written as such, else of the ConfigMap `istio` (in istio-system first), else Istio's defaults: as pilot reads it. */
export function meshConfigAmong(objects: readonly AnalyzedObject[], { meshConfig }: MeshTexts): MeshConfigSpec {
  if (meshConfig) return readMeshText(meshConfigKind, meshConfigText(meshConfig)).spec;
  const written = objects.find((object): object is AnalyzedObject<MeshConfigSpec> => isOfKindName(object, meshConfigKind) && object.spec !== undefined);
  if (written) return written.spec;
  const inConfigMap = meshConfigMaps(objects).map(({ content }) => textMap(content['data'])['mesh']).find((text) => text !== undefined);
  return inConfigMap === undefined ? defaultMeshConfig() : readMeshText(meshConfigKind, inConfigMap).spec;
}

/** MeshNetworks of its own file, else written as such, else of the ConfigMap `istio`. */
export function meshNetworksAmong(objects: readonly AnalyzedObject[], { meshNetworks }: MeshTexts): AnalyzedObject | undefined {
  if (meshNetworks) return networksObject(meshNetworks.text, (locateIn) => ({ ...noSource, file: meshNetworks.name, line: locateIn }));
  const written = objects.find((object) => isOfKindName(object, meshNetworksKind));
  if (written) return { ...written, key: networksKey, content: mapAt(written.content, 'spec'), source: { ...written.source, line: (path) => written.source.line(`spec.${path}`) } };
  for (const { content, source } of meshConfigMaps(objects)) {
    const text = textMap(content['data'])['meshNetworks'];
    if (text !== undefined) return networksObject(text, () => ({ ...source, line: () => source.line('data.meshNetworks') }));
  }
  return undefined;
}

/** The file may be MeshConfig itself, or the ConfigMap that holds it. */
function meshConfigText({ name, text }: SourceText): string {
  for (const { raw } of parseYamlDocuments(text, name).documents) {
    const data = raw?.key.kind === 'ConfigMap' ? textMap(raw.content['data']) : {};
    if (data['mesh'] !== undefined) return data['mesh'];
  }
  return text;
}

function meshConfigMaps(objects: readonly AnalyzedObject[]): readonly AnalyzedObject[] {
  const found = objects.filter((object) => object.cluster === '' && object.key.group === '' && object.key.kind === 'ConfigMap' && isMeshConfigMap(object.key.name));
  const rank = ({ key }: AnalyzedObject): number => (key.namespace === 'istio-system' ? 0 : 2) + (key.name === 'istio' ? 0 : 1);
  return found.sort((a, b) => rank(a) - rank(b));
}

function networksObject(text: string, source: (line: (path: string) => number) => Source): AnalyzedObject | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, logLevel: 'silent' });
  if (document.errors.length > 0) return undefined;
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  const content: Struct = isMap(value) ? networksIn(value) : {};
  const meta = { name: networksKey.name, namespace: networksKey.namespace, labels: {}, annotations: {}, creationTimestamp: '' };
  return { key: networksKey, apiVersion: '', meta, content, spec: undefined, errors: [], warnings: [], cluster: '', source: source((path) => locate(document, lines, path).line) };
}

/** The file may also be the ConfigMap. */
function networksIn(value: Struct): Struct {
  const inside = mapAt(value, 'data')['meshNetworks'];
  if (typeof inside !== 'string') return value;
  const parsed: unknown = parseDocument(inside, { merge: true, logLevel: 'silent' }).toJS({ maxAliasCount: 100 });
  return isMap(parsed) ? parsed : {};
}
