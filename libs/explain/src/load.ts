import type { FieldError, Result } from '@meltemi/base';
import {
  decode, defaultMeshConfig, isOfKind, keyText, meshConfig as meshConfigKind, meshConfigAmong, meshConfigFrom, meshNetworks as meshNetworksKind, meshNetworksFrom, parseYamlDocuments, type Config,
  type ConfigKey, type ConfigKind, type MeshConfigSpec, type ParsedDocument,
} from '@meltemi/config';
import type { Origin } from './answer.ts';

/** One file's text. */
export interface TextFile {
  readonly name: string;
  readonly text: string;
}

/** An object that is left out, and why: everybody else is answered as if it were not there. */
export interface SetAside {
  readonly origin: Origin;
  readonly errors: readonly FieldError[];
}

/** A directory of YAML, read. */
export interface LoadedMesh {
  readonly configs: readonly Config[];
  readonly meshConfig: MeshConfigSpec;
  readonly setAside: readonly SetAside[];
  /** Where a field of an object is written; without a place when the object came from elsewhere. */
  originOf(key: ConfigKey, field: string): Origin;
}

export interface LoadOptions {
  /** MeshConfig in a file of its own, which goes before what stands among the files: a MeshConfig document, the ConfigMap istio, Istio's defaults. */
  readonly meshConfig?: TextFile;
  /** The same for MeshNetworks. */
  readonly meshNetworks?: TextFile;
}

interface Found {
  readonly config: Config;
  readonly document: ParsedDocument;
}

/** Reads objects of every kind from mixed files. Never throws: what cannot be used is set aside. Of two objects with one name the last wins, as with kubectl apply. */
export function loadMesh(files: readonly TextFile[], { meshConfig, meshNetworks }: LoadOptions = {}): LoadedMesh {
  const setAside: SetAside[] = [];
  const settings = [...(meshConfig ? settingsOf(meshConfig, meshConfigKind, meshConfigFrom, setAside) : []), ...(meshNetworks ? settingsOf(meshNetworks, meshNetworksKind, meshNetworksFrom, setAside) : [])];
  const byKey = new Map([...files.flatMap((file) => objectsOf(file, setAside)), ...settings].map((found) => [keyText(found.config.key), found]));
  const originOf = (key: ConfigKey, field: string): Origin => {
    const found = byKey.get(keyText(key));
    return found ? placed(found.document, field) : { kind: key.kind, namespace: key.namespace, name: key.name, field };
  };
  const configs = [...byKey.values()].map(({ config }) => config);
  for (const config of configs) {
    const read = meshConfigFrom(config);
    if (read && !read.ok) setAside.push({ origin: originOf(config.key, 'data.mesh'), errors: read.error });
  }
  return { configs, meshConfig: meshConfigAmong(configs)?.spec ?? defaultMeshConfig(), setAside, originOf };
}

function objectsOf({ text, name }: TextFile, setAside: SetAside[]): Found[] {
  return parseYamlDocuments(text, name).documents.flatMap((document) => {
    const decoded = document.raw ? decode(document.raw) : { ok: false as const, error: document.errors };
    if (decoded.ok) return [{ config: decoded.value.config, document }];
    setAside.push({ origin: placed(document, decoded.error[0]?.path ?? ''), errors: decoded.error });
    return [];
  });
}

/** Settings in a file of their own: as such, or in the ConfigMap. */
function settingsOf<Spec>(file: TextFile, kind: ConfigKind<Spec>, fromMap: (config: Config) => Result<Spec> | undefined, setAside: SetAside[]): Found[] {
  return objectsOf(file, setAside).flatMap(({ config, document }) => {
    if (isOfKind(config, kind)) return [{ config, document }];
    const read = fromMap(config);
    if (read?.ok) return [{ config: { ...config, key: { group: kind.group, kind: kind.kind, namespace: '', name: 'default' }, spec: read.value }, document }];
    setAside.push({ origin: placed(document, ''), errors: read?.error ?? [{ path: '', message: `holds no ${kind.kind}` }] });
    return [];
  });
}

function placed(document: ParsedDocument, field: string): Origin {
  const { kind, name, namespace } = document.named;
  const { line, column } = document.locate(field);
  return { kind, name, namespace, field, file: document.file, line, column };
}
