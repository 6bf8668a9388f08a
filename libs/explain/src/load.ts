import type { FieldError } from '@meltemi/base';
import { decode, defaultMeshConfig, keyText, meshConfigFrom, parseYamlDocuments, type Config, type ConfigKey, type MeshConfigSpec, type ParsedDocument } from '@meltemi/config';
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
  /** The text of MeshConfig; default: the ConfigMap istio in istio-system among the files, else Istio's defaults. */
  readonly meshConfig?: TextFile;
}

/** Reads objects of every kind from mixed files. Never throws: what cannot be used is set aside. Of two objects with one name the last wins, as with kubectl apply. */
export function loadMesh(files: readonly TextFile[], options: LoadOptions = {}): LoadedMesh {
  const setAside: SetAside[] = [];
  const byKey = new Map<string, { readonly config: Config; readonly document: ParsedDocument }>();
  const documents = [...files, ...(options.meshConfig ? [options.meshConfig] : [])].flatMap(({ text, name }) => parseYamlDocuments(text, name).documents);
  for (const document of documents) {
    const decoded = document.raw ? decode(document.raw) : { ok: false as const, error: document.errors };
    if (decoded.ok) byKey.set(keyText(decoded.value.config.key), { config: decoded.value.config, document });
    else setAside.push({ origin: placed(document, decoded.error[0]?.path ?? ''), errors: decoded.error });
  }
  const originOf = (key: ConfigKey, field: string): Origin => {
    const found = byKey.get(keyText(key));
    return found ? placed(found.document, field) : { kind: key.kind, namespace: key.namespace, name: key.name, field };
  };
  return { configs: [...byKey.values()].map(({ config }) => config), meshConfig: meshConfigOf([...byKey.values()].map(({ config }) => config), setAside, originOf), setAside, originOf };
}

function placed(document: ParsedDocument, field: string): Origin {
  const { kind, name, namespace } = document.named;
  const { line, column } = document.locate(field);
  return { kind, name, namespace, field, file: document.file, line, column };
}

/** MeshConfig written on its own wins over the ConfigMap. */
function meshConfigOf(configs: readonly Config[], setAside: SetAside[], originOf: LoadedMesh['originOf']): MeshConfigSpec {
  const own = configs.findLast(({ key }) => key.kind === 'MeshConfig');
  if (own) return own.spec as MeshConfigSpec;
  for (const config of configs.toSorted((a, b) => rank(a) - rank(b))) {
    const read = meshConfigFrom(config);
    if (read?.ok === true) return read.value;
    if (read) setAside.push({ origin: originOf(config.key, 'data.mesh'), errors: read.error });
  }
  return defaultMeshConfig();
}

/** `istio` before `istio-REVISION`, istio-system before others. */
function rank({ key }: Config): number {
  return (key.name === 'istio' ? 0 : 1) + (key.namespace === 'istio-system' ? 0 : 2);
}
